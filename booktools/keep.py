"""Keeping a reader's work: what a lesson shows and trains, written to files after every cell.

The set-up cell calls `keep_work`. Nothing that goes wrong here stops a lesson: it is said once, and the
lesson goes on. No file is written over: each run has a dated folder of its own, each cell its own names.
"""

import base64
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

HOME, DRIVE = "my home folder", "Google Drive"
# Not the repository's own name: many have it cloned in their home folder.
FOLDER = "autoencoder-lessons-work"
MOUNT = Path("/content/drive")
_IMAGES = {"image/png": ".png", "image/jpeg": ".jpg", "image/svg+xml": ".svg"}

_keeper: "Keeper | None" = None


def keep_work(lesson: str, where: str) -> None:
    """Write each figure shown and each model fitted from now on to a folder, and say to which.

    Parameters
    ----------
    lesson : str
        The lesson's name, such as ``"02-losses"``.
    where : {"my home folder", "Google Drive"}
        Where Drive cannot be had, as outside Colab, the home folder is taken instead.
    """
    global _keeper
    if _keeper is not None:  # the set-up cell runs a second time
        _keeper.stop()
        _keeper = None
    if where not in (HOME, DRIVE):
        print(f"Nothing is kept: keep is {where!r}; it can be 'nothing', {HOME!r} or {DRIVE!r}.")
        return
    drive = _mount_drive() if where == DRIVE else None
    for base in filter(None, (drive, Path.home())):
        folder = base / FOLDER / lesson
        try:
            _keeper = Keeper(_new_folder(folder))
        except Exception as error:
            print(f"{folder} cannot be used ({error}).")
        else:
            print(f"Figures and models of this lesson are kept in {_keeper.folder}")
            print(_how_long(base), end="")
            return
    print("Nothing is kept. The lesson runs all the same.")


def pack() -> Path:
    """Put all that was kept in this run into one zip file, to download it; return the file."""
    if _keeper is None:
        raise RuntimeError("nothing is kept; choose where to in the set-up cell and run it")
    return Path(shutil.make_archive(str(_keeper.folder), "zip", _keeper.folder))


def _mount_drive() -> Path | None:
    """Return the reader's Drive, or None and a message if it cannot be had."""
    try:
        from google.colab import drive

        drive.mount(str(MOUNT))
    except ImportError:
        print("Google Drive can be reached from Colab only; the home folder is taken instead.")
        return None
    except Exception as error:  # what Colab raises is not documented
        reason = f"{type(error).__name__}: {error}"
    else:
        if (MOUNT / "MyDrive").is_dir():
            return MOUNT / "MyDrive"
        reason = f"there is no {MOUNT / 'MyDrive'}"
    print(f"Google Drive was not mounted ({reason}); the home folder is taken instead.")
    return None


def _how_long(base: Path) -> str:
    """Return a line of warning where the home folder is lost with the session."""
    if base.is_relative_to(MOUNT):
        return ""
    advice = (
        "before you leave, run\n    import booktools.keep; booktools.keep.pack()\n"
        "and download the file that it names (in the file browser: right click, Download).\n"
    )
    if "google.colab" in sys.modules:
        return f"Colab forgets this folder with the session: choose {DRIVE!r} instead, or {advice}"
    if "BINDER_LAUNCH_HOST" in os.environ:
        return f"Binder forgets this folder with the session: {advice}"
    return ""


def _new_folder(parent: Path) -> Path:
    """Make and return a folder with today's date: 2026-11-22, or 2026-11-22-2 if that is there."""
    parent.mkdir(parents=True, exist_ok=True)
    name, count = date.today().isoformat(), 1
    while True:
        folder = parent / (name if count == 1 else f"{name}-{count}")
        try:
            folder.mkdir()
            return folder
        except FileExistsError:
            count += 1


class Keeper:
    """Writes to `folder` what the running notebook shows and fits.

    Parameters
    ----------
    folder : Path
        There already.
    """

    def __init__(self, folder: Path) -> None:
        from IPython import get_ipython

        self.folder = folder
        self.shell = get_ipython()
        self.failed = False
        self.kept: set[tuple[str, str]] = set()  # variables and digests of their weights
        # Figures leave the kernel through this, whether plt.show, display or the end of the cell sends them.
        self.shell.display_pub.register_hook(self.see)
        self.shell.events.register("post_run_cell", self.end_cell)

    def stop(self) -> None:
        """Keep nothing from now on."""
        self.shell.display_pub.unregister_hook(self.see)
        self.shell.events.unregister("post_run_cell", self.end_cell)

    def see(self, message: dict) -> dict:
        """Write the image that a message to the notebook carries, and pass the message on."""
        try:
            if message["header"]["msg_type"] == "display_data":
                self._write_image(message["content"]["data"])
        except Exception as error:
            self._complain(error)
        return message

    def end_cell(self, result: Any) -> None:
        """Write each model that was fitted, or fitted again, in the cell."""
        for name, model in list(_fitted_models(self.shell.user_ns)):
            try:
                key = (name, _digest(model))
                if key not in self.kept:
                    model.save(self._free_path(name, ".npz"))
                    self.kept.add(key)
            except Exception as error:
                self._complain(error)

    def _write_image(self, data: dict[str, Any]) -> None:
        for kind, ending in _IMAGES.items():
            if kind in data:
                text = "".join(data[kind])
                content = text.encode() if ending == ".svg" else base64.b64decode(text)
                path = self._free_path("figure", ending)
                try:
                    path.write_bytes(content)
                except OSError:
                    path.unlink(missing_ok=True)  # half a figure is none
                    raise
                return

    def _free_path(self, name: str, ending: str) -> Path:
        # The number beside the cell; execution_count is one more or not, depending on IPython's version.
        cell = len(self.shell.history_manager.input_hist_parsed) - 1
        stem = f"cell-{cell:02d}-{name}"
        count = 1
        while (path := self.folder / f"{stem}{'' if count == 1 else f'-{count}'}{ending}").exists():
            count += 1
        return path

    def _complain(self, error: Exception) -> None:
        if not self.failed:
            self.failed = True
            print(
                f"Not kept: what this cell made could not be written to {self.folder} ({error}). "
                "The lesson goes on, and later cells try again. Is the disk full, or Drive disconnected?"
            )


def _fitted_models(namespace: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield name and estimator of all fitted ones, also those in lists and dictionaries."""
    base = sys.modules.get("aelib.base")
    if base is None:
        return
    for name, value in namespace.items():
        if name.startswith("_") or name in ("In", "Out"):  # IPython's own
            continue
        for path, item in _with_items(name, value):
            if isinstance(item, base.BaseAutoencoder) and hasattr(item, "network_"):
                yield re.sub(r"[^\w.]+", "-", path).strip("-"), item


def _with_items(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    yield name, value
    if isinstance(value, dict):
        yield from ((f"{name}-{key}", item) for key, item in value.items())
    elif isinstance(value, list | tuple):
        yield from ((f"{name}-{index}", item) for index, item in enumerate(value))


def _digest(model: Any) -> str:
    digest = hashlib.sha256()
    for name, array in sorted(model.get_weights().items()):
        digest.update(name.encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
