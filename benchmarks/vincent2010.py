"""What denoising does for a classifier: Vincent et al. (2010) on 10,000 MNIST digits, as a reproduced table.

``python -m benchmarks.vincent2010`` trains autoencoders of one layer on 10,000 images, with and without
masking noise, puts a support vector machine on their codes, and writes
``benchmarks/results/vincent2010.json``. The published errors are those of the paper's table 3, data set
"basic": 10,000 digits to train on, 2,000 to choose settings, 50,000 to test. Which digits these were is not
recorded with MNIST, so our three parts are drawn anew from the 70,000 (seed 0). The machine on pixels can be
compared directly; the paper's networks have three layers and are trained further with the labels, which is
not done here.
"""

import argparse
import time

import numpy as np
from sklearn.decomposition import PCA
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.svm import SVC

import aelib
from benchmarks import RESULTS, describe_run, write_record

SOURCE = "Vincent et al. (2010), Journal of Machine Learning Research 11, table 3, data set basic"
# Test error in percent, with the half-width of the paper's 95 % interval.
PUBLISHED = {
    "support vector machine on pixels": (3.03, 0.15),
    "three layers of autoencoders, fine-tuned": (3.46, 0.16),
    "three layers of denoising autoencoders, fine-tuned": (2.84, 0.15),
}
TRAIN, VALIDATION, TEST = 10_000, 2_000, 50_000
CODE = 1000
MASKED = 0.25
PENALTY = 10.0  # the machine's C
WIDTHS = (0.5, 1.0, 2.0, 4.0)  # its gamma, as multiples of 1 / (features * variance)
ROWS_AT_ONCE = 5000


def estimator(masked: float | None, epochs: int, backend: str | None) -> aelib.Autoencoder:
    """Return an untrained autoencoder of one layer, as the paper's are before they are stacked."""
    return aelib.Autoencoder(
        aelib.Dense(code=CODE, code_activation="sigmoid", tied=True),
        loss="binary_cross_entropy",
        corruption=None if masked is None else aelib.Masking(masked),
        learning_rate=aelib.CosineDecay(2e-3, 2e-5),
        batch_size=100,
        epochs=epochs,
        random_state=0,
        dtype="float32",
        backend=backend,
    )


def svm_error(features: list[np.ndarray], labels: list[np.ndarray]) -> dict[str, float]:
    """Fit a machine to the first part, choose its width on the second, and judge it on the third.

    Parameters
    ----------
    features, labels : list of three arrays
        Training, validation and test part.

    Returns
    -------
    dict
        Errors in percent and the width chosen.
    """
    train, validation, test = (part.astype(np.float64) for part in features)
    unit = 1.0 / (train.shape[1] * train.var())
    best = None
    for width in WIDTHS:
        machine = SVC(C=PENALTY, kernel="precomputed").fit(rbf_kernel(train, gamma=width * unit), labels[0])
        error = 100 * np.mean(machine.predict(rbf_kernel(validation, train, width * unit)) != labels[1])
        if best is None or error < best[0]:
            best = error, width, machine
    error, width, machine = best
    predicted = np.concatenate(
        [
            machine.predict(rbf_kernel(test[start : start + ROWS_AT_ONCE], train, width * unit))
            for start in range(0, len(test), ROWS_AT_ONCE)
        ]
    )
    return {
        "validation_error": float(error),
        "test_error": float(100 * np.mean(predicted != labels[2])),
        "width": width,
    }


def reproduce(x: np.ndarray, y: np.ndarray, sizes: tuple[int, int, int], epochs: int, backend=None) -> dict:
    """Return the record for images `x` (n, features) in [0, 1] and labels `y`, in parts of `sizes`."""
    order = np.random.RandomState(0).permutation(len(x))
    parts = np.split(order[: sum(sizes)], np.cumsum(sizes)[:2])
    images, labels = [x[part] for part in parts], [y[part] for part in parts]
    pca = PCA(min(64, *images[0].shape)).fit(images[0].astype(np.float64))
    start = time.perf_counter()
    rows = [{"features": "pixels"} | svm_error(images, labels)]
    rows.append(
        {"features": f"PCA, {pca.n_components_}"} | svm_error([pca.transform(i) for i in images], labels)
    )
    for name, masked in (("autoencoder", None), (f"denoising autoencoder, masking {MASKED}", MASKED)):
        model = estimator(masked, epochs, backend).fit(images[0])
        row = {
            "features": f"codes of the {name}",
            "reconstruction": model.history_.terms["reconstruction"][-1],
        }
        rows.append(row | svm_error([model.transform(i) for i in images], labels))
    for row in rows:
        share = row["test_error"] / 100
        row["half_width"] = float(196 * np.sqrt(share * (1 - share) / sizes[2]))
    return describe_run() | {
        "source": SOURCE,
        "measure": "test error in percent, with the half-width of a 95 % interval",
        "published": {name: list(value) for name, value in PUBLISHED.items()},
        "sizes": list(sizes),
        "epochs": epochs,
        "code": CODE,
        "seconds": round(time.perf_counter() - start, 1),
        "rows": rows,
    }


def main() -> None:
    """Read the command line, measure, print the errors and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=aelib.settings.BACKENDS)
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()
    aelib.configure(profile="full")
    data = aelib.load_dataset("mnist")
    x = np.concatenate([data.x_train, data.x_validation, data.x_test])
    y = np.concatenate([data.y_train, data.y_validation, data.y_test])
    record = reproduce(x, y, (TRAIN, VALIDATION, TEST), options.epochs, options.backend)
    for row in record["rows"]:
        print(f"{row['features']:<45} {row['test_error']:.2f} ± {row['half_width']:.2f} %")
    write_record(RESULTS / "vincent2010.json", record)


if __name__ == "__main__":
    main()
