"""A random forest on 32 features of MNIST images: a published table, and more autoencoders beside it.

``python -m benchmarks.raschka`` computes 32 features of each of the 60,000 training images in several ways,
grows a random forest on each, and writes ``benchmarks/results/raschka.json``. The published figures are those
printed by a notebook of S. Raschka, whose forests have 500 trees. Ours have 100 in every row and go on to 500
in two: principal components, and the autoencoder whose forest of 100 trees has the highest out-of-bag
accuracy. The test images choose nothing.
"""

import argparse
import time

import numpy as np
from sklearn.base import TransformerMixin
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.preprocessing import FunctionTransformer

import aelib
from benchmarks import RESULTS, describe_run, write_record

SOURCE = "S. Raschka, github.com/rasbt/deeplearning-models, notebook ae-basic-with-rf.ipynb (2019)"
# Test accuracy in percent.
PUBLISHED = {"pixels": 97.09, "PCA": 95.70, "autoencoder": 95.23}
CODE = 32
TREES, ALL_TREES = 100, 500
DEEP = (256, 128)


def autoencoder(hidden: tuple[int, ...], epochs: int, backend: str | None, **options) -> aelib.Autoencoder:
    """Return an untrained autoencoder with a code of 32."""
    settings = {"learning_rate": aelib.CosineDecay(5e-3, 5e-5)} | options
    return aelib.Autoencoder(
        aelib.Dense(hidden, code=CODE, code_activation=settings.pop("code_activation", "linear")),
        loss="binary_cross_entropy",
        batch_size=256,
        epochs=epochs,
        random_state=0,
        dtype="float32",
        backend=backend,
        **settings,
    )


def transformers(epochs: int, backend: str | None) -> dict[str, TransformerMixin]:
    """Return what computes each row's features, by name.

    The notebook's network is 784-32 with leaky rectifiers at the code, trained for five epochs at a constant
    rate; `aelib` has no leaky rectifier, so the exponential linear unit stands in for it.
    """
    return {
        "pixels": FunctionTransformer(),
        "PCA": PCA(CODE, svd_solver="covariance_eigh"),
        "autoencoder, as published": autoencoder((), 5, backend, code_activation="elu", learning_rate=5e-3),
        "deep autoencoder": autoencoder(DEEP, epochs, backend),
        "deep denoising autoencoder, Gaussian 0.6": autoencoder(
            DEEP, epochs, backend, corruption=aelib.GaussianNoise(0.6)
        ),
        "deep denoising autoencoder, masking 0.5": autoencoder(
            DEEP, epochs, backend, corruption=aelib.Masking(0.5)
        ),
    }


def grow(forest: RandomForestClassifier, trees: int, features: list[np.ndarray], labels: list) -> dict:
    """Add trees until the forest has so many, and return its accuracy in percent.

    Parameters
    ----------
    forest : RandomForestClassifier
        With ``warm_start`` and ``oob_score``.
    trees : int
    features, labels : list of two arrays
        Training and test part.
    """
    start = time.process_time()
    forest.set_params(n_estimators=trees).fit(features[0], labels[0])
    accuracy = forest.score(features[1], labels[1])
    return {
        "trees": trees,
        "out_of_bag": round(100 * forest.oob_score_, 3),
        "test": round(100 * accuracy, 3),
        "half_width": round(196 * float(np.sqrt(accuracy * (1 - accuracy) / len(labels[1]))), 3),
        "processor_seconds": round(time.process_time() - start, 1),
    }


def reproduce(images: list, labels: list, epochs: int, trees: int, all_trees: int, backend=None) -> dict:
    """Return the record for the images and labels of the training and the test part."""
    rows, kept = [], {}  # whose forests go on growing: principal components, and the best network so far
    for name, transformer in transformers(epochs, backend).items():
        start = time.process_time()
        train = images[0].astype(np.float64) if name == "PCA" else images[0]
        features = [transformer.fit(train).transform(x) for x in images]
        row = {"features": name, "processor_seconds": round(time.process_time() - start, 1)}
        if name != "pixels":
            reconstruction = transformer.inverse_transform(features[1])
            row["squared_error"] = round(aelib.metrics.squared_error(images[1], reconstruction), 3)
        if isinstance(transformer, aelib.Autoencoder):
            row["epochs"] = transformer.epochs
        forest = RandomForestClassifier(random_state=0, warm_start=True, oob_score=True)
        row["forests"] = [grow(forest, trees, features, labels)]
        rows.append(row)
        print(name, row["forests"][-1], flush=True)
        if name == "PCA":
            kept["PCA"] = row, forest, features
        elif name != "pixels":
            best = kept.get("network")
            if best is None or row["forests"][0]["out_of_bag"] > best[0]["forests"][0]["out_of_bag"]:
                kept["network"] = row, forest, features
    for row, forest, features in kept.values():
        row["forests"].append(grow(forest, all_trees, features, labels))
        print(row["features"], row["forests"][-1], flush=True)
    return describe_run() | {
        "source": SOURCE,
        "measure": "accuracy in percent of a random forest on the test images; half_width of a 95 % interval",
        "published": PUBLISHED,
        "sizes": [len(part) for part in labels],
        "code": CODE,
        "chosen_out_of_bag": kept["network"][0]["features"],
        "rows": rows,
    }


def main() -> None:
    """Read the command line, measure and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=aelib.settings.BACKENDS)
    parser.add_argument("--epochs", type=int, default=15)
    options = parser.parse_args()
    aelib.configure(profile="full")
    data = aelib.load_dataset("mnist")
    images = [np.concatenate([data.x_train, data.x_validation]), data.x_test]
    labels = [np.concatenate([data.y_train, data.y_validation]), data.y_test]
    record = reproduce(images, labels, options.epochs, TREES, ALL_TREES, options.backend)
    write_record(RESULTS / "raschka.json", record)


if __name__ == "__main__":
    main()
