"""Seconds per epoch of both backends beside the ways people usually train the same network.

``python -m benchmarks.speed`` prints the table and writes it to ``benchmarks/results/``. In every round each
competitor runs once, in a process of its own, so that no framework meets another's threads; the order turns
by one from round to round. Let nothing else run meanwhile. ``--one NAME`` measures a single competitor.
"""

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import RESULTS, describe_run, peers, write_record, write_text

# Ratios to the matrix products that issue 2 asks for.
TARGETS = {"aelib_torch": 2.2, "aelib_tensorflow": 2.5}
PRODUCTS = ("numpy_products", "torch_products")


@dataclass(frozen=True)
class Competitor:
    """One row of the table.

    Parameters
    ----------
    label : str
        What the table calls it.
    prepare : callable
        One of the functions of `benchmarks.peers`.
    share : float
        Fraction of the images that is used; the time is scaled up by its inverse.
    epochs : int
        The measured difference: the seconds of ``1 + epochs`` epochs less those of one.
    requires : str or None
        Package that may be missing; its row is then left out, and the table says so.
    """

    label: str
    prepare: Callable[[np.ndarray], peers.Train]
    share: float = 1.0
    epochs: int = 4
    requires: str | None = None

    def is_installed(self) -> bool:
        """Return whether the package it needs is there."""
        return self.requires is None or importlib.util.find_spec(self.requires) is not None


COMPETITORS = {
    "numpy_products": Competitor("matrix products alone, NumPy", peers.numpy_products),
    "torch_products": Competitor("matrix products alone, PyTorch", peers.torch_products),
    "aelib_torch": Competitor("aelib, PyTorch", peers.aelib_torch),
    "aelib_tensorflow": Competitor("aelib, TensorFlow", peers.aelib_tensorflow),
    "tensor_loader": Competitor("PyTorch, DataLoader over a TensorDataset", peers.tensor_loader, epochs=2),
    "pil_loader": Competitor("PyTorch, PIL image to DataLoader", peers.pil_loader, share=0.5, epochs=2),
    "lightning": Competitor(
        "PyTorch Lightning", peers.lightning, share=0.5, epochs=2, requires="pytorch_lightning"
    ),
    "pythae": Competitor("Pythae", peers.pythae, share=0.5, epochs=2, requires="pythae"),
    "keras_compiled": Competitor("Keras fit, 32 steps per call, XLA", peers.keras_compiled),
    "keras_fit": Competitor("Keras fit", peers.keras_fit, share=0.5, epochs=2),
    "eager_tape": Competitor("TensorFlow, eager GradientTape", peers.eager_tape, share=0.1, epochs=2),
}


def measure(name: str, images: int | None = None) -> dict:
    """Time one competitor, in this process, on MNIST's training images.

    Parameters
    ----------
    name : str
        A key of `COMPETITORS`.
    images : int, optional
        Use only the first so many images, for a quick try.

    Returns
    -------
    dict
        ``seconds_per_epoch``: (seconds of 1 + m epochs less seconds of one) / m, scaled to all images, so
        that imports, building and compilation cancel; ``startup_seconds``: what the very first epoch took
        beyond that, imports included; ``images_timed``.
    """
    import aelib

    competitor = COMPETITORS[name]
    data = aelib.load_dataset("mnist")
    every_image = np.concatenate([data.x_train, data.x_validation]).astype(np.float32)[:images]
    x = every_image[: max(peers.BATCH, round(len(every_image) * competitor.share))]

    def seconds(work: Callable[[], object]) -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    trains: list[peers.Train] = []
    preparation = seconds(lambda: trains.append(competitor.prepare(x)))
    first, one, more = [
        seconds(lambda count=count: trains[0](count)) for count in (1, 1, 1 + competitor.epochs)
    ]
    per_epoch = (more - one) / competitor.epochs
    return {
        "seconds_per_epoch": per_epoch * len(every_image) / len(x),
        "startup_seconds": preparation + first - per_epoch,
        "images_timed": len(x),
        "images": len(every_image),
    }


