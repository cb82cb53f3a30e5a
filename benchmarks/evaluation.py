"""Seeds, splits and models: how much of a difference is chance? The record that lesson 18 reads.

``python -m benchmarks.evaluation`` trains four networks on the digits, on ten random splits with four
seeds each, and on the first split with sixteen seeds; PCA stands beside them on every split. It writes
``benchmarks/results/evaluation.json``, one row for each model that was trained. Everything is float64, so
that a row can be computed again under either backend.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import aelib
from benchmarks import RESULTS, describe_run, write_record

TRAIN = 1200  # images of a split; the other 597 are its test part
CODE = 8
EPOCHS = 30
SPLITS, SEEDS, SEEDS_OF_FIRST = 10, 4, 16
FEW, DRAWS = 100, 10  # labels for the classifier with few labels, and how often they are drawn
MODELS = ("plain", "cross-entropy", "denoising", "variational")
MEASURES = {
    "squared_error": "squared error per test image",
    "linear": "test accuracy in % of logistic regression on the standardised code",
    "few": f"test accuracy in % of 1-NN with {FEW} labels, mean of {DRAWS} draws",
    "trustworthiness": "trustworthiness of the test codes, 10 neighbours, in %",
}


def split(number: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return x_train, x_test, y_train, y_test of a random split of the digits, pixels in [0, 1]."""
    x, y = load_digits(return_X_y=True)
    order = np.random.RandomState(number).permutation(len(x))
    train, test = order[:TRAIN], order[TRAIN:]
    return x[train] / 16, x[test] / 16, y[train], y[test]


def build(model: str, seed: int, backend: str | None = None):
    """Return one of the `MODELS`, untrained."""
    settings = {
        "epochs": EPOCHS,
        "batch_size": 100,
        "learning_rate": aelib.CosineDecay(1e-2, 1e-4),
        "random_state": seed,
        "dtype": "float64",
        "backend": backend,
    }
    architecture = aelib.Dense((64,), code=CODE)
    if model == "variational":
        settings |= {"epochs": 50, "batch_size": 128, "learning_rate": aelib.CosineDecay(2e-2, 2e-4)}
        return aelib.VariationalAutoencoder(architecture, likelihood="gaussian", warm_up=20, **settings)
    if model == "cross-entropy":
        return aelib.Autoencoder(architecture, loss="binary_cross_entropy", **settings)
    corruption = aelib.GaussianNoise(0.3) if model == "denoising" else None
    return aelib.Autoencoder(architecture, output_activation="sigmoid", corruption=corruption, **settings)


def measure(model, parts: tuple[np.ndarray, ...]) -> dict[str, float]:
    """Return the `MEASURES` of a fitted model, aelib's or PCA."""
    x_train, x_test, y_train, y_test = parts
    z_train, z_test = model.transform(x_train), model.transform(x_test)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(z_train, y_train)
    few = [
        KNeighborsClassifier(1).fit(z_train[i : i + FEW], y_train[i : i + FEW]).score(z_test, y_test)
        for i in range(0, DRAWS * FEW, FEW)
    ]
    return {
        "squared_error": aelib.metrics.squared_error(x_test, model.inverse_transform(z_test)),
        "linear": 100 * float(linear.score(z_test, y_test)),
        "few": 100 * float(np.mean(few)),
        "trustworthiness": 100 * float(trustworthiness(x_test, z_test, n_neighbors=10)),
    }


def run(model: str, split_number: int, seed: int, backend: str | None = None) -> dict:
    """Train one model on one split with one seed, and return its row of the record."""
    parts = split(split_number)
    if model == "PCA":
        fitted = PCA(CODE, svd_solver="full").fit(parts[0])
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a VAE with an empty code says so
            fitted = build(model, seed, backend).fit(parts[0])
    return {"model": model, "split": split_number, "seed": seed} | measure(fitted, parts)


def main() -> None:
    """Read the command line, train everything, write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=aelib.settings.BACKENDS)
    parser.add_argument("--splits", type=int, default=SPLITS)
    options = parser.parse_args()
    start, rows = time.perf_counter(), []
    for number in range(options.splits):
        rows.append(run("PCA", number, 0))
        for model in MODELS:
            for seed in range(SEEDS_OF_FIRST if number == 0 else SEEDS):
                rows.append(run(model, number, seed, options.backend))
        print(f"split {number}: {time.perf_counter() - start:.0f} s", flush=True)
    record = describe_run() | {
        "data": "digits (scikit-learn), all 1,797 images",
        "sizes": [TRAIN, len(split(0)[1])],
        "code": CODE,
        "epochs": {"variational": 50} | dict.fromkeys(MODELS[:3], EPOCHS),
        "measures": MEASURES,
        "seconds": round(time.perf_counter() - start, 1),
        "rows": rows,
    }
    write_record(RESULTS / "evaluation.json", record)


if __name__ == "__main__":
    main()
