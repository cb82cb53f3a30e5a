"""A reader's own images and tables become data sets; what does not fit is named."""

import io

import numpy as np
import pytest
import tqdm
import tqdm.auto
from PIL import Image

import aelib
from aelib import settings


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    monkeypatch.setattr(settings, "_configured", {})
    monkeypatch.delenv("AELIB_PROFILE", raising=False)


def picture(number, height=4, width=6):
    """Return a picture of one colour, different for each number."""
    return Image.new("RGB", (width, height), (number, 100, 200 - number))


def write(folder, count, *, suffix=".png", start=0, **size):
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(start, start + count):
        picture(number, **size).save(folder / f"{number:03d}{suffix}")


def everything(data):
    return np.concatenate([data.x_train, data.x_validation, data.x_test])


def all_labels(data):
    return np.concatenate([data.y_train, data.y_validation, data.y_test])


# Images


def test_a_folder_of_images(tmp_path):
    write(tmp_path / "photos", 20)
    data = aelib.from_images(tmp_path / "photos")
    assert data.name == "photos"
    assert data.image_shape == (4, 6, 3)
    assert [len(x) for x in (data.x_train, data.x_validation, data.x_test)] == [16, 2, 2]
    assert data.y_train is data.y_validation is data.y_test is data.class_names is None
    pictures = data.images(everything(data))
    assert sorted(np.rint(pictures[:, 0, 0, 0] * 255)) == list(range(20))  # each is there once
    red, green, blue = np.moveaxis(pictures * 255, -1, 0)
    np.testing.assert_allclose(green, 100)
    np.testing.assert_allclose(red + blue, 200)
    np.testing.assert_allclose(data.unscale(data.x_train), data.x_train * 255)
    assert data.source == str(tmp_path / "photos")


def test_subfolders_are_classes(tmp_path):
    write(tmp_path / "dogs", 5, start=0)
    write(tmp_path / "cats", 15, start=100)
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("beside the folders")
    data = aelib.from_images(str(tmp_path))
    assert data.class_names == ("cats", "dogs")
    labels = all_labels(data)
    assert labels.dtype == np.int64
    is_dog = everything(data)[:, 0] * 255 < 50
    np.testing.assert_array_equal(labels, is_dog)
    assert is_dog.sum() == 5


def test_numbered_classes_are_in_numerical_order(tmp_path):
    for number, name in enumerate(("10", "9", "2")):
        write(tmp_path / name, 4, start=10 * number)
    assert aelib.from_images(tmp_path).class_names == ("2", "9", "10")


@pytest.mark.parametrize(
    "suffix", [".png", ".PNG", ".jpg", ".JPEG", ".bmp", ".gif", ".tif", ".tiff", ".webp"]
)
def test_formats(suffix, tmp_path):
    write(tmp_path, 10, suffix=suffix)
    pixels = everything(aelib.from_images(tmp_path, random_state=0)) * 255
    assert pixels.shape == (10, 72)
    np.testing.assert_allclose(pixels.reshape(10, 4, 6, 3)[..., 1], 100, atol=4)  # some formats round


@pytest.mark.parametrize(("profile", "dtype"), [("reference", np.float64), ("full", np.float32)])
def test_the_profile_decides_the_precision(profile, dtype, tmp_path, monkeypatch):
    monkeypatch.setenv("AELIB_PROFILE", profile)
    write(tmp_path / "images", 10)
    table(tmp_path, "a,b", [f"{i},{i * i}" for i in range(10)])
    for data in (aelib.from_images(tmp_path / "images"), aelib.from_table(tmp_path / "table.csv")):
        assert {x.dtype for x in (data.x_train, data.x_validation, data.x_test)} == {np.dtype(dtype)}


def test_grey_images_have_one_channel_of_luminance(tmp_path):
    write(tmp_path, 10)
    data = aelib.from_images(tmp_path, grayscale=True)
    assert data.image_shape == (4, 6, 1)
    # ITU-R 601-2: the weights Pillow documents for its conversion to grey.
    expected = [0.299 * red + 0.587 * 100 + 0.114 * (200 - red) for red in range(10)]
    np.testing.assert_allclose(sorted(data.unscale(everything(data))[:, 0]), expected, atol=1)


