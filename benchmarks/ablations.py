"""One change at a time: what each setting of a small autoencoder does to its error, ten seeds for every row.

``python -m benchmarks.ablations`` trains a base and some sixty variants of it on the digits, and writes
``benchmarks/results/ablations.json``. ``--groups "batch size" schedule`` measures only these groups anew and
keeps the record's others. A seed fixes initial weights, order and noise, so that a variant and the row it is
compared with share what they can. Everything is float64 and judged on the validation part, which no training
sees: early stopping watches other images. Lesson 16 shows the record and repeats a part of it.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import stats

import aelib
from benchmarks import RESULTS, describe_run, write_record

SEEDS = 10
TRAIN, FEW = 1152, 192  # eighteen and three batches of 64
CODE = 8
RECORD = RESULTS / "ablations.json"
Weights = dict[str, np.ndarray]


def cosine(rate: float) -> aelib.CosineDecay:
    """Return the schedule of the base, from `rate` to a hundredth of it."""
    return aelib.CosineDecay(rate, rate / 100)


def dense(hidden: tuple[int, ...] = (64,), *, code: int = CODE, **settings) -> aelib.Dense:
    """Return the architecture of the base, with changes."""
    return aelib.Dense(hidden, code=code, **settings)


BASE = {
    "architecture": dense(),
    "output_activation": "sigmoid",
    "learning_rate": cosine(1e-2),
    "batch_size": 64,
    "epochs": 40,
}
FEW_BASE = {"learning_rate": 5e-3, "epochs": 200}


def scaled(factor: float) -> Callable[[Weights], Weights]:
    """Return a function that multiplies all kernels."""
    return lambda weights: {n: w * factor if n.endswith("kernel") else w for n, w in weights.items()}


def glorot(weights: Weights) -> Weights:
    """Return the same kernels, scaled to the variance 2 / (inputs + outputs)."""
    return {
        name: w * np.sqrt(2 / (sum(w.shape) * w.var())) if name.endswith("kernel") else w
        for name, w in weights.items()
    }


def hidden_biases(value: float) -> Callable[[Weights], Weights]:
    """Return a function that sets the biases of the encoder's hidden layer."""
    return lambda weights: weights | {"encoder.0.bias": np.full_like(weights["encoder.0.bias"], value)}


@dataclass(frozen=True)
class Row:
    """A variant: the settings changed, and which row of the same program it is compared with."""

    group: str
    name: str
    changes: dict[str, Any] = field(default_factory=dict)
    reference: str = "base"
    few: bool = False
    initial: Callable[[Weights], Weights] | None = None


def rows() -> list[Row]:
    """Return all rows; a row's reference stands before it."""
    table = [Row("base", "base")]

    def add(group: str, variants: dict[str, dict[str, Any]], **options: Any) -> None:
        table.extend(Row(group, name, changes, **options) for name, changes in variants.items())

    rates = ("3e-4", "1e-3", "3e-3", "1e-2", "3e-2", "1e-1")
    add("learning rate", {f"constant {rate}": {"learning_rate": float(rate)} for rate in rates})
    momentum = aelib.SGD(momentum=0.9)
    for rate in (0.1, 0.3, 0.6):
        add("optimiser", {f"SGD, {rate}": {"optimizer": "sgd", "learning_rate": cosine(rate)}})
    for rate in (0.03, 0.1, 0.2):
        add("optimiser", {f"momentum, {rate}": {"optimizer": momentum, "learning_rate": cosine(rate)}})
    for rate in (0.003, 0.03):
        add("optimiser", {f"Adam, {rate}": {"learning_rate": cosine(rate)}})
    for size in (16, 256, TRAIN):
        add("batch size", {f"{size}": {"batch_size": size}})
    add("batch size", {"16, half the rate": {"batch_size": 16, "learning_rate": cosine(5e-3)}})
    add("batch size", {"256, twice the rate": {"batch_size": 256, "learning_rate": cosine(2e-2)}})
    table.append(Row("initial weights", "other draws", initial=scaled(1.0)))
    for name, initial in {
        "Glorot's variance": glorot,
        "a tenth": scaled(0.1),
        "three times": scaled(3.0),
        "all kernels zero": scaled(0.0),
        "hidden biases -1": hidden_biases(-1.0),
        "hidden biases -3": hidden_biases(-3.0),
    }.items():
        table.append(Row("initial weights", name, reference="other draws", initial=initial))
    for hidden in ((), (16,), (256,), (64, 64), (64, 64, 64)):
        add("depth and width", {f"hidden {hidden}": {"architecture": dense(hidden)}})
    for code in (2, 4, 12, 16, 24, 32):
        add("code size", {f"code {code}": {"architecture": dense(code=code)}})
    add(
        "activation and output",
        {
            "tanh": {"architecture": dense(activation="tanh")},
            "elu": {"architecture": dense(activation="elu")},
            "sigmoid": {"architecture": dense(activation="sigmoid")},
            "relu code": {"architecture": dense(code_activation="relu")},
            "linear output": {"output_activation": "linear"},
            "relu output": {"output_activation": "relu"},
            "cross-entropy": {"loss": "binary_cross_entropy"},
        },
    )
    step = aelib.StepDecay(1e-2, factor=0.1, every=15)
    plateau = aelib.ReduceOnPlateau(1e-2, factor=0.3, patience=2, min_delta=0.01)
    add(
        "schedule",
        {
            "step": {"learning_rate": step},
            "exponential": {"learning_rate": aelib.ExponentialDecay(1e-2, 1e-4)},
            "cosine, warm-up 4": {"learning_rate": aelib.CosineDecay(1e-2, 1e-4, warm_up=4)},
            "reduce on plateau": {"learning_rate": plateau},
        },
    )
    add("duration", {f"{epochs} epochs": {"epochs": epochs} for epochs in (10, 80, 160)})
    regularised = {
        "L2": lambda strength: {"penalty": aelib.L2(strength)},
        "L1 of the code": lambda strength: {"penalty": aelib.L1(strength)},
        "dropout": lambda share: {"architecture": dense(dropout=share)},
        "noise": lambda sigma: {"corruption": aelib.GaussianNoise(sigma)},
    }
    strengths = {"L2": 3e-3, "L1 of the code": 3e-2, "dropout": 0.1, "noise": 0.1}
    variants = {f"{name}, {s:g}": regularised[name](s) for name, s in strengths.items()}
    add("regularisation", variants)
    table.append(Row("few images", "few images", reference="few images", few=True))
    stops = {f"stop, patience {p}": {"early_stopping": aelib.EarlyStopping(patience=p)} for p in (3, 20)}
    renamed = {f"few images, {name}": changes for name, changes in (variants | stops).items()}
    add("few images", renamed, reference="few images", few=True)
    return table


