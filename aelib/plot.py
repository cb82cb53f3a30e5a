"""Figures of the lessons: images, reconstructions, curves and codes.

Every function draws with Matplotlib and returns the figure or the axes; none shows it: end a cell with
``plt.show()``. Colours are told apart by colour-blind readers too, and never stand without a marker,
a line style or a label beside them.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# M. Okabe, K. Ito (2008), Color Universal Design; yellow comes last, because it is faint on white.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#F0E442")
# Ten of them, so that the ninth and tenth class, whose colours come round again, differ in shape.
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">")

WIDTH = 6.4  # inches: at this width 10-point text is still readable on a phone
_FONT = 10  # points


def images(
    x: np.ndarray,
    *,
    rows: int | None = None,
    columns: int | None = None,
    titles: Sequence[str] | None = None,
    image_shape: tuple[int, ...] | None = None,
) -> "Figure":
    """Draw a grid of images, 0 black and 1 white.

    Parameters
    ----------
    x : array of shape (n, features), (n, height, width) or (n, height, width, channels)
        Values in [0, 1]; what lies outside is drawn as 0 or 1.
    rows, columns : int, optional
        The grid's size; images beyond it are left out. None: as many as it takes, at most ten columns.
    titles : sequence of str, optional
        One for each image.
    image_shape : (height, width) or (height, width, channels), optional
        Needed for rows of features, unless their number is a square: then the image is square and grey.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If `x` cannot be read as images, or the number of titles differs from that of the images.
    """
    from matplotlib import pyplot as plt

    pictures = _as_images(x, image_shape)
    if titles is not None and len(titles) != len(pictures):
        raise ValueError(f"{len(titles)} titles for {len(pictures)} images; give one for each")
    columns = columns or min(10, -(-len(pictures) // (rows or 1)))
    rows = rows or -(-len(pictures) // columns)
    cell = WIDTH / columns
    height = cell * pictures.shape[1] / pictures.shape[2] + (0.25 if titles is not None else 0)
    figure, grid = plt.subplots(
        rows, columns, figsize=(WIDTH, rows * height), squeeze=False, layout="constrained"
    )
    for index, axes in enumerate(grid.flat):
        axes.axis("off")
        if index < len(pictures):
            _show(axes, pictures[index])
            if titles is not None:
                axes.set_title(titles[index], fontsize=_FONT)
    return figure


def reconstructions(
    x: np.ndarray,
    reconstructed: Mapping[str, np.ndarray],
    *,
    image_shape: tuple[int, ...] | None = None,
) -> "Figure":
    """Draw originals in a first row and one row of reconstructions for each method below.

    Parameters
    ----------
    x : array of shape (n, features), (n, height, width) or (n, height, width, channels)
        The originals, one column each; ten fit well.
    reconstructed : mapping of str to array of the same shape
        A method's name and what it makes of `x`.
    image_shape : (height, width) or (height, width, channels), optional
        As for `images`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If the arrays cannot be read as images, or differ in shape.
    """
    from matplotlib import pyplot as plt

    for label, result in reconstructed.items():
        if np.shape(result) != np.shape(x):
            raise ValueError(f"{label!r} has the shape {np.shape(result)}, the originals {np.shape(x)}")
    series = {"original": _as_images(x, image_shape)}
    series |= {label: _as_images(result, image_shape) for label, result in reconstructed.items()}
    n, pixels_high, pixels_wide = series["original"].shape[:3]
    label_width = 1.1  # inches
    cell = (WIDTH - label_width) / n
    figure, grid = plt.subplots(
        len(series),
        n,
        figsize=(WIDTH, len(series) * max(cell * pixels_high / pixels_wide, 0.3)),
        squeeze=False,
        layout="constrained",
    )
    for axes_row, (label, pictures) in zip(grid, series.items(), strict=True):
        for axes, picture in zip(axes_row, pictures, strict=True):
            _show(axes, picture)
            axes.set(xticks=[], yticks=[])
            axes.spines[:].set_visible(False)
        axes_row[0].set_ylabel(label, rotation=0, ha="right", va="center", fontsize=_FONT)
    return figure


def learning_curves(history: Any, *, ylabel: str = "loss per sample", axes: "Axes | None" = None) -> "Axes":
    """Draw the loss of every epoch: training solid, validation dashed.

    Parameters
    ----------
    history : History, or mapping of str to History
        Has ``loss`` and ``val_loss``, a number for each epoch (``val_loss`` may be empty or None).
        Several are told apart by their labels.
    ylabel : str
        What the loss is, and its unit.
    axes : matplotlib.axes.Axes, optional
        Where to draw; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes
    """
    histories = history if isinstance(history, Mapping) else {"": history}
    axes = _new_axes(axes)
    for index, (label, one) in enumerate(histories.items()):
        prefix = f"{label}, " if label else ""
        for name, style, losses in (("training", "-", one.loss), ("validation", "--", one.val_loss)):
            if losses is not None and len(losses) > 0:
                axes.plot(
                    np.arange(1, len(losses) + 1),
                    losses,
                    linestyle=style,
                    color=OKABE_ITO[index % len(OKABE_ITO)],
                    marker=MARKERS[index % len(MARKERS)],
                    markevery=max(1, len(losses) // 10),
                    markersize=4,
                    label=prefix + name,
                )
    axes.set_xlabel("epoch", fontsize=_FONT)
    axes.set_ylabel(ylabel, fontsize=_FONT)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=_FONT)
    return axes


def codes(
    z: np.ndarray,
    labels: np.ndarray,
    *,
    class_names: Sequence[str] | None = None,
    axes: "Axes | None" = None,
) -> "Axes":
    """Draw two-dimensional codes as points, with a colour, a marker and a name for each class.

    Parameters
    ----------
    z : array of shape (n, 2)
        Codes.
    labels : array of shape (n,), int
        Classes, at most ten different ones.
    class_names : sequence of str, optional
        The name of class i is ``class_names[i]``; None writes the number.
    axes : matplotlib.axes.Axes, optional
        Where to draw; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        The names stand at the classes' medians and in the legend.

    Raises
    ------
    ValueError
        If the codes do not have two dimensions, the labels do not fit, or there are over ten classes.
    """
    from matplotlib.patheffects import withStroke

    z, labels = np.asarray(z), np.asarray(labels)
    if z.ndim != 2 or z.shape[1] != 2:
        raise ValueError(
            f"codes must have the shape (n, 2), not {z.shape}; draw two columns, such as z[:, :2]"
        )
    if labels.shape != (len(z),):
        raise ValueError(f"{len(z)} codes need {len(z)} labels, not an array of shape {labels.shape}")
    classes = np.unique(labels)
    if len(classes) > len(MARKERS):
        raise ValueError(f"{len(classes)} classes cannot be told apart; draw at most {len(MARKERS)}")
    axes = _new_axes(axes, height=5.0)
    for index, label in enumerate(classes):
        points = z[labels == label]
        name = str(label) if class_names is None else class_names[label]
        colour = OKABE_ITO[index % len(OKABE_ITO)]
        axes.scatter(
            *points.T, s=14, marker=MARKERS[index], color=colour, alpha=0.6, linewidths=0, label=name
        )
        axes.annotate(
            name,
            np.median(points, axis=0),
            ha="center",
            va="center",
            fontsize=_FONT + 2,
            fontweight="bold",
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )
    axes.set_xlabel("code 1", fontsize=_FONT)
    axes.set_ylabel("code 2", fontsize=_FONT)
    axes.legend(fontsize=_FONT, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=1.5)
    return axes


def code_plane(
    decode: Callable[[np.ndarray], np.ndarray],
    extent: tuple[float, float, float, float],
    n: int = 15,
    *,
    image_shape: tuple[int, ...] | None = None,
    axes: "Axes | None" = None,
) -> "Axes":
    """Draw what a decoder makes of a grid of two-dimensional codes, each image at its code's place.

    Parameters
    ----------
    decode : callable
        Takes codes ``(m, 2)``, gives images as `images` takes them; an estimator's `inverse_transform`.
    extent : (left, right, bottom, top)
        The part of the code plane; an image shows the code at the middle of its cell.
    n : int, default=15
        Images in a row and in a column.
    image_shape : (height, width) or (height, width, channels), optional
        As for `images`.
    axes : matplotlib.axes.Axes, optional
        Where to draw; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If the extent is empty, or the decoder's result cannot be read as images.
    """
    left, right, bottom, top = extent
    if not (left < right and bottom < top):
        raise ValueError(
            f"extent must be (left, right, bottom, top) with left < right and bottom < top, not {extent}"
        )
    middles = (np.arange(n) + 0.5) / n
    across, up = left + middles * (right - left), bottom + middles * (top - bottom)
    # The first row of pixels is the top of the picture: the largest second coordinate.
    grid = np.stack(np.meshgrid(across, up[::-1]), axis=-1).reshape(-1, 2)
    pictures = _as_images(decode(grid), image_shape)
    height, width, channels = pictures.shape[1:]
    canvas = pictures.reshape(n, n, height, width, channels).transpose(0, 2, 1, 3, 4)
    axes = _new_axes(axes, height=WIDTH * height / width)
    _show(axes, canvas.reshape(n * height, n * width, channels), extent=extent)
    # Pixels stay square, however the plane is cut.
    axes.set_aspect(height / (top - bottom) * (right - left) / width)
    axes.set_xlabel("code 1", fontsize=_FONT)
    axes.set_ylabel("code 2", fontsize=_FONT)
    return axes


def error_against_code_size(
    sizes: Sequence[int],
    errors: Mapping[str, Sequence[float]],
    *,
    ylabel: str = "squared error per sample",
    axes: "Axes | None" = None,
) -> "Axes":
    """Draw the error of several methods over the size of the code.

    Parameters
    ----------
    sizes : sequence of int
        Code sizes, drawn on a logarithmic axis.
    errors : mapping of str to sequence of float
        A method's name and its error at each size.
    ylabel : str
        What the error is, and its unit.
    axes : matplotlib.axes.Axes, optional
        Where to draw; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ValueError
        If a method does not have one error for each size.
    """
    axes = _new_axes(axes)
    for index, (label, values) in enumerate(errors.items()):
        if len(values) != len(sizes):
            raise ValueError(f"{label!r} has {len(values)} errors for {len(sizes)} code sizes")
        style = {"color": OKABE_ITO[index % len(OKABE_ITO)], "marker": MARKERS[index % len(MARKERS)]}
        axes.plot(sizes, values, label=label, **style)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(sizes), labels=[str(size) for size in sizes])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_xlabel("code size (numbers per sample)", fontsize=_FONT)
    axes.set_ylabel(ylabel, fontsize=_FONT)
    axes.legend(fontsize=_FONT)
    return axes


def _new_axes(axes: "Axes | None", height: float = 4.0) -> "Axes":
    if axes is not None:
        return axes
    from matplotlib import pyplot as plt

    return plt.subplots(figsize=(WIDTH, height), layout="constrained")[1]


def _show(axes: "Axes", picture: np.ndarray, **where: Any) -> None:
    if picture.shape[-1] == 1:
        picture = picture[..., 0]
    axes.imshow(np.clip(picture, 0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest", **where)


def _as_images(x: np.ndarray, image_shape: tuple[int, ...] | None) -> np.ndarray:
    """Return `x` as (n, height, width, channels) with one or three channels."""
    x = np.asarray(x)
    if x.ndim == 2 and image_shape is None:
        side = round(x.shape[1] ** 0.5)
        if side**2 != x.shape[1]:
            raise ValueError(
                f"rows of {x.shape[1]} features are no square image; pass image_shape=(height, width)"
            )
        image_shape = (side, side)
    if x.ndim == 2:
        if x.shape[1] != np.prod(image_shape):
            raise ValueError(f"rows of {x.shape[1]} features do not fill images of the shape {image_shape}")
        x = x.reshape(len(x), *image_shape)
    if x.ndim == 3:
        x = x[..., np.newaxis]
    if x.ndim != 4 or x.shape[-1] not in (1, 3) or len(x) == 0:
        raise ValueError(
            "images have the shape (n, features), (n, height, width) or (n, height, width, channels) with at "
            f"least one image and 1 or 3 channels, not {x.shape}"
        )
    return x