def measure_alone(name: str, images: int | None = None) -> dict:
    """Call `measure` in a fresh process and return its result.

    Raises
    ------
    RuntimeError
        If the competitor failed; the message ends with what it said.
    """
    command = [sys.executable, "-m", "benchmarks.speed", "--one", name]
    if images is not None:
        command += ["--images", str(images)]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "2"}
    environment["KERAS_BACKEND"] = "tensorflow"
    root = Path(__file__).parent.parent
    run = subprocess.run(command, env=environment, cwd=root, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise RuntimeError(f"the competitor {name!r} failed:\n{run.stderr[-2000:]}")
    return json.loads(run.stdout.splitlines()[-1])


def compare(names: list[str], rounds: int, images: int | None = None) -> dict:
    """Run all competitors, interleaved, and summarise.

    Parameters
    ----------
    names : list of str
        Keys of `COMPETITORS`; both of `PRODUCTS` must be among them.
    rounds : int
        How often each is measured.
    images : int, optional
        As in `measure`.

    Returns
    -------
    dict
        What `describe_run` says, the settings, and ``rows``, the fastest first: label, seconds per epoch of
        each round, median, ``ratio`` (median over rounds of the ratio to the faster matrix products of that
        round), median start-up, images timed, target if there is one.
    """
    results: dict[str, list[dict]] = {name: [] for name in names}
    for number in range(rounds):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            results[name].append(measure_alone(name, images))
            seconds = results[name][-1]["seconds_per_epoch"]
            print(f"round {number + 1} of {rounds}  {COMPETITORS[name].label}: {seconds:.2f} s", flush=True)

    times = {name: [result["seconds_per_epoch"] for result in results[name]] for name in names}
    products = [min(pair) for pair in zip(*(times[name] for name in PRODUCTS), strict=True)]
    rows = []
    for name in names:
        ratios = [time / least for time, least in zip(times[name], products, strict=True)]
        rows.append(
            {
                "name": name,
                "label": COMPETITORS[name].label,
                "seconds_per_epoch": times[name],
                "median": statistics.median(times[name]),
                "ratio": statistics.median(ratios),
                "startup_seconds": statistics.median(r["startup_seconds"] for r in results[name]),
                "images_timed": results[name][0]["images_timed"],
                "target": TARGETS.get(name),
            }
        )
    return describe_run() | {
        "network": [784, *peers.HIDDEN, peers.CODE],
        "batch_size": peers.BATCH,
        "images": results[names[0]][0]["images"],
        "rounds": rounds,
        "rows": sorted(rows, key=lambda row: row["median"]),
    }


def as_markdown(record: dict, missing: list[str]) -> str:
    """Return the record of `compare` as a page of Markdown; `missing` are labels that were not run."""
    machine = record["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in record["versions"].items())
    columns = ["", "s per epoch", "fastest, slowest", "× matrix products", "start-up s", "measured on"]
    lines = [
        "# Seconds per epoch",
        "",
        f"MNIST ({record['images']:,} images), {'-'.join(map(str, record['network']))} and its mirror, "
        f"batch {record['batch_size']}, float32, Adam, on the CPU. Written by `make bench`.",
        "",
        f"{record['date']}, {machine['processor']}, {machine['cores']} cores, {machine['system']};",
        f"{versions}.",
        "",
        f"| {' | '.join(columns)} |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for row in record["rows"]:
        part = row["images_timed"] / record["images"]
        measured_on = "all images" if part == 1 else f"{part:.0%} of them, scaled up"
        target = "" if row["target"] is None else f" (target {row['target']})"
        low, high = min(row["seconds_per_epoch"]), max(row["seconds_per_epoch"])
        lines.append(
            f"| {row['label']} | {row['median']:.2f} | {low:.2f} to {high:.2f} | {row['ratio']:.2f}{target} "
            f"| {row['startup_seconds']:.1f} | {measured_on} |"
        )
    lines += [
        "",
        f"{record['rounds']} interleaved rounds, each measurement in a process of its own. An epoch's time",
        "is the time of 1 + m epochs less that of one, divided by m (m is 2 or 4), after one epoch that does",
        "not count: compilation and start-up cancel, and stand in a column of their own (imports included).",
        "Both are medians over rounds; the ratio is to the faster matrix products of the same round:",
        "all forward and backward products of every layer, on arrays that are already in place.",
    ]
    if missing:
        lines += ["", f"Not installed, so not measured: {', '.join(missing)}."]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read the command line; measure one competitor, or compare all and write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, help="use only the first so many images, for a quick try")
    parser.add_argument("--one", choices=COMPETITORS, help="measure this one here and print JSON")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder for speed.json and speed.md")
    arguments = parser.parse_args()
    if arguments.one:
        with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):  # progress bars
            result = measure(arguments.one, arguments.images)
        print(json.dumps(result))
        return
    names = [name for name, competitor in COMPETITORS.items() if competitor.is_installed()]
    missing = [competitor.label for name, competitor in COMPETITORS.items() if name not in names]
    record = compare(names, arguments.rounds, arguments.images)
    page = as_markdown(record, missing)
    write_record(arguments.results / "speed.json", record)
    write_text(arguments.results / "speed.md", page)
    print(page)


if __name__ == "__main__":
    main()