def test_transparency_and_palettes_become_three_colours(tmp_path):
    write(tmp_path, 8)
    Image.new("RGBA", (6, 4), (9, 8, 7, 0)).save(tmp_path / "transparent.png")
    Image.new("L", (6, 4), 50).convert("P").save(tmp_path / "palette.png")
    data = aelib.from_images(tmp_path)
    colours = {tuple(row) for row in np.rint(data.unscale(everything(data))[:, :3]).astype(int)}
    assert {(9, 8, 7), (50, 50, 50)} <= colours


def test_size_scales_without_distortion_and_cuts_evenly(tmp_path):
    striped = np.zeros((10, 40, 3), np.uint8)
    striped[:, 10:30] = 255  # the middle; the quarters on either side are black
    for number in range(10):
        Image.fromarray(striped).save(tmp_path / f"{number}.png")
    data = aelib.from_images(tmp_path, size=(10, 20))
    assert data.image_shape == (10, 20, 3)
    assert (everything(data) == 1).all()  # what stuck out on either side was black


def test_images_of_different_sizes_need_one(tmp_path):
    write(tmp_path, 9)
    write(tmp_path, 1, start=50, height=5)
    with pytest.raises(ValueError, match=r"000\.png has \(4, 6\).*050\.png has \(5, 6\); pass size="):
        aelib.from_images(tmp_path)
    assert aelib.from_images(tmp_path, size=(3, 3)).image_shape == (3, 3, 3)


def test_a_picture_turned_by_its_camera_is_turned_upright(tmp_path):
    write(tmp_path, 9)
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: rotate by 90 degrees to view
    picture(9, height=6, width=4).save(tmp_path / "turned.jpg", exif=exif)
    assert aelib.from_images(tmp_path).image_shape == (4, 6, 3)


