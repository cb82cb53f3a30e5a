"""The deep autoencoder of Hinton & Salakhutdinov (2006) on MNIST, as a reproduced table.

``python -m benchmarks.hinton2006`` trains 784-1000-500-250-30 and its mirror on all 60,000 training images
and writes ``benchmarks/results/hinton2006.json``. The caption of the paper's figure 2 gives the squared error
per image (summed over pixels in [0, 1], mean over the 10,000 test images): 3.00, and 13.87 for PCA with 30
components. The paper pretrains with restricted Boltzmann machines, layer by layer; nothing is pretrained
here. The settings were chosen on the last 10,000 training images while training on the other 50,000; the
test images are looked at once, at the end. Ctrl-C ends the training early and still writes the record.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from scipy import ndimage
from sklearn.decomposition import PCA

import aelib
from benchmarks import RESULTS, describe_run, write_record

PUBLISHED = {"autoencoder": 3.00, "pca": 13.87}
CODE = 30
SIDE = 28
SEED = 0
# An epoch shows each image once as it is and COPIES - 1 times slightly distorted, each its own target.
COPIES = 10
EPOCHS = 12
DISTORTION = {"rotation_degrees": 7.0, "scale": 0.06, "shear": 0.08, "shift_pixels": 0.5}


def estimator(epochs: int, backend: str | None) -> aelib.Autoencoder:
    """Return the untrained network with the settings of the recorded run."""
    return aelib.Autoencoder(
        aelib.Dense((1000, 500, 250), code=CODE, activation="elu"),
        loss="binary_cross_entropy",
        learning_rate=aelib.CosineDecay(1e-3, 1e-6),
        batch_size=128,
        epochs=epochs,
        random_state=SEED,
        dtype="float32",
        backend=backend,
    )


def distort(x: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Rotate, scale, shear and shift every image a little, each differently.

    Parameters
    ----------
    x : ndarray, shape (images, 784)
        Values in [0, 1].
    generator : numpy.random.Generator
        Draws each number uniformly between minus and plus what `DISTORTION` says.

    Returns
    -------
    ndarray, shape (images, 784)
        Cubic interpolation, clipped to [0, 1].
    """
    centre = (SIDE - 1) / 2

    def draw(limit: float, *shape: int) -> np.ndarray:
        return generator.uniform(-limit, limit, (len(x), *shape))

    angle = np.deg2rad(draw(DISTORTION["rotation_degrees"]))
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.stack([np.stack([cosine, -sine], 1), np.stack([sine, cosine], 1)], 1)
    stretch = np.zeros((len(x), 2, 2))
    stretch[:, [0, 1], [0, 1]] = 1 + draw(DISTORTION["scale"], 2)
    stretch[:, 0, 1] = draw(DISTORTION["shear"])
    matrices = rotation @ stretch
    offsets = centre - matrices.sum(axis=2) * centre + draw(DISTORTION["shift_pixels"], 2)

    distorted = np.empty_like(x)
    images = zip(x.reshape(-1, SIDE, SIDE), distorted.reshape(-1, SIDE, SIDE), strict=True)
    for (image, result), matrix, offset in zip(images, matrices, offsets, strict=True):
        ndimage.affine_transform(image, matrix, offset, output=result, order=3)
    return np.clip(distorted, 0, 1, out=distorted)


def squared_error(x: np.ndarray, reconstruction: np.ndarray) -> float:
    """Return the squared error per image: summed over pixels, mean over images, in float64."""
    return float(((x.astype(np.float64) - reconstruction) ** 2).sum(axis=1).mean())


def reproduce(x: np.ndarray, x_test: np.ndarray, *, epochs: int, copies: int, backend: str | None) -> dict:
    """Train on `x` and its distorted copies, score both sets, and return the record.

    Parameters
    ----------
    x, x_test : ndarray, shape (images, 784)
        Values in [0, 1], float32.
    epochs : int
        Visits to every copy of every image.
    copies : int
        The images as they are, and ``copies - 1`` distorted versions of each.
    backend : {"torch", "tensorflow"} or None
        Which framework computes; None as the settings say.

    Returns
    -------
    dict
        Settings, seconds, loss per epoch, errors, the published errors, machine and versions.
    """
    pca = PCA(CODE, svd_solver="covariance_eigh").fit(x.astype(np.float64))
    pca_error = squared_error(x_test, pca.inverse_transform(pca.transform(x_test.astype(np.float64))))
    generator = np.random.default_rng(SEED)
    start, processor_start = time.perf_counter(), time.process_time()
    shown = np.concatenate([x, *(distort(x, generator) for _ in range(copies - 1))])
    model = estimator(epochs, backend)
    model.fit(shown)
    seconds, processor_seconds = time.perf_counter() - start, time.process_time() - processor_start
    test_error = squared_error(x_test, model.reconstruct(x_test))
    settings = model.get_params(deep=False) | {
        "architecture": repr(model.architecture),
        "learning_rate": repr(model.learning_rate),
        "backend": model.backend_,
        "device": model.device_,
        "copies": copies,
        "distortion": DISTORTION,
    }
    return describe_run() | {
        "source": "Hinton & Salakhutdinov (2006), Science 313, 504-507",
        "measure": "squared error per image: summed over pixels in [0, 1], mean over images",
        "settings": settings,
        "training_images": len(x),
        "test_images": len(x_test),
        "epochs_completed": len(model.history_.loss),
        "image_visits": len(model.history_.loss) * len(shown),
        "seconds": round(seconds, 1),
        "processor_seconds": round(processor_seconds, 1),  # all threads; other work does not lengthen it
        "loss": model.history_.loss,
        "error": {
            "train": squared_error(x, model.reconstruct(x)),
            "test": test_error,
            "pca_test": pca_error,
        },
        "published": PUBLISHED,
        "difference": {
            "autoencoder": test_error - PUBLISHED["autoencoder"],
            "pca": pca_error - PUBLISHED["pca"],
        },
    }


def main() -> None:
    """Read the command line, train, print the errors and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backend", choices=aelib.settings.BACKENDS)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="fewer for a quick try")
    parser.add_argument("--copies", type=int, default=COPIES)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for hinton2006.json")
    arguments = parser.parse_args()
    data = aelib.load_dataset("mnist")
    record = reproduce(
        np.concatenate([data.x_train, data.x_validation]).astype(np.float32),
        data.x_test.astype(np.float32),
        epochs=arguments.epochs,
        copies=arguments.copies,
        backend=arguments.backend,
    )
    write_record(arguments.results / "hinton2006.json", record)
    error = record["error"]
    print(f"autoencoder: {error['test']:.3f} on test (published {PUBLISHED['autoencoder']:.2f}),")
    print(f"             {error['train']:.3f} on the training images, after {record['seconds']:.0f} s")
    print(f"PCA:         {error['pca_test']:.3f} on test (published {PUBLISHED['pca']:.2f})")


if __name__ == "__main__":
    main()
