"""Restoration: imputation at 10 to 90 % missing values, and inpainting with more training than a lesson has.

``python -m benchmarks.restoration`` has two parts, on the digits and on MNIST. "imputation" makes pixels
unknown at random, in training and test images alike, fits an autoencoder with a masked loss and
scikit-learn's imputers to the incomplete training images, and lets them fill in the test images.
"inpainting" trains the convolutional autoencoder of lesson 14 with missing squares, as long as the lesson and
longer. Results go to ``benchmarks/results/restoration.json``; the lesson reads it and makes some of its rows
again.
"""

import argparse
import importlib.metadata
import json
import time
import warnings

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401 (it makes the next line work)
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import Ridge

import aelib
from benchmarks import RESULTS, describe_run, write_record

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
SEEDS = {"digits": (0, 1, 2), "mnist": (0,)}
TEST = 300  # images
SQUARES = {"digits": (1, 2, 3, 4, 5), "mnist": (4, 7, 10, 14, 18)}  # pixels
EPOCHS = {"digits": (20, 100), "mnist": (5, 20)}  # of inpainting: the lesson's, and more
# Images that the imputers are fitted to, where not all: their time grows faster than the network's.
ROWS = {"mnist": {"nearest neighbours": 5000, "iterated regressions": 1000}}


def network(name: str, hiding: float | None = 0.3, **options) -> aelib.Autoencoder:
    """Return the untrained network for the data set `name`; it hides known values with this probability."""
    small = name == "digits"
    settings = {
        "missing": "mask",
        "batch_size": 64,
        "epochs": 40 if small else 4,
        "learning_rate": aelib.CosineDecay(5e-3, 5e-5) if small else aelib.CosineDecay(2e-3, 2e-5),
        "random_state": 0,
    }
    hidden, code = ((256,), 64) if small else ((512,), 128)
    corruption = None if hiding is None else aelib.Masking(hiding)
    architecture = aelib.Dense(hidden, code=code, code_activation="relu")
    return aelib.Autoencoder(architecture, corruption=corruption, **settings, **options)


def imputers(name: str) -> dict:
    """Return scikit-learn's imputers for the data set `name`."""
    few = {} if name == "digits" else {"n_nearest_features": 20}
    rounds = 5 if name == "digits" else 2
    return {
        "mean": SimpleImputer(keep_empty_features=True),
        "nearest neighbours": KNNImputer(n_neighbors=10, keep_empty_features=True),
        "iterated regressions": IterativeImputer(
            Ridge(alpha=1.0), max_iter=rounds, tol=0.0, random_state=0, keep_empty_features=True, **few
        ),
    }


def with_holes(x: np.ndarray, level: float, seed: int) -> np.ndarray:
    """Return `x` (n, features) with NaN in place of each value with probability `level`."""
    return np.where(np.random.RandomState(seed).random_sample(x.shape) < level, np.nan, x)


def scores(clean: np.ndarray, incomplete: np.ndarray, answer: np.ndarray) -> dict[str, float]:
    """Return the PSNR of the missing pixels in dB, and the mean SSIM of the first 100 images."""
    missing = np.isnan(incomplete)
    filled = np.where(missing, np.clip(answer, 0, 1), clean)
    side = int(clean.shape[1] ** 0.5)
    window = 5 if side == 8 else 7
    pairs = zip(clean[:100].reshape(-1, side, side), filled[:100].reshape(-1, side, side), strict=True)
    similarities = [structural_similarity(a, b, win_size=window, data_range=1.0) for a, b in pairs]
    return {
        "psnr": float(peak_signal_noise_ratio(clean[missing], filled[missing], data_range=1.0)),
        "ssim": float(np.mean(similarities)),
    }


