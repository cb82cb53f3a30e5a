"""A reader's own data: a folder of images, or a table."""

import csv
import math
import os
from pathlib import Path

import numpy as np
from sklearn.utils import check_random_state

from aelib import settings
from aelib.data import Dataset

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


def from_images(
    folder: str | os.PathLike,
    *,
    size: tuple[int, int] | None = None,
    grayscale: bool = False,
    validation: float = 0.1,
    test: float = 0.1,
    random_state: int | np.random.RandomState | None = 0,
) -> Dataset:
    """Read a folder of images; if it has subfolders with images, their names are the classes.

    Parameters
    ----------
    folder : path
        Holds PNG, JPEG, BMP, GIF (first picture), TIFF or WebP files of 8 bits per channel.
    size : (height, width), optional
        In pixels. Each image is scaled to it; what sticks out is cut off evenly, so that nothing is
        distorted. None: all images must have the same size.
    grayscale : bool, default=False
        True: one channel (luminance); False: three (red, green, blue). Transparency is dropped.
    validation, test : float, default=0.1
        The shares of these parts, drawn at random.
    random_state : int, RandomState or None, default=0
        Decides which image goes to which part.

    Returns
    -------
    Dataset
        Rows of ``height * width * channels`` values: pixels divided by 255.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If there are no images or too few, their sizes differ, or one cannot be read.
    """
    from tqdm.auto import tqdm

    folder = Path(folder)
    paths = _image_paths(folder)
    # In a notebook tqdm overlooks its own variable.
    bar = tqdm(paths, desc="images", leave=False, disable="TQDM_DISABLE" in os.environ)
    pictures = [_read_image(path, size, grayscale) for path in bar]
    for path, picture in zip(paths, pictures, strict=True):
        if picture.shape != pictures[0].shape:
            raise ValueError(
                f"images of different sizes: {paths[0]} has {pictures[0].shape[:2]} pixels (height, width), "
                f"{path} has {picture.shape[:2]}; pass size=(height, width) to scale them all"
            )
    parts = _split(len(paths), validation, test, random_state)
    x = np.stack(pictures).reshape(len(paths), -1)
    x = x.astype(settings.resolve_dtype(None)) / 255
    labels = [path.parent.name for path in paths]
    has_classes = paths[0].parent != folder
    class_names, y = _number_classes(labels) if has_classes else (None, None)
    return Dataset(
        folder.name,
        *(x[part] for part in parts),
        *(None if y is None else y[part] for part in parts),
        image_shape=pictures[0].shape,
        class_names=class_names,
        maximum=255.0,
        source=str(folder),
    )


def from_table(
    path: str | os.PathLike,
    *,
    target: str | None = None,
    validation: float = 0.1,
    test: float = 0.1,
    random_state: int | np.random.RandomState | None = 0,
) -> Dataset:
    """Read a table of numbers from a CSV file whose first row names the columns.

    Parameters
    ----------
    path : path
        Comma-separated, UTF-8.
    target : str, optional
        The column that holds class labels (any text); it is left out of the features.
    validation, test : float, default=0.1
        The shares of these parts, drawn at random.
    random_state : int, RandomState or None, default=0
        Decides which row goes to which part.

    Returns
    -------
    Dataset
        Each column is scaled to [0, 1] by the training part's minimum and maximum (so that validation
        and test values can lie outside); a column that is constant there becomes value minus minimum.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If a value is missing or not a finite number (the message names row and column), or the header, the
        target or the number of rows does not fit.
    """
    path = Path(path)
    header, rows = _read_csv(path)
    if target is not None and target not in header:
        raise ValueError(f"no column {target!r} in {path}; its columns are: {', '.join(header)}")
    feature_names = tuple(name for name in header if name != target)
    if not feature_names:
        raise ValueError(f"{path} has no column besides the target {target!r}; features are needed")
    parts = _split(len(rows), validation, test, random_state)
    columns = [header.index(name) for name in feature_names]
    x = np.array([[_number(cells[c], path, line, header[c]) for c in columns] for line, cells in rows])
    class_names = y = None
    if target is not None:
        class_names, y = _number_classes([_label(cells, header, target, path, line) for line, cells in rows])
    minimum, maximum = x[parts[0]].min(axis=0), x[parts[0]].max(axis=0)
    span = np.where(maximum > minimum, maximum - minimum, 1)
    x = ((x - minimum) / span).astype(settings.resolve_dtype(None))
    return Dataset(
        path.stem,
        *(x[part] for part in parts),
        *(None if y is None else y[part] for part in parts),
        class_names=class_names,
        feature_names=feature_names,
        minimum=minimum,
        maximum=np.where(maximum > minimum, maximum, minimum + 1),
        source=str(path),
    )