def dead_units(model: aelib.Autoencoder, x: np.ndarray) -> int | None:
    """Count the units of the encoder's hidden layer that are zero for all of `x`; None if it has none."""
    if not model.architecture.hidden or model.architecture.activation != "relu":
        return None
    weights = model.get_weights()
    return int(np.all(x @ weights["encoder.0.kernel"] + weights["encoder.0.bias"] <= 0, axis=0).sum())


def train(row: Row, seed: int, data: aelib.Dataset, train: int = TRAIN, few: int = FEW) -> aelib.Autoencoder:
    """Return the fitted model of a row and a seed."""
    settings = BASE | (FEW_BASE if row.few else {}) | row.changes
    if settings.get("loss") == "binary_cross_entropy":
        settings = settings | {"output_activation": None}
    model = aelib.Autoencoder(**settings, random_state=seed, dtype="float64")
    options = {}
    if row.initial is not None:
        plan = model.architecture.plan(data.x_train.shape[1:], model.output_activation)
        options["initial_weights"] = row.initial(plan.initial_weights(seed))
    if model.early_stopping is not None:  # watches training images that are not trained on
        options["validation_data"] = data.x_train[few : few + data.x_validation.shape[0]]
    return model.fit(data.x_train[: few if row.few else train].astype(np.float64), **options)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and the half-width of Student's 95 % confidence interval for it."""
    values = np.asarray(values)
    quantile = stats.t.ppf(0.975, len(values) - 1)
    return float(values.mean()), float(quantile * values.std(ddof=1) / np.sqrt(len(values)))


def measure(row: Row, seeds: int, data: aelib.Dataset, **sizes: int) -> dict:
    """Return a row of the record: errors per image of every seed, dead units, seconds."""
    start = time.perf_counter()
    x_train = data.x_train[: sizes.get("few", FEW) if row.few else sizes.get("train", TRAIN)]
    result = {"group": row.group, "name": row.name, "reference": row.reference}
    result |= {"changes": {name: repr(value) for name, value in row.changes.items()}}
    result |= {"errors": [], "training_errors": [], "dead": []}
    for seed in range(seeds):
        model = train(row, seed, data, **sizes)
        for name, x in (("errors", data.x_validation), ("training_errors", x_train)):
            result[name].append(aelib.metrics.squared_error(x, model.reconstruct(x)))
        result["dead"].append(dead_units(model, x_train))
    return result | {"seconds": round(time.perf_counter() - start, 1)}


def summarise(results: list[dict]) -> None:
    """Add to each row the interval of its mean, and that of the difference to its reference, by seed."""
    by_name = {result["name"]: result for result in results}
    for result in results:
        result["mean"], result["half_width"] = interval(result["errors"])
        reference = by_name.get(result["reference"])
        if reference is not None and reference is not result:
            difference = np.subtract(result["errors"], reference["errors"])
            result["difference"], result["difference_half_width"] = interval(difference)


def run(groups: Sequence[str], seeds: int = SEEDS, old: dict | None = None, **sizes: int) -> dict:
    """Return the record, its rows of other groups taken from the `old` one."""
    data = aelib.load_dataset("digits")
    kept = {} if old is None else {result["name"]: result for result in old["rows"]}
    results = []
    for row in rows():
        if row.group in groups:
            results.append(measure(row, seeds, data, **sizes))
        elif row.name in kept:
            results.append(kept[row.name])
    summarise(results)
    return describe_run() | {
        "data": "digits, float64",
        "measure": "squared error per validation image; 95 % intervals of Student's t over seeds",
        "seeds": list(range(seeds)),
        "sizes": {"train": TRAIN, "few": FEW} | sizes,
        "base": {name: repr(value) for name, value in BASE.items()},
        "few_base": {name: repr(value) for name, value in FEW_BASE.items()},
        "rows": results,
    }


def main() -> None:
    """Read the command line, measure, print the intervals and write the record."""
    known = list(dict.fromkeys(row.group for row in rows()))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", nargs="+", choices=known, default=known)
    options = parser.parse_args()
    aelib.configure(backend="torch", profile="reference")
    old = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else None
    record = run(options.groups, old=old)
    for row in record["rows"]:
        if row["group"] in options.groups:
            line = f"{row['name']:<32} {row['mean']:7.3f} ± {row['half_width']:.3f}"
            if "difference" in row:
                line += f"   {row['difference']:+7.3f} ± {row['difference_half_width']:.3f}"
            print(line, f"  {row['seconds']:6.1f} s")
    write_record(RECORD, record)


if __name__ == "__main__":
    main()