def impute(name: str, images: int, levels=LEVELS, seeds=(0,), backend: str | None = None) -> list[dict]:
    """Return one row for each method, level and seed."""
    dtype = "float64" if name == "digits" else "float32"
    data = aelib.load_dataset(name)
    x_train, x_test = data.x_train[:images].astype(dtype), data.x_test[:TEST].astype(np.float64)
    rows = []
    for seed in seeds:
        for level in levels:
            train, test = with_holes(x_train, level, seed), with_holes(x_test, level, 100 + seed)
            for method, imputer in imputers(name).items():
                with warnings.catch_warnings():  # the number of rounds is fixed, on purpose
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    imputer.fit(train[: ROWS.get(name, {}).get(method)])
                answer = imputer.transform(test)
                rows.append({"method": method, "level": level, "seed": seed} | scores(x_test, test, answer))
            model = network(name, dtype=dtype, backend=backend).fit(2 * train - 1)
            answer = (model.reconstruct(2 * test - 1) + 1) / 2
            rows.append({"method": "network", "level": level, "seed": seed} | scores(x_test, test, answer))
    return rows


def inpaint(name: str, images: int, epochs: int, backend: str | None = None) -> list[dict]:
    """Return one row for each size of a missing square, for the network trained for so many epochs."""
    small = name == "digits"
    dtype = "float64" if small else "float32"
    data = aelib.load_dataset(name)
    x_train = data.images(2 * data.x_train[:images].astype(dtype) - 1)
    x_test = data.x_test[:150].astype(np.float64)
    model = aelib.Autoencoder(
        aelib.Conv((16, 32), code=64 if small else 256),
        corruption=aelib.MissingBlock(3 if small else 10),
        batch_size=32 if small else 64,
        epochs=epochs,
        learning_rate=aelib.CosineDecay(5e-3, 5e-5),
        random_state=0,
        dtype=dtype,
        backend=backend,
    ).fit(x_train)
    rows = []
    for size in SQUARES[name]:
        white = np.ones((len(x_test), *data.image_shape))
        missing = aelib.MissingBlock(size).corrupt(white, random_state=2) == 0
        seen = np.where(missing, 0.0, data.images(2 * x_test - 1))
        answer = (model.reconstruct(seen).reshape(x_test.shape) + 1) / 2
        incomplete = np.where(missing.reshape(x_test.shape), np.nan, x_test)
        rows.append({"epochs": epochs, "size": size} | scores(x_test, incomplete, answer))
    return rows


def main() -> None:
    """Run a part or both, and write the record."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", choices=aelib.settings.BACKENDS)
    parser.add_argument("--part", choices=("imputation", "inpainting"), help="default: both")
    options = parser.parse_args()
    path = RESULTS / "restoration.json"
    record = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    images = {"digits": 1197, "mnist": 20_000}
    libraries = {name: importlib.metadata.version(name) for name in ("scikit-learn", "scikit-image")}
    header = describe_run() | {"libraries": libraries, "images": images}
    if options.part in ("imputation", None):
        start = time.perf_counter()
        rows = {
            name: impute(name, n, seeds=SEEDS[name], backend=options.backend) for name, n in images.items()
        }
        settings = {
            name: {"network": repr(network(name)), "imputers": [repr(i) for i in imputers(name).values()]}
            for name in images
        }
        record["imputation"] = header | {
            "measure": "PSNR of the missing pixels in dB, and SSIM of the first 100 images, test part",
            "rows_of_imputers": ROWS,
            "settings": settings,
            "seconds": round(time.perf_counter() - start, 1),
            "rows": rows,
        }
    if options.part in ("inpainting", None):
        start = time.perf_counter()
        rows = {
            name: [row for epochs in EPOCHS[name] for row in inpaint(name, n, epochs, options.backend)]
            for name, n in images.items()
        }
        record["inpainting"] = header | {
            "measure": "PSNR of the missing pixels in dB, and SSIM of the first 100 images, "
            "150 of the test part",
            "seconds": round(time.perf_counter() - start, 1),
            "rows": rows,
        }
    write_record(path, record)


if __name__ == "__main__":
    main()
