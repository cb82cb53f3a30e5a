"""Does a sampler that learns from its trials beat drawing them at random? Over seeds, at equal budget.

``python -m benchmarks.search`` searches the space of ``benchmarks/search_digits.py`` in four ways and writes
``benchmarks/results/search.json``: at random, on a grid and with the tree-structured Parzen estimator (TPE),
each with the same number of trials; and with TPE and median pruning, with the same number of epochs. It also
draws judges: how much better does the best trial look to the images that chose it than to others?
"""

import argparse
import importlib.metadata
import time

import numpy as np
import optuna

import aelib
import aelib.search
from benchmarks import RESULTS, describe_run, search_digits, write_record
from benchmarks.ablations import interval

TRIALS = 32  # two values for each of five parameters make a grid of as many
SEEDS = 10
JUDGES = (10, 30, 100, 300)  # images that choose the best trial
DRAWS = 2000


class Measure:
    """The example's measure, which keeps the errors of each finished model on every image."""

    def __init__(self, x_test: np.ndarray):
        self.x_test = x_test
        self.per_image = []  # one array a trial: costs of the validation images, then of the test images

    def __call__(self, model: aelib.Autoencoder, x: np.ndarray) -> float:
        value = search_digits.error(model, x)
        if len(model.history_.loss) == model.epochs:
            parts = [
                aelib.metrics.per_sample_squared_error(part, model.reconstruct(part))
                for part in (x, self.x_test)
            ]
            cost = np.concatenate(parts) + search_digits.PRICE * model.architecture.code
            if not self.per_image or not np.array_equal(self.per_image[-1], cost):  # told twice at the end
                self.per_image.append(cost)
        return value


def grid(shift: dict[str, float]) -> dict[str, list]:
    """Return two values of each setting, half of its range apart; `shift` moves them on, and around."""
    probe = optuna.create_study().ask()
    search_digits.build(probe)
    values = {}
    for name, distribution in probe.distributions.items():
        if isinstance(distribution, optuna.distributions.CategoricalDistribution):
            values[name] = list(distribution.choices)
            continue
        low, high = distribution.low, distribution.high
        shares = [(share + shift.get(name, 0.0)) % 1 for share in (0.25, 0.75)]
        points = [low * (high / low) ** s if distribution.log else low + (high - low) * s for s in shares]
        values[name] = [round(p) for p in points] if isinstance(low, int) else points
    return values


def shifted_grid(seed: int) -> dict[str, list]:
    """Return the grid, each setting shifted at random."""
    names = grid({})
    return grid(dict(zip(names, np.random.default_rng(seed).random(len(names)).tolist(), strict=True)))


def search(
    sampler: object, pruner: str, seed: int, trials: int, parts: tuple
) -> tuple[optuna.Study, Measure]:
    """Return a study of `trials` trials, or with a pruner one of as many epochs, and its measure."""
    x_train, x_validation, x_test = parts
    measure = Measure(x_test)
    storage = optuna.storages.InMemoryStorage()
    budget = trials * search_digits.EPOCHS
    target = trials if pruner == "none" else 1
    while True:
        study = aelib.search.run(
            search_digits.build,
            x_train,
            x_validation,
            trials=target,
            storage=storage,
            sampler=sampler,
            pruner=pruner,
            seed=seed,
            error=measure,
        )
        if pruner == "none" or epochs(study) >= budget:
            return study, measure
        target += 1


def epochs(study: optuna.Study) -> int:
    """Return the epochs that all trials together were trained."""
    return sum(len(trial.intermediate_values) for trial in study.trials)


def optimism(per_image: np.ndarray, judges: int, draws: int, rng: np.random.Generator) -> float:
    """Return by how much the winner looks better to those who chose it than to all others.

    Parameters
    ----------
    per_image : ndarray, shape (trials, images)
        Each trial's cost on each image.
    judges : int
        Images, drawn anew each time, whose mean cost chooses the winner.
    draws : int
        Repetitions.
    rng : Generator
        Draws the judges.

    Returns
    -------
    float
        Mean cost of the winner on the other images, less that on its judges.
    """
    images = per_image.shape[1]
    total = per_image.sum(axis=1)
    gaps = np.empty(draws)
    for draw in range(draws):
        chosen = per_image[:, rng.choice(images, judges, replace=False)].mean(axis=1)
        winner = np.argmin(chosen)
        gaps[draw] = (total[winner] - judges * chosen[winner]) / (images - judges) - chosen[winner]
    return float(gaps.mean())


