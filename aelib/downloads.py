"""Published data files: where they come from, what they must contain, where they are kept.

A file lies at ``<data folder>/<dataset>/<original file name>`` and is taken only if its SHA-256
checksum is the published one. What is missing or damaged is fetched, from one mirror after the other.
"""

import hashlib
import json
import os
import warnings
from importlib.resources import files
from pathlib import Path

from aelib import settings

# What is known of each data set: its licence, its classes, and of published files the folders on the web
# that hold them (tried in this order) and their checksums. Fashion-MNIST's first mirror answers nothing but
# plain http; the checksum guards the content.
KNOWN = json.loads(files("aelib").joinpath("datasets.json").read_text(encoding="utf-8"))
MIRRORS = {name: known["mirrors"] for name, known in KNOWN.items() if "mirrors" in known}
SHA256 = {name: known["sha256"] for name, known in KNOWN.items() if "sha256" in known}


def fetch(dataset: str, file_name: str) -> Path:
    """Return the path of a published data file, fetched first where it is missing or damaged.

    Parameters
    ----------
    dataset : str
        A key of `MIRRORS`: "mnist", "fashion_mnist" or "ecg".
    file_name : str
        The file's original name, a key of ``SHA256[dataset]``.

    Returns
    -------
    Path
        A file with the published checksum. The data folder is written to only if something is fetched.

    Raises
    ------
    OSError
        If a file is there but cannot be read, if the folder cannot be written to, or if no mirror
        delivers the file.
    """
    path = settings.get_data_dir() / dataset / file_name
    published = SHA256[dataset][file_name]
    damaged = False
    if path.exists():
        if _checksum(path) == published:
            return path
        damaged = True
        warnings.warn(
            f"{path} is cut short or altered (its SHA-256 is not the published one); fetching it again",
            stacklevel=2,
        )
    _prepare_folder(path.parent, file_name)
    failures = []
    for mirror in MIRRORS[dataset]:
        try:
            _download(mirror + file_name, path, published)
        except (OSError, ValueError) as error:  # requests' errors are OSErrors, a wrong checksum a ValueError
            failures.append(f"  {mirror + file_name}: {error}")
        else:
            return path
    state = "is cut short or altered" if damaged else "is missing"
    raise OSError(
        f"the data file {path} {state}, and no mirror delivered it:\n" + "\n".join(failures) + "\n"
        "Connect to the network and try again, or copy the files there by hand: "
        f"the environment variable AELIB_DATA_DIR (now {settings.get_data_dir()}) names the folder, "
        f"which holds {_layout(dataset)}. Without any download there is load_dataset('digits')."
    )


def _layout(dataset: str) -> str:
    return ", ".join(f"{dataset}/{name}" for name in SHA256[dataset])


def _checksum(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise OSError(
            f"the data file {path} is there but cannot be read ({error.strerror}); "
            "give yourself the right to read it, or remove it so that it is fetched again"
        ) from error


def _prepare_folder(folder: Path, file_name: str) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
        reason = "no right to write"
    except OSError as error:
        writable = False
        reason = error.strerror
    if not writable:
        raise OSError(
            f"{file_name} has to be fetched, but the folder {folder} cannot be written to ({reason}); "
            "set AELIB_DATA_DIR to a folder of your own"
        )


def _download(url: str, path: Path, published: str) -> None:
    # pooch writes to a temporary file and moves it here only if its checksum is right, so that an
    # interrupted transfer is never taken for the whole.
    import pooch
    from tqdm.auto import tqdm

    # The size is unknown until the server answers; pooch then sets it, but asks for the bar's truth
    # value before, which tqdm has only with a total. In a notebook tqdm overlooks its own variable.
    hidden = "TQDM_DISABLE" in os.environ
    with tqdm(desc=path.name, total=1, unit="B", unit_scale=True, leave=False, disable=hidden) as bar:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{published}",
            fname=path.name,
            path=path.parent,
            downloader=pooch.HTTPDownloader(progressbar=bar),
        )