@pytest.mark.parametrize("fault", ["cut", "empty", "text"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".gif", ".tif", ".webp"])
def test_a_broken_image_is_named(fault, suffix, tmp_path):
    write(tmp_path, 9)
    noise = np.random.RandomState(0).randint(0, 256, (40, 60, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / f"broken{suffix}")
    content = (tmp_path / f"broken{suffix}").read_bytes()
    broken = {"cut": content[: len(content) // 2], "empty": b"", "text": b"no image"}[fault]
    (tmp_path / f"broken{suffix}").write_bytes(broken)
    with pytest.raises(ValueError, match=rf"cannot read the image .*broken\{suffix} .*take it out"):
        aelib.from_images(tmp_path, size=(4, 6))


def test_more_than_eight_bits_are_refused(tmp_path):
    write(tmp_path, 9)
    Image.fromarray(np.full((4, 6), 40_000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match=r"deep\.png has more than 8 bits"):
        aelib.from_images(tmp_path)


def test_what_file_managers_leave_behind_is_no_image(tmp_path):
    write(tmp_path, 10)
    (tmp_path / "._000.png").write_bytes(b"no image")
    write(tmp_path / ".thumbnails", 3, height=1, width=1)
    data = aelib.from_images(tmp_path)
    assert len(everything(data)) == 10
    assert data.class_names is None


def test_folders_that_do_not_fit(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*nowhere"):
        aelib.from_images(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no images in .*\.png, \.jpg"):
        aelib.from_images(tmp_path)
    write(tmp_path, 2)
    with pytest.raises(ValueError, match="2 samples are too few"):
        aelib.from_images(tmp_path)
    write(tmp_path / "sub", 2)
    with pytest.raises(ValueError, match=r"images beside its subfolders \(000\.png"):
        aelib.from_images(tmp_path)


class NotebookBar(tqdm.tqdm):
    """Takes `disable` as tqdm does in a notebook: its own environment variable is overlooked."""

    def __init__(self, *arguments, **options):
        options["disable"] = bool(options.get("disable", False))
        super().__init__(*arguments, **options)


@pytest.mark.parametrize("hidden", [False, True])
def test_the_progress_bar_can_be_switched_off_in_notebooks_too(hidden, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(tqdm.auto, "tqdm", NotebookBar)
    if hidden:
        monkeypatch.setenv("TQDM_DISABLE", "1")
    else:
        monkeypatch.delenv("TQDM_DISABLE", raising=False)
    write(tmp_path, 10)
    aelib.from_images(tmp_path)
    assert ("images" in capsys.readouterr().err) is not hidden


# Tables


def table(folder, header, lines, encoding="utf-8"):
    path = folder / "table.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding=encoding)
    return path


@pytest.fixture
def numbers():
    """Forty rows: a column of the row's number, one of ten times it and one that is constant."""
    return [f"{i}, {i * 10.0},7" for i in range(40)]


def test_a_table(tmp_path, numbers):
    data = aelib.from_table(table(tmp_path, "a, b,c", numbers))
    assert data.name == "table"
    assert data.feature_names == ("a", "b", "c")
    assert [len(x) for x in (data.x_train, data.x_validation, data.x_test)] == [32, 4, 4]
    assert data.y_train is data.class_names is data.image_shape is None
    unscaled = data.unscale(everything(data))
    np.testing.assert_allclose(sorted(unscaled[:, 0]), range(40), atol=1e-12)  # each row is there once
    np.testing.assert_allclose(unscaled[:, 1], 10 * unscaled[:, 0], atol=1e-11)


def test_columns_are_scaled_by_the_training_part_alone(tmp_path, numbers):
    path = table(tmp_path, "a,b,c", numbers)
    outside = 0
    for seed in range(5):
        data = aelib.from_table(path, random_state=seed)
        np.testing.assert_array_equal(data.x_train.min(axis=0), 0)
        np.testing.assert_array_equal(data.x_train.max(axis=0), [1, 1, 0])
        raw = np.rint(data.unscale(data.x_train))
        np.testing.assert_array_equal(data.minimum, raw.min(axis=0))
        np.testing.assert_array_equal(data.maximum, [*raw.max(axis=0)[:2], 8])
        others = np.concatenate([data.x_validation, data.x_test])
        outside += (others < 0).any() or (others > 1).any()
    assert outside > 0  # the extremes are drawn into another part now and then


@pytest.mark.parametrize("value", ["7", "-3.5", "0", "1.7e18"])
def test_a_constant_column_becomes_zeros(value, tmp_path):
    data = aelib.from_table(table(tmp_path, "a,c", [f"{i},{value}" for i in range(20)]))
    np.testing.assert_array_equal(everything(data)[:, 1], 0)
    np.testing.assert_array_equal(data.unscale(everything(data))[:, 1], float(value))


def test_a_column_constant_in_the_training_part_becomes_value_minus_minimum(tmp_path):
    order = np.random.RandomState(0).permutation(20)
    lines = [f"{i},{9.5 if i == order[-1] else 7}" for i in range(20)]  # the last one drawn is a test row
    data = aelib.from_table(table(tmp_path, "a,c", lines), random_state=0)
    assert sorted(data.x_test[:, 1]) == [0, 2.5]


def test_the_target_gives_classes_and_is_no_feature(tmp_path):
    lines = [f"{i},{'even' if i % 2 == 0 else ' odd '},{-i}" for i in range(20)]
    data = aelib.from_table(table(tmp_path, "a,kind,b", lines), target="kind")
    assert data.feature_names == ("a", "b")
    assert data.class_names == ("even", "odd")
    labels = all_labels(data)
    assert labels.dtype == np.int64
    np.testing.assert_array_equal(labels, np.rint(data.unscale(everything(data))[:, 0]) % 2)


def test_numbers_as_labels_are_in_numerical_order(tmp_path):
    lines = [f"{i},{(10, 9, 2)[i % 3]}" for i in range(20)]
    assert aelib.from_table(table(tmp_path, "a,kind", lines), target="kind").class_names == ("2", "9", "10")


def test_spreadsheets_byte_order_mark_and_empty_lines_are_overlooked(tmp_path, numbers):
    data = aelib.from_table(table(tmp_path, "a,b,c", ["", *numbers, ""], encoding="utf-8-sig"))
    assert data.feature_names == ("a", "b", "c")
    assert len(everything(data)) == 40


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("", "a missing value"),
        ("  ", "a missing value"),
        ("tall", "'tall', which is not a finite number"),
        ("nan", "'nan', which is not a finite number"),
        ("inf", "'inf', which is not a finite number"),
    ],
)
def test_a_value_that_is_no_number_is_named_by_row_and_column(cell, message, tmp_path, numbers):
    numbers[5] = f"5,{cell},7"  # the header is row 1, so this is row 7
    with pytest.raises(ValueError, match=rf"table\.csv, row 7, column 'b': {message}; .*target="):
        aelib.from_table(table(tmp_path, "a,b,c", numbers))


def test_rows_are_counted_as_an_editor_counts_lines(tmp_path, numbers):
    numbers[5] = ",1,7"
    with pytest.raises(ValueError, match="row 9, column 'a'"):
        aelib.from_table(table(tmp_path, "a,b,c", ["", "", *numbers]))


def test_a_missing_label_is_named(tmp_path, numbers):
    numbers[0] = "1,2, "
    with pytest.raises(ValueError, match="row 2, column 'c': a missing label"):
        aelib.from_table(table(tmp_path, "a,b,c", numbers), target="c")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("a,b,b", "must name every column, each differently"),
        ("a,,c", "must name every column"),
        ("1,2,3", "the first row of .* holds numbers"),
        ("a,b", "row 2: 3 values, but the header names 2 columns"),
        ("a,b,c,d", "row 2: 3 values, but the header names 4 columns"),
    ],
)
def test_a_header_that_does_not_fit(header, message, tmp_path, numbers):
    with pytest.raises(ValueError, match=message):
        aelib.from_table(table(tmp_path, header, numbers))


def test_a_target_that_does_not_fit(tmp_path, numbers):
    with pytest.raises(ValueError, match=r"no column 'kind' in .*columns are: a, b, c"):
        aelib.from_table(table(tmp_path, "a,b,c", numbers), target="kind")
    with pytest.raises(ValueError, match="no column besides the target 'a'"):
        aelib.from_table(table(tmp_path, "a", ["1", "2", "3"]), target="a")


def test_files_that_are_no_table(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.csv"):
        aelib.from_table(tmp_path / "nothing.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match="must name every column"):
        aelib.from_table(tmp_path / "empty.csv")
    (tmp_path / "latin.csv").write_text("größe\n1\n", encoding="latin-1")
    with pytest.raises(ValueError, match="is not a CSV file in UTF-8"):
        aelib.from_table(tmp_path / "latin.csv")
    stream = io.BytesIO()
    picture(0).save(stream, "png")
    (tmp_path / "image.csv").write_bytes(stream.getvalue())
    with pytest.raises(ValueError, match="is not a CSV file in UTF-8"):
        aelib.from_table(tmp_path / "image.csv")


# The parts


def test_the_shares_and_the_seed_decide_the_parts(tmp_path, numbers):
    path = table(tmp_path, "a,b,c", numbers)
    data = aelib.from_table(path, validation=0.25, test=0.5)
    assert [len(x) for x in (data.x_train, data.x_validation, data.x_test)] == [10, 10, 20]
    again = aelib.from_table(path, validation=0.25, test=0.5, random_state=np.random.RandomState(0))
    np.testing.assert_array_equal(again.x_test, data.x_test)
    other = aelib.from_table(path, validation=0.25, test=0.5, random_state=1)
    assert not np.array_equal(other.x_test, data.x_test)


@pytest.mark.parametrize("name", ["validation", "test"])
@pytest.mark.parametrize("share", [0, 1, -0.1, 10, float("nan")])
def test_a_share_outside_zero_and_one_is_refused(name, share, tmp_path, numbers):
    path = table(tmp_path, "a,b,c", numbers)
    with pytest.raises(ValueError, match=f"{name} must be a share between 0 and 1, not {share!r}"):
        aelib.from_table(path, **{name: share})


def test_too_few_rows(tmp_path, numbers):
    with pytest.raises(ValueError, match=r"3 samples are too few.*each part needs at least one"):
        aelib.from_table(table(tmp_path, "a,b,c", numbers[:3]))
    with pytest.raises(ValueError, match=r"40 samples are too few.*leave 0 for train"):
        aelib.from_table(table(tmp_path, "a,b,c", numbers), validation=0.5, test=0.5)