def describe(study: optuna.Study, measure: Measure, seed: int) -> dict:
    """Return the record of one search."""
    images = len(measure.x_test)
    winner = min(measure.per_image, key=lambda cost: abs(cost[:-images].mean() - study.best_value))
    return {
        "seed": seed,
        "epochs": epochs(study),
        "finished": len(study.trials),
        "best": study.best_value,
        "best_test": float(winner[-images:].mean()),
        "trials": [
            {
                "params": trial.params,
                "value": trial.value,
                "curve": [float(f"{value:.5g}") for value in trial.intermediate_values.values()],
            }
            for trial in study.trials
        ],
    }


def compare(trials: int, seeds: int, draws: int = DRAWS) -> dict:
    """Return the record of all searches."""
    data = aelib.load_dataset("digits")
    parts = data.x_train, data.x_validation, data.x_test
    start, rows, gaps = time.perf_counter(), {}, {}
    for name, sampler, pruner in (
        ("random", "random", "none"),
        ("TPE", "tpe", "none"),
        ("TPE, pruned", "tpe", "median"),
    ):
        rows[name] = []
        gaps[name] = {judges: [] for judges in JUDGES}
        for seed in range(seeds):
            study, measure = search(sampler, pruner, seed, trials, parts)
            rows[name].append(describe(study, measure, seed))
            print(f"{name:<12} seed {seed}: best {study.best_value:.4f}", flush=True)
            rng = np.random.default_rng(seed)
            for judges in JUDGES:
                gaps[name][judges].append(optimism(np.array(measure.per_image), judges, draws, rng))
    for name, grids in (("grid", [grid({})]), ("grid, shifted", map(shifted_grid, range(seeds)))):
        rows[name] = []
        for seed, values in enumerate(grids):
            sampler = optuna.samplers.GridSampler(values, seed=0)
            rows[name].append(describe(*search(sampler, "none", 0, trials, parts), seed) | {"grid": values})
    pca = min(
        (aelib.metrics.pca_error(parts[0], parts[1], code) + search_digits.PRICE * code, code)
        for code in range(1, 33)
    )
    best = {name: [row["best"] for row in searches] for name, searches in rows.items()}
    for name, searches in rows.items():  # a record holds what the lesson reads
        for row in searches:
            if name not in ("random", "TPE"):
                del row["trials"]
            elif name == "TPE":
                for trial in row["trials"]:
                    del trial["curve"]
    return describe_run() | {
        "optuna": importlib.metadata.version("optuna"),
        "measure": "squared error per validation image plus price times code size",
        "price": search_digits.PRICE,
        "trials": trials,
        "epochs_per_trial": search_digits.EPOCHS,
        "seeds": list(range(seeds)),
        "pca": {"best": float(pca[0]), "code": pca[1]},
        "best": {name: interval(values) for name, values in best.items() if name != "grid"},
        "less_than_random": {
            name: interval(np.subtract(best["random"], best[name]))
            for name in ("TPE", "TPE, pruned", "grid, shifted")
        },
        "optimism": {
            name: {judges: interval(values) for judges, values in by_judges.items()}
            for name, by_judges in gaps.items()
            if name != "TPE, pruned"
        },
        "seconds": round(time.perf_counter() - start, 1),
        "searches": rows,
    }


def main() -> None:
    """Read the command line, search, print the comparison and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    aelib.configure(profile="reference")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    record = compare(TRIALS, options.seeds)
    for name, (mean, half) in record["best"].items():
        print(f"{name:<12} {mean:.3f} ± {half:.3f}")
    for name, (mean, half) in record["less_than_random"].items():
        print(f"random less {name:<12} {mean:.3f} ± {half:.3f}")
    print(f"grid {record['searches']['grid'][0]['best']:.3f}, PCA {record['pca']['best']:.3f}")
    print(record["optimism"])
    write_record(RESULTS / "search.json", record)


if __name__ == "__main__":
    main()
