"""Run the whole suite, part by part, and say how long each part took."""

import argparse
import os
import subprocess
import sys
import time

from booktools.address import ROOT
from booktools.environment import execution_environment
from booktools.twins import lesson_paths

# Two workers on two cores: a second thread in each would only make them wait for each other.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
}
PYTEST = [sys.executable, "-m", "pytest", "-q", "--no-header"]
WORKERS = ["-n", os.environ.get("TEST_WORKERS", "2")]
PARALLEL = [*WORKERS, "--dist", "loadfile"]  # a notebook's cells must stay together
BALANCED = [*WORKERS, "--dist", "worksteal"]
NBVAL = ["-p", "booktools.memory"]  # a table of each kernel's memory, and Binder's limit on it
NBVAL += ["--nbval", "--nbval-current-env", "--nbval-sanitize-with", "tests/notebooks/nbval.cfg"]


def parts() -> dict[str, list[list[str]]]:
    """Return the commands of each part that is not nbval's."""
    return {
        "lint": [
            [sys.executable, "-m", "ruff", "check", "."],
            [sys.executable, "-m", "ruff", "format", "--check", "."],
            [sys.executable, "-m", "codespell_lib"],
        ],
        "library": [[*PYTEST, *BALANCED, "tests/library"]],
        "equivalence": [[*PYTEST, *BALANCED, "tests/equivalence"]],
        "site": [[*PYTEST, *PARALLEL, "tests/site"]],
        "course": [[*PYTEST, *BALANCED, "tests/course"]],
        "notebooks": [[*PYTEST, *BALANCED, "tests/notebooks"]],
    }


def run(commands: list[list[str]], environment: dict[str, str]) -> tuple[bool, float]:
    """Run `commands`; return whether all succeeded, and the seconds they took."""
    start = time.perf_counter()
    codes = [
        subprocess.run(command, cwd=ROOT, env=environment | ONE_THREAD, check=False).returncode
        for command in commands
    ]
    return all(code == 0 for code in codes), time.perf_counter() - start


def main() -> None:
    """Run all parts, those named, or all that concerns one lesson."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "parts", nargs="*", help="lint, library, equivalence, site, course, notebooks, nbval; all if none"
    )
    parser.add_argument("--lesson", help="a name such as 02-losses: its twin and its conventions only")
    options = parser.parse_args()

    paths = lesson_paths()
    if options.lesson:
        paths = [path for path in paths if path.stem == options.lesson]
        if not paths:
            sys.exit(
                f"no lesson {options.lesson!r}; there are: {', '.join(path.stem for path in lesson_paths())}"
            )
    twins = [str(path.with_suffix(".ipynb")) for path in paths]
    work = {name: (commands, dict(os.environ)) for name, commands in parts().items()}
    if options.lesson:
        work = {
            "notebooks": ([[*PYTEST, *PARALLEL, "tests/notebooks", "-k", options.lesson]], dict(os.environ))
        }
    for backend in ("torch", "tensorflow"):
        command = [*PYTEST, *PARALLEL, *NBVAL, *twins]
        work[f"nbval under {backend}"] = ([command], execution_environment("reference", backend))
    if options.parts:
        work = {name: job for name, job in work.items() if name.split()[0] in options.parts}

    results = {}
    for name, (commands, environment) in work.items():
        print(f"\n==== {name} ====", flush=True)
        results[name] = run(commands, environment)
    print("\npart                      seconds")
    for name, (good, seconds) in results.items():
        print(f"{name:<24} {seconds:8.1f}{'' if good else '   FAILED'}")
    print(f"{'together':<24} {sum(seconds for _, seconds in results.values()):8.1f}")
    sys.exit(0 if all(good for good, _ in results.values()) else 1)


if __name__ == "__main__":
    main()
