"""How two trainings part: PyTorch and TensorFlow, and one framework twice, over 1,400 Adam steps on MNIST.

``python -m benchmarks.drift`` trains the autoencoder 784-128-64-12-2 from the same initial weights in both
frameworks and both precisions, and in PyTorch alone with differences of the size of rounding, and writes
``benchmarks/results/drift.json``: the relative differences of losses and weights after every 100 steps, and
the number of signs of rectified units about which two runs disagree. The batches are the same in every epoch,
so that their rows can be turned round: the gradient is the same sum, added up in another order.
"""

import time

import numpy as np

import aelib
from benchmarks import RESULTS, describe_run, write_record

HIDDEN, CODE = (128, 64, 12), 2
BATCH, STEPS_PER_EPOCH, EPOCHS = 128, 100, 14
RATE = 1e-3
COUNTED = 1000  # images on which signs are compared

TORCH64 = {"backend": "torch", "dtype": "float64"}
TORCH32 = {"backend": "torch", "dtype": "float32"}
TENSORFLOW64 = {"backend": "tensorflow", "dtype": "float64"}
TENSORFLOW32 = {"backend": "tensorflow", "dtype": "float32"}
# name: two runs, each the settings of `train`
PAIRS = {
    "PyTorch and TensorFlow, float64": (TORCH64, TENSORFLOW64),
    "PyTorch and TensorFlow, float32": (TORCH32, TENSORFLOW32),
    "PyTorch alone, float64, batches added up backwards": (TORCH64, TORCH64 | {"backwards": True}),
    "PyTorch alone, float32, batches added up backwards": (TORCH32, TORCH32 | {"backwards": True}),
    "PyTorch alone, float64, initial weights as float32": (TORCH64, TORCH64 | {"rounded": True}),
    "PyTorch alone, float64 and float32": (TORCH64, TORCH32),
}

Run = tuple[np.ndarray, list[dict[str, np.ndarray]]]


def train(
    x: np.ndarray,
    epochs: int,
    *,
    backend: str,
    dtype: str,
    backwards: bool = False,
    rounded: bool = False,
) -> Run:
    """Train from the same initial weights and return the loss of each epoch and the weights after it.

    Parameters
    ----------
    x : ndarray, shape (samples, features)
        Images, whole batches of them.
    epochs : int
        Passes over `x`.
    backend, dtype : str
        As in `aelib.Autoencoder`.
    backwards : bool, default=False
        Turn the rows of every batch round.
    rounded : bool, default=False
        Begin with the weights that float32 would hold.

    Returns
    -------
    tuple of ndarray and list of dict
    """
    architecture = aelib.Dense(HIDDEN, code=CODE)
    start = architecture.plan(x.shape[1:], "sigmoid").initial_weights(0)
    if rounded:
        start = {name: w.astype(np.float32).astype(np.float64) for name, w in start.items()}
    if backwards:
        x = x.reshape(-1, BATCH, x.shape[1])[:, ::-1].reshape(x.shape)
    snapshots: list[dict[str, np.ndarray]] = []
    model = aelib.Autoencoder(
        architecture,
        output_activation="sigmoid",
        learning_rate=RATE,
        batch_size=BATCH,
        epochs=epochs,
        shuffle=False,
        random_state=0,
        device="cpu",
        backend=backend,
        dtype=dtype,
    )
    model.fit(x, initial_weights=start, on_epoch=lambda fitted: snapshots.append(fitted.get_weights()))
    return np.array(model.history_.loss), snapshots


def signs(x: np.ndarray, weights: dict[str, np.ndarray]) -> np.ndarray:
    """Return for each sample and each rectified unit whether the unit is on."""
    values, on = x.astype(np.float64), []
    for layer in aelib.Dense(HIDDEN, code=CODE).plan(x.shape[1:], "sigmoid").layers:
        values = values @ weights[f"{layer.name}.kernel"] + weights[f"{layer.name}.bias"]
        if layer.activation == "relu":
            on.append(values > 0)
            values = np.maximum(values, 0.0)
    return np.concatenate(on, axis=1)


def compare(one: Run, other: Run, x: np.ndarray) -> dict[str, list]:
    """Return the relative differences of losses and of all weights, and the disagreements, for each epoch."""
    vectors = [
        np.array([np.concatenate([w.ravel() for w in s.values()]) for s in run[1]], dtype=np.float64)
        for run in (one, other)
    ]
    apart = np.linalg.norm(vectors[0] - vectors[1], axis=1) / np.linalg.norm(vectors[0], axis=1)
    disagreements = [
        int(np.count_nonzero(signs(x, a) != signs(x, b))) for a, b in zip(one[1], other[1], strict=True)
    ]
    return {
        "loss": (np.abs(one[0] - other[0]) / one[0]).tolist(),
        "weights": apart.tolist(),
        "disagreements": disagreements,
    }


def reproduce(x: np.ndarray, pairs: dict[str, tuple[dict, dict]], epochs: int) -> dict:
    """Return the record for images `x` (n, features); each run is made once, whatever pairs it is in."""
    start = time.perf_counter()
    x = x[: len(x) // BATCH * BATCH].astype(np.float64)
    runs: dict[str, Run] = {}
    for settings in (settings for pair in pairs.values() for settings in pair):
        if str(settings) not in runs:
            runs[str(settings)] = train(x, epochs, **settings)
    return describe_run() | {
        "network": [x.shape[1], *HIDDEN, CODE],
        "activation": "relu",
        "optimizer": f"Adam, rate {RATE}",
        "batch_size": BATCH,
        "images": len(x),
        "steps": epochs * len(x) // BATCH,
        "steps_per_entry": len(x) // BATCH,
        "signs_counted_on": COUNTED,
        "loss": runs[str(next(iter(pairs.values()))[0])][0].tolist(),
        "pairs": {
            name: compare(runs[str(one)], runs[str(other)], x[:COUNTED])
            for name, (one, other) in pairs.items()
        },
        "seconds": round(time.perf_counter() - start, 1),
    }


def main() -> None:
    """Measure, print the differences and write the record."""
    data = aelib.load_dataset("mnist")
    record = reproduce(data.x_train[: BATCH * STEPS_PER_EPOCH], PAIRS, EPOCHS)
    for name, curves in record["pairs"].items():
        values = " ".join(f"{value:.0e}" for value in curves["loss"])
        print(f"{name:<52} {values}")
    write_record(RESULTS / "drift.json", record)


if __name__ == "__main__":
    main()