def _split(n: int, validation: float, test: float, random_state) -> list[np.ndarray]:
    """Return the shuffled indices of the train, validation and test parts."""
    for name, share in {"validation": validation, "test": test}.items():
        if not 0 < share < 1:
            raise ValueError(f"{name} must be a share between 0 and 1, not {share!r}")
    n_validation, n_test = round(validation * n), round(test * n)
    n_train = n - n_validation - n_test
    if min(n_train, n_validation, n_test) < 1:
        raise ValueError(
            f"{n} samples are too few: validation={validation} and test={test} leave {n_train} for train, "
            f"{n_validation} for validation and {n_test} for test; each part needs at least one"
        )
    order = check_random_state(random_state).permutation(n)
    return np.split(order, [n_train, n_train + n_validation])


def _number_classes(labels: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    order = float if all(_is_number(label) for label in labels) else str  # as text, "10" precedes "2"
    names = tuple(sorted(set(labels), key=order))
    number = {name: index for index, name in enumerate(names)}
    return names, np.array([number[label] for label in labels], dtype=np.int64)


def _images_in(folder: Path) -> list[Path]:
    return [path for path in _visible(folder) if path.suffix.lower() in IMAGE_SUFFIXES]


def _visible(folder: Path) -> list[Path]:
    # Names with a leading dot are what file managers leave behind ("._photo.jpg", ".thumbnails").
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _image_paths(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}")
    here = _images_in(folder)
    below = [path for sub in _visible(folder) if sub.is_dir() for path in _images_in(sub)]
    if here and below:
        raise ValueError(
            f"{folder} has images beside its subfolders ({here[0].name} and others): put all of them into "
            "subfolders, one per class, or none"
        )
    if not here and not below:
        raise ValueError(
            f"no images in {folder} or its subfolders; files ending in {', '.join(IMAGE_SUFFIXES)} count"
        )
    return here or below


def _read_image(path: Path, size: tuple[int, int] | None, grayscale: bool) -> np.ndarray:
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            # Cameras store a turned picture unturned, with a note.
            picture = ImageOps.exif_transpose(file)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"cannot read the image {path} ({error}); repair it or take it out") from error
    if picture.mode[0] in "IF":  # Pillow would cut these off at 255
        raise ValueError(
            f"{path} has more than 8 bits per pixel (mode {picture.mode}); convert it to 8 bits first"
        )
    picture = picture.convert("L" if grayscale else "RGB")
    if size is not None:
        height, width = size
        picture = ImageOps.fit(picture, (width, height))
    pixels = np.asarray(picture)
    return pixels[:, :, np.newaxis] if grayscale else pixels


def _read_csv(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return the header, and each row with its line number in the file."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            rows = [(reader.line_num, cells) for cells in reader if cells]
    except (UnicodeDecodeError, csv.Error) as error:
        raise ValueError(f"{path} is not a CSV file in UTF-8 ({error}); save it as one") from error
    if not header or "" in header or len(set(header)) < len(header):
        raise ValueError(
            f"the first row of {path} must name every column, each differently; it reads {header}"
        )
    if all(_is_number(name) for name in header):
        raise ValueError(f"the first row of {path} holds numbers; it must hold the names of the columns")
    for line, cells in rows:
        if len(cells) != len(header):
            raise ValueError(
                f"{path}, row {line}: {len(cells)} values, but the header names {len(header)} columns"
            )
    return header, rows


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _number(text: str, path: Path, line: int, column: str) -> float:
    if not _is_number(text):
        what = "a missing value" if not text.strip() else f"{text!r}, which is not a finite number"
        raise ValueError(
            f"{path}, row {line}, column {column!r}: {what}; fill it in, take the row out, "
            "or name the column of class labels with target="
        )
    return float(text)


def _label(cells: list[str], header: list[str], target: str, path: Path, line: int) -> str:
    label = cells[header.index(target)].strip()
    if not label:
        raise ValueError(
            f"{path}, row {line}, column {target!r}: a missing label; fill it in or take the row out"
        )
    return label
