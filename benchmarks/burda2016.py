"""Burda, Grosse & Salakhutdinov (2016) on MNIST with one stochastic layer, as a reproduced table.

``python -m benchmarks.burda2016 --row "IWAE k=5" --epochs 30`` trains 784-200-200-50 on all 60,000 training
images, binarised anew in every epoch, and adds the test negative log-likelihood to
``benchmarks/results/burda2016.json``. The published figures are those of the paper's table 1; a fixed
binarisation costs about 2 nats more there (its section 5.1), so that only runs of one kind can be compared.

The paper takes 3,280 epochs in batches of 20 images. Here the batches are larger and the rate is scaled with
the square root of their size, and the rate falls along half a cosine instead of their eight steps, whatever
the number of epochs. The state is kept after every epoch, so that a long run can be done in pieces:
``--minutes 5`` stops after five minutes, Ctrl-C at any time, and the same command goes on from there, to the
same result as an uninterrupted run.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

import aelib
from aelib.training import epoch_order, learning_rate_at, noise_key
from benchmarks import RESULTS, describe_run, write_record

SOURCE = "Burda, Grosse & Salakhutdinov (2016), arXiv:1509.00519, table 1"
# Test negative log-likelihood in nats, from 5,000 importance samples.
PUBLISHED = {"VAE k=1": 86.76, "VAE k=50": 86.35, "IWAE k=5": 85.54, "IWAE k=50": 84.78}
PUBLISHED_EPOCHS = 3280
PUBLISHED_BATCH = 20
PUBLISHED_RATE = 1e-3
ROWS = {
    "VAE k=1": {"objective": "elbo", "samples": 1},
    "VAE k=50": {"objective": "elbo", "samples": 50},
    "IWAE k=5": {"objective": "iwae", "samples": 5},
    "IWAE k=50": {"objective": "iwae", "samples": 50},
}


def estimator(row: str, *, epochs: int, batch_size: int, **settings: object) -> aelib.VariationalAutoencoder:
    """Return the untrained model of one row of the table."""
    rate = PUBLISHED_RATE * (batch_size / PUBLISHED_BATCH) ** 0.5
    return aelib.VariationalAutoencoder(
        aelib.Dense((200, 200), code=50, activation="tanh"),
        binarise="dynamic",
        optimizer=aelib.Adam(epsilon=1e-4),
        learning_rate=aelib.CosineDecay(rate, rate / 100),
        batch_size=batch_size,
        epochs=epochs,
        random_state=0,
        **(ROWS[row] | {"dtype": "float32"} | settings),
    )


def optimizer_state(trainer) -> list[np.ndarray]:
    """Return copies of all numbers that Adam keeps, whichever the backend."""
    optimizer = trainer.optimizer
    if hasattr(optimizer, "first"):  # TensorFlow's
        return [variable.numpy() for variable in [optimizer.steps, *optimizer.first, *optimizer.second]]
    names = ("step", "exp_avg", "exp_avg_sq")
    return [kept[name].numpy(force=True).copy() for kept in optimizer.state.values() for name in names]


def set_optimizer_state(trainer, arrays: list[np.ndarray]) -> None:
    """Give Adam the numbers that `optimizer_state` returned."""
    optimizer = trainer.optimizer
    if hasattr(optimizer, "first"):
        variables = [optimizer.steps, *optimizer.first, *optimizer.second]
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(array)
        return
    import torch

    parameters = optimizer.param_groups[0]["params"]
    for place, parameter in enumerate(parameters):
        step, first, second = (torch.tensor(array) for array in arrays[3 * place : 3 * place + 3])
        optimizer.state[parameter] = {
            "step": step.to(parameter.device),
            "exp_avg": first.to(parameter),
            "exp_avg_sq": second.to(parameter),
        }


def train(
    model: aelib.VariationalAutoencoder, x: np.ndarray, state: Path, minutes: float
) -> tuple[int, float]:
    """Train, or go on from `state`, and return the epochs completed and the seconds they took in all.

    Parameters
    ----------
    model : VariationalAutoencoder
        Untrained; has the trained weights afterwards.
    x : ndarray, shape (images, pixels)
        Training data.
    state : Path
        Where weights, optimiser, epoch and seconds are kept after every epoch.
    minutes : float
        Stop after the first epoch that ends later than this.
    """
    x, _ = model._prepare(x)
    trainer = model._build_trainer(x)
    done, seconds = 0, 0.0
    if state.exists():
        with np.load(state, allow_pickle=False) as kept:
            done, seconds = int(kept["epochs"]), float(kept["seconds"])
            model.set_weights({name[2:]: kept[name] for name in kept.files if name.startswith("w:")})
            numbered = sorted(
                (name for name in kept.files if name.startswith("o:")), key=lambda n: int(n[2:])
            )
            set_optimizer_state(trainer, [kept[name] for name in numbered])
    begin = time.perf_counter()
    while done < model.epochs:
        start = time.perf_counter()
        rate = learning_rate_at(model.learning_rate, done, model.epochs)
        order = epoch_order(model.seed_, done, len(x), shuffle=True)
        terms = trainer.train_epoch(order, noise_key(model.seed_, done), rate)
        done += 1
        seconds += time.perf_counter() - start
        arrays = {f"w:{name}": array for name, array in model.get_weights().items()}
        arrays |= {f"o:{place}": array for place, array in enumerate(optimizer_state(trainer))}
        state.parent.mkdir(parents=True, exist_ok=True)
        part = state.with_suffix(".part.npz")
        np.savez(part, epochs=done, seconds=seconds, **arrays)
        part.replace(state)  # never a half-written state
        print(f"epoch {done}/{model.epochs}  loss {terms['loss']:.3f}  {seconds:.0f} s", flush=True)
        if time.perf_counter() - begin >= 60 * minutes:
            break
    return done, seconds


def reproduce(
    row: str, model: aelib.VariationalAutoencoder, x: np.ndarray, x_test: np.ndarray, **settings
) -> dict | None:
    """Train one row and return its record, or None if the time was up first.

    Parameters
    ----------
    row : str
        A key of `ROWS`.
    model : VariationalAutoencoder
        From `estimator`.
    x, x_test : ndarray, shape (images, 784)
        Values in [0, 1].
    **settings
        ``state`` and ``minutes`` as in `train`; ``importance_samples``; ``remark``.
    """
    done, seconds = train(model, x, settings["state"], settings["minutes"])
    if done < model.epochs:
        return None
    start = time.perf_counter()
    bound = model.log_likelihood(x_test, samples=settings["importance_samples"])
    return {
        "model": row,
        "test_nll": float(-bound.mean()),
        "standard_error": float(bound.std() / np.sqrt(len(bound))),
        "active_units": aelib.metrics.active_units(model.transform(x_test)),
        "importance_samples": settings["importance_samples"],
        "test_images": len(x_test),
        "training_images": len(x),
        "binarisation": "dynamic",
        "epochs": done,
        "published_epochs": PUBLISHED_EPOCHS,
        "fraction_of_schedule": done / PUBLISHED_EPOCHS,
        "batch_size": model.batch_size,
        "learning_rate": repr(model.learning_rate),
        "training_seconds": round(seconds, 1),
        "evaluation_seconds": round(time.perf_counter() - start, 1),
        "estimated_seconds_for_whole_schedule": round(seconds / done * PUBLISHED_EPOCHS),
        "backend": model.backend_,
        "device": model.device_,
        "remark": settings["remark"],
        "run": describe_run(),
    }


def main() -> None:
    """Read the command line, train a row, and add it to the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", choices=ROWS, required=True)
    parser.add_argument("--epochs", type=int, default=PUBLISHED_EPOCHS)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--backend", choices=aelib.settings.BACKENDS)
    parser.add_argument("--device", choices=aelib.settings.DEVICES)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop then; call again to go on")
    parser.add_argument("--importance-samples", type=int, default=5000)
    parser.add_argument("--test-images", type=int, default=10_000, help="the first so many")
    parser.add_argument(
        "--state", type=Path, default=Path("build/burda2016"), help="folder for unfinished runs"
    )
    parser.add_argument("--remark", default="", help="kept in the record: whatever a reader should know")
    options = parser.parse_args()
    aelib.configure(profile="full")
    data = aelib.load_dataset("mnist")
    model = estimator(
        options.row,
        epochs=options.epochs,
        batch_size=options.batch_size,
        backend=options.backend,
        device=options.device,
    )
    name = f"{options.row}-{options.epochs}-{options.batch_size}.npz".replace(" ", "-").replace("=", "")
    row = reproduce(
        options.row,
        model,
        np.concatenate([data.x_train, data.x_validation]),
        data.x_test[: options.test_images],
        state=options.state / name,
        minutes=options.minutes,
        importance_samples=options.importance_samples,
        remark=options.remark,
    )
    if row is None:
        print("the time is up; the same command goes on from here")
        return
    published = PUBLISHED[options.row]
    print(f"{options.row}: {row['test_nll']:.2f} nats, published {published:.2f}")
    path = RESULTS / "burda2016.json"
    write_record(path, with_row(path, row))


def with_row(path: Path, row: dict) -> dict:
    """Return the record in `path` with `row` in place of an earlier one of the same model."""
    rows = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = [other for other in rows if other["model"] != row["model"]] + [row]
    rows.sort(key=lambda each: list(ROWS).index(each["model"]))
    return {"source": SOURCE, "published": PUBLISHED, "rows": rows}


if __name__ == "__main__":
    main()
