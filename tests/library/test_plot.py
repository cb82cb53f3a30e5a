"""Figures show what they are given, with labelled axes; showing and closing them is the caller's."""

from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aelib import plot

RANDOM = np.random.RandomState(0)
X = RANDOM.uniform(size=(12, 64))
HISTORY = SimpleNamespace(loss=[3.0, 2.0, 1.5], val_loss=[3.5, 2.5, 2.25])
Z, LABELS = RANDOM.normal(size=(50, 2)), np.arange(50) % 10


@pytest.fixture(autouse=True)
def canvas(monkeypatch):
    """Draw into memory; neither show nor close may be called."""
    before = matplotlib.get_backend(auto_select=False)
    plt.switch_backend("agg")
    plt.close("all")
    with monkeypatch.context() as patch:
        for name in ("show", "close"):
            patch.setattr(plt, name, lambda *arguments, name=name: pytest.fail(f"plt.{name} was called"))
        yield
    plt.close("all")
    if before is not None:
        plt.switch_backend(before)


def pixels(axes):
    """Return the numbers between 0 and 1 that an image's axes show."""
    return np.asarray(axes.images[0].get_array())


def labels_of(axes):
    return axes.get_xlabel(), axes.get_ylabel()


def legend_of(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def decode(z):
    return np.clip(np.repeat(z[:, :1], 64, axis=1), 0, 1)


FIGURES = {
    "images": lambda: plot.images(X, titles=list("abcdefghijkl")),
    "reconstructions": lambda: plot.reconstructions(X[:5], {"PCA": X[:5], "autoencoder": X[:5]}),
}
AXES = {
    "learning_curves": lambda axes=None: plot.learning_curves(HISTORY, axes=axes),
    "codes": lambda axes=None: plot.codes(Z, LABELS, axes=axes),
    "code_plane": lambda axes=None: plot.code_plane(decode, (0, 1, 0, 1), 4, axes=axes),
    "error_against_code_size": lambda axes=None: plot.error_against_code_size(
        [1, 2, 4], {"PCA": [3, 2, 1]}, axes=axes
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_function_that_makes_a_grid_returns_its_figure(name):
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    assert plt.get_fignums() == [figure.number]
    assert figure.get_figwidth() == pytest.approx(plot.WIDTH)
    figure.canvas.draw()


@pytest.mark.parametrize("name", AXES)
def test_a_function_that_draws_one_picture_returns_its_axes(name):
    axes = AXES[name]()
    assert isinstance(axes, Axes)
    assert plt.get_fignums() == [axes.figure.number]
    assert all(labels_of(axes))
    axes.figure.canvas.draw()


@pytest.mark.parametrize("name", AXES)
def test_axes_that_are_given_are_drawn_on(name):
    figure, (left, right) = plt.subplots(1, 2)
    assert AXES[name](right) is right
    assert plt.get_fignums() == [figure.number]
    assert right.has_data()
    assert not left.has_data()


def test_images_are_shown_in_order_on_a_scale_from_black_to_white():
    figure = plot.images(X)
    assert len(figure.axes) == 20  # ten columns, two rows
    shown = [axes for axes in figure.axes if axes.images]
    assert len(shown) == 12
    for axes, row in zip(shown, X, strict=True):
        np.testing.assert_allclose(pixels(axes), row.reshape(8, 8))
        assert axes.images[0].get_clim() == (0, 1)
        assert axes.images[0].get_cmap()(1.0)[:3] == (1, 1, 1)
        assert axes.images[0].get_cmap()(0.0)[:3] == (0, 0, 0)
        assert not axes.axison
    assert not any(axes.axison for axes in figure.axes)


@pytest.mark.parametrize(
    ("rows", "columns", "shape", "shown"),
    [
        (None, 4, (3, 4), 12),
        (3, None, (3, 4), 12),
        (2, 3, (2, 3), 6),
        (None, 5, (3, 5), 12),
        (1, None, (1, 10), 10),
    ],
)
def test_the_grid_is_as_large_as_asked(rows, columns, shape, shown):
    figure = plot.images(X, rows=rows, columns=columns)
    assert figure.axes[0].get_gridspec().get_geometry() == shape
    assert sum(bool(axes.images) for axes in figure.axes) == shown


def test_images_have_titles():
    figure = plot.images(X[:3], titles=["one", "two", "three"])
    assert [axes.get_title() for axes in figure.axes] == ["one", "two", "three"]
    with pytest.raises(ValueError, match="2 titles for 3 images"):
        plot.images(X[:3], titles=["one", "two"])


@pytest.mark.parametrize(
    ("x", "image_shape", "shown"),
    [
        (X[:, :60], (6, 10), (6, 10)),
        (X[:, :60], (6, 10, 1), (6, 10)),
        (X[:, :60], (4, 5, 3), (4, 5, 3)),
        (X.reshape(12, 4, 16), None, (4, 16)),
        (X.reshape(12, 4, 16, 1), None, (4, 16)),
        (X[:, :48].reshape(12, 4, 4, 3), None, (4, 4, 3)),
    ],
)
def test_images_of_any_shape(x, image_shape, shown):
    figure = plot.images(x, image_shape=image_shape)
    np.testing.assert_allclose(pixels(figure.axes[1]), x[1].reshape(shown))


def test_values_outside_are_drawn_as_black_and_white():
    figure = plot.images(4 * X - 2)
    np.testing.assert_allclose(pixels(figure.axes[0]), np.clip(4 * X[0] - 2, 0, 1).reshape(8, 8))


@pytest.mark.parametrize(
    ("x", "image_shape", "message"),
    [
        (X[:, :60], None, r"60 features are no square image; pass image_shape="),
        (X, (8, 7), r"64 features do not fill images of the shape \(8, 7\)"),
        (X[0], None, "images have the shape"),
        (X[:0], None, "at least one image"),
        (X.reshape(12, 4, 8, 2), None, r"1 or 3 channels, not \(12, 4, 8, 2\)"),
        (X.reshape(12, 1, 8, 8, 1), None, "images have the shape"),
    ],
)
def test_what_cannot_be_read_as_images_is_refused(x, image_shape, message):
    with pytest.raises(ValueError, match=message):
        plot.images(x, image_shape=image_shape)
    with pytest.raises(ValueError, match=message):
        plot.reconstructions(x, {"same": x}, image_shape=image_shape)
    assert plt.get_fignums() == []


def test_reconstructions_stand_below_their_originals_with_their_names():
    methods = {"PCA": X[:5] / 2, "autoencoder": X[:5] / 4}
    figure = plot.reconstructions(X[:5], methods)
    grid = np.reshape(figure.axes, (3, 5))
    assert [axes.get_ylabel() for axes in grid[:, 0]] == ["original", "PCA", "autoencoder"]
    for axes_row, series in zip(grid, [X[:5], *methods.values()], strict=True):
        for axes, row in zip(axes_row, series, strict=True):
            np.testing.assert_allclose(pixels(axes), row.reshape(8, 8))
            assert len(axes.get_xticks()) == len(axes.get_yticks()) == 0


def test_reconstructions_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"'PCA' has the shape \(4, 64\), the originals \(5, 64\)"):
        plot.reconstructions(X[:5], {"PCA": X[:4]})


def test_learning_curves_show_every_epoch():
    axes = plot.learning_curves(HISTORY, ylabel="squared error")
    assert labels_of(axes) == ("epoch", "squared error")
    training, validation = axes.get_lines()
    np.testing.assert_array_equal(training.get_xdata(), [1, 2, 3])
    np.testing.assert_array_equal(training.get_ydata(), HISTORY.loss)
    np.testing.assert_array_equal(validation.get_ydata(), HISTORY.val_loss)
    assert (training.get_linestyle(), validation.get_linestyle()) == ("-", "--")
    assert legend_of(axes) == ["training", "validation"]


@pytest.mark.parametrize("nothing", [None, []])
def test_learning_curves_without_validation(nothing):
    axes = plot.learning_curves(SimpleNamespace(loss=[1.0], val_loss=nothing))
    assert legend_of(axes) == ["training"]


def test_several_learning_curves_are_told_apart():
    axes = plot.learning_curves({"Adam": HISTORY, "SGD": HISTORY})
    assert legend_of(axes) == ["Adam, training", "Adam, validation", "SGD, training", "SGD, validation"]
    colours = [line.get_color() for line in axes.get_lines()]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    markers = [line.get_marker() for line in axes.get_lines()]
    assert markers[0] == markers[1] != markers[2] == markers[3]


def test_codes_have_a_look_and_a_name_for_each_class():
    names = [f"class {letter}" for letter in "abcdefghij"]
    axes = plot.codes(Z, LABELS, class_names=names)
    assert labels_of(axes) == ("code 1", "code 2")
    assert legend_of(axes) == names
    assert [text.get_text() for text in axes.texts] == names
    looks = set()
    for label, (points, text) in enumerate(zip(axes.collections, axes.texts, strict=True)):
        np.testing.assert_array_equal(points.get_offsets(), Z[label == LABELS])
        np.testing.assert_allclose(text.xy, np.median(Z[label == LABELS], axis=0))
        looks.add((tuple(points.get_facecolor()[0]), points.get_paths()[0].vertices.tobytes()))
    assert len(looks) == 10


def test_classes_keep_their_names_where_some_are_absent():
    some = np.isin(LABELS, [3, 7])
    assert legend_of(plot.codes(Z[some], LABELS[some], class_names=list("abcdefghij"))) == ["d", "h"]
    assert legend_of(plot.codes(Z[some], LABELS[some])) == ["3", "7"]


@pytest.mark.parametrize(
    ("z", "labels", "message"),
    [
        (np.zeros((50, 3)), LABELS, r"shape \(n, 2\), not \(50, 3\); draw two columns"),
        (np.zeros(50), LABELS, r"shape \(n, 2\), not \(50,\)"),
        (Z, LABELS[:49], r"50 codes need 50 labels, not an array of shape \(49,\)"),
        (Z, LABELS[:, np.newaxis], r"50 labels, not an array of shape \(50, 1\)"),
        (Z, np.arange(50) % 11, "11 classes cannot be told apart; draw at most 10"),
    ],
)
def test_codes_that_do_not_fit_are_refused(z, labels, message):
    with pytest.raises(ValueError, match=message):
        plot.codes(z, labels)


def test_the_code_plane_shows_each_image_at_its_codes_place():
    def decode(z):  # two pixels side by side: the first coordinate, then the second
        return z.reshape(-1, 1, 2)

    axes = plot.code_plane(decode, (0, 1, 0, 0.5), 4)
    assert labels_of(axes) == ("code 1", "code 2")
    image = axes.images[0]
    assert tuple(image.get_extent()) == (0, 1, 0, 0.5)
    across, up = pixels(axes)[:, 0::2], pixels(axes)[:, 1::2]
    np.testing.assert_allclose(across, np.tile([0.125, 0.375, 0.625, 0.875], (4, 1)))
    # The first row is drawn on top: the largest second coordinate.
    assert image.origin == "upper"
    np.testing.assert_allclose(up, np.tile([0.4375, 0.3125, 0.1875, 0.0625], (4, 1)).T)


def test_pixels_of_the_code_plane_are_square():
    axes = plot.code_plane(decode, (-1, 3, 0, 1), 3)
    axes.figure.canvas.draw()
    box = axes.get_window_extent()
    assert box.width / box.height == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize("extent", [(1, 1, 0, 1), (1, 0, 0, 1), (0, 1, 1, 0)])
def test_an_empty_extent_is_refused(extent):
    with pytest.raises(ValueError, match="left < right and bottom < top, not"):
        plot.code_plane(decode, extent)


def test_a_decoder_that_makes_no_images_is_refused():
    with pytest.raises(ValueError, match="5 features are no square image"):
        plot.code_plane(lambda z: np.zeros((len(z), 5)), (0, 1, 0, 1), 2)
    with pytest.raises(ValueError):
        plot.code_plane(lambda z: np.zeros((len(z) - 1, 64)), (0, 1, 0, 1), 2)


def test_errors_stand_over_their_code_sizes():
    errors = {"PCA": [9.0, 5.0, 3.0], "autoencoder": [8.0, 4.0, 2.0]}
    axes = plot.error_against_code_size([2, 8, 32], errors, ylabel="error")
    assert labels_of(axes) == ("code size (numbers per sample)", "error")
    assert legend_of(axes) == ["PCA", "autoencoder"]
    for line, values in zip(axes.get_lines(), errors.values(), strict=True):
        np.testing.assert_array_equal(line.get_xdata(), [2, 8, 32])
        np.testing.assert_array_equal(line.get_ydata(), values)
    assert len({(line.get_color(), line.get_marker()) for line in axes.get_lines()}) == 2
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["2", "8", "32"]
    assert axes.get_ylim()[0] == 0  # or small differences look large


def test_errors_that_do_not_fit_the_sizes_are_refused():
    with pytest.raises(ValueError, match="'PCA' has 2 errors for 3 code sizes"):
        plot.error_against_code_size([1, 2, 3], {"PCA": [1, 2]})
