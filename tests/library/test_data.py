"""Data sets have fixed parts; their files are checked, and fetched from mirrors that may fail."""

import gzip
import hashlib
import http.server
import socket
import threading
import warnings
from pathlib import Path

import numpy as np
import pytest
import tqdm
import tqdm.auto
from sklearn.datasets import load_digits

import aelib
from aelib import downloads, metrics, settings

PUBLISHED_MIRRORS = downloads.MIRRORS
PUBLISHED_SHA256 = downloads.SHA256
SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
LABELS = "t10k-labels-idx1-ubyte.gz"
IMAGES = "t10k-images-idx3-ubyte.gz"

needs_real_files = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the published files do not lie in ../shared/data beside the repository"
)


def idx(array):
    """Return a compressed IDX file of bytes."""
    header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
    return gzip.compress(header + array.astype(np.uint8).tobytes(), compresslevel=1, mtime=0)


def numbered_images(n):
    """Image i has the value i % 251 in its first pixel and 255 in its last."""
    pixels = np.zeros((n, 28, 28), np.uint8)
    pixels[:, 0, 0] = np.arange(n) % 251
    pixels[:, -1, -1] = 255
    return pixels


TRAIN, TEST = 10_005, 7
FILES = {
    "train-images-idx3-ubyte.gz": idx(numbered_images(TRAIN)),
    "train-labels-idx1-ubyte.gz": idx(np.arange(TRAIN) % 10),
    IMAGES: idx(numbered_images(TEST)),
    LABELS: idx(np.arange(TEST)[::-1]),
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Sends what the server's `answers` say for a path; 404 where they say nothing."""

    def do_GET(self):
        self.server.asked.append(self.path)
        answer = self.server.answers.get(self.path)
        if answer is None:
            self.send_error(404)
            return
        body, promised_length = answer
        self.send_response(200)
        self.send_header("Content-Length", str(promised_length))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def running_server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def dead_mirror():
    """Take a port, so that nobody else listens there, and answer nothing."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/"


@pytest.fixture(autouse=True)
def folder(dead_mirror, tmp_path, monkeypatch):
    """Give an empty data folder, no network, and the checksums of the small files."""
    monkeypatch.setattr(settings, "_configured", {})
    for name in ("BACKEND", "PROFILE", "DEVICE"):
        monkeypatch.delenv(f"AELIB_{name}", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "data"
    monkeypatch.setenv("AELIB_DATA_DIR", str(folder))
    monkeypatch.setattr(downloads, "MIRRORS", dict.fromkeys(PUBLISHED_MIRRORS, (dead_mirror,)))
    checksums = {name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()}
    monkeypatch.setattr(downloads, "SHA256", {"mnist": checksums, "fashion_mnist": checksums})
    return folder


@pytest.fixture
def server(running_server, monkeypatch):
    """Two mirrors, /first/ and /second/, on one server; they send nothing yet."""
    running_server.answers = {}
    running_server.asked = []
    address = f"http://127.0.0.1:{running_server.server_port}"
    running_server.mirrors = (f"{address}/first/", f"{address}/second/")
    monkeypatch.setitem(downloads.MIRRORS, "mnist", running_server.mirrors)
    return running_server


def offer(server, mirror, name, body, promised_length=None):
    server.answers[f"/{mirror}/{name}"] = (body, len(body) if promised_length is None else promised_length)


def put(folder, files, dataset="mnist"):
    (folder / dataset).mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / dataset / name).write_bytes(content)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_missing_file_is_fetched_once(server, folder):
    offer(server, "first", LABELS, FILES[LABELS])
    path = downloads.fetch("mnist", LABELS)
    assert path == folder / "mnist" / LABELS
    assert path.read_bytes() == FILES[LABELS]
    assert downloads.fetch("mnist", LABELS) == path
    assert server.asked == [f"/first/{LABELS}"]
    assert names_in(path.parent) == [LABELS]


def test_the_second_mirror_is_used_where_the_first_is_dead(server, dead_mirror, monkeypatch):
    monkeypatch.setitem(downloads.MIRRORS, "mnist", (dead_mirror, server.mirrors[1]))
    offer(server, "second", LABELS, FILES[LABELS])
    assert downloads.fetch("mnist", LABELS).read_bytes() == FILES[LABELS]


def test_the_second_mirror_is_used_where_the_first_lacks_the_file(server):
    offer(server, "second", LABELS, FILES[LABELS])
    assert downloads.fetch("mnist", LABELS).read_bytes() == FILES[LABELS]
    assert server.asked == [f"/first/{LABELS}", f"/second/{LABELS}"]


@pytest.mark.parametrize("honest", [False, True])
def test_a_cut_transfer_is_never_taken_for_the_whole(server, folder, honest):
    whole = FILES[IMAGES]
    cut = whole[: len(whole) // 2]
    offer(server, "first", IMAGES, cut, None if honest else len(whole))
    with pytest.raises(OSError, match="is missing, and no mirror delivered it"):
        downloads.fetch("mnist", IMAGES)
    assert names_in(folder / "mnist") == []  # no half file, no temporary one
    offer(server, "second", IMAGES, whole)
    assert downloads.fetch("mnist", IMAGES).read_bytes() == whole
    assert names_in(folder / "mnist") == [IMAGES]


@pytest.mark.parametrize("fault", ["cut", "altered", "empty"])
def test_a_damaged_file_is_fetched_again_with_a_warning(server, folder, fault):
    content = bytearray(FILES[LABELS])
    content[-1] ^= 1
    damaged = {"cut": FILES[LABELS][:-1], "altered": bytes(content), "empty": b""}[fault]
    put(folder, {LABELS: damaged})
    offer(server, "first", LABELS, FILES[LABELS])
    with pytest.warns(UserWarning, match=f"{LABELS} is cut short or altered .* fetching it again"):
        path = downloads.fetch("mnist", LABELS)
    assert path.read_bytes() == FILES[LABELS]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        downloads.fetch("mnist", LABELS)


def test_wrong_content_on_all_mirrors_says_what_to_do(server, folder):
    offer(server, "first", LABELS, b"<html>log in first</html>")
    offer(server, "second", LABELS, FILES[IMAGES])
    with pytest.raises(OSError, match="no mirror delivered it") as raised:
        downloads.fetch("mnist", LABELS)
    message = str(raised.value)
    assert [f"/{mirror}/{LABELS}" in message for mirror in ("first", "second")] == [True, True]
    assert f"AELIB_DATA_DIR (now {folder})" in message
    for name in FILES:
        assert f"mnist/{name}" in message
    assert "load_dataset('digits')" in message
    assert server.asked == [f"/first/{LABELS}", f"/second/{LABELS}"]
    assert names_in(folder / "mnist") == []


def test_a_damaged_file_that_no_mirror_replaces_is_not_used(folder):
    put(folder, {**FILES, LABELS: FILES[LABELS][:-1]})
    with (
        pytest.warns(UserWarning, match="fetching it again"),
        pytest.raises(OSError, match="is cut short or altered, and no mirror"),
    ):
        aelib.load_dataset("mnist")


def test_without_network_and_files_the_error_names_the_folder(folder, dead_mirror):
    with pytest.raises(OSError, match="is missing, and no mirror delivered it") as raised:
        aelib.load_dataset("mnist")
    assert dead_mirror in str(raised.value)
    assert str(folder) in str(raised.value)


def test_a_file_that_cannot_be_read_is_an_error_and_stays(server, folder):
    offer(server, "first", LABELS, FILES[LABELS])
    (folder / "mnist" / LABELS).mkdir(parents=True)
    with pytest.raises(OSError, match=f"{LABELS} is there but cannot be read .*remove it"):
        downloads.fetch("mnist", LABELS)
    assert (folder / "mnist" / LABELS).is_dir()
    assert server.asked == []


def test_a_folder_that_cannot_be_made_is_an_error(server, folder):
    folder.write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"cannot be written to .*set AELIB_DATA_DIR to a folder of your own"):
        downloads.fetch("mnist", LABELS)
    assert server.asked == []


def test_a_folder_without_the_right_to_write_is_an_error(server, folder, monkeypatch):
    put(folder, {})
    monkeypatch.setattr(downloads.os, "access", lambda path, mode: False)  # the superuser may write anywhere
    with pytest.raises(OSError, match=r"cannot be written to \(no right to write\)"):
        downloads.fetch("mnist", LABELS)
    assert server.asked == []


def test_a_folder_with_the_right_files_is_only_read(server, folder, monkeypatch):
    put(folder, FILES)

    def state():
        return {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in [folder, *folder.rglob("*")]}

    before = state()
    for path in before:
        path.chmod(0o555 if path.is_dir() else 0o444)
    monkeypatch.setattr(downloads.os, "access", lambda path, mode: False)
    aelib.load_dataset("mnist")
    after = state()
    for path in before:  # or the folder could not be removed
        path.chmod(0o755)
    assert after == before
    assert server.asked == []


class NotebookBar(tqdm.tqdm):
    """Takes `disable` as tqdm does in a notebook: its own environment variable is overlooked."""

    def __init__(self, *arguments, **options):
        options["disable"] = bool(options.get("disable", False))
        super().__init__(*arguments, **options)


@pytest.mark.parametrize("hidden", [False, True])
def test_the_progress_bar_can_be_switched_off_in_notebooks_too(server, hidden, monkeypatch, capsys):
    monkeypatch.setattr(tqdm.auto, "tqdm", NotebookBar)
    if hidden:
        monkeypatch.setenv("TQDM_DISABLE", "1")
    else:
        monkeypatch.delenv("TQDM_DISABLE", raising=False)
    offer(server, "first", LABELS, FILES[LABELS])
    downloads.fetch("mnist", LABELS)
    assert (LABELS in capsys.readouterr().err) is not hidden


def test_published_files_have_two_mirrors_and_a_checksum():
    assert set(PUBLISHED_MIRRORS) == set(PUBLISHED_SHA256) == {"mnist", "fashion_mnist", "ecg"}
    for mirrors in PUBLISHED_MIRRORS.values():
        assert len({mirror.split("/")[2] for mirror in mirrors}) >= 2
        assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in mirrors)
    checksums = [checksum for files in PUBLISHED_SHA256.values() for checksum in files.values()]
    assert all(len(bytes.fromhex(checksum)) == 32 for checksum in checksums)
    assert len(set(checksums)) == len(checksums) == 9


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_idx_files_become_scaled_parts_in_file_order(folder, name):
    put(folder, FILES, name)
    data = aelib.load_dataset(name)
    assert data.x_train.shape == (5, 784)
    assert data.x_validation.shape == (10_000, 784)
    assert data.x_test.shape == (7, 784)
    x = np.concatenate([data.x_train, data.x_validation])
    np.testing.assert_allclose(x[:, 0], np.arange(TRAIN) % 251 / 255, rtol=1e-15)
    assert (x[:, -1] == 1).all()
    assert (x[:, 1:-1] == 0).all()
    y = np.concatenate([data.y_train, data.y_validation])
    np.testing.assert_array_equal(y, np.arange(TRAIN) % 10)
    np.testing.assert_array_equal(data.y_test, [6, 5, 4, 3, 2, 1, 0])
    assert y.dtype == data.y_test.dtype == np.int64
    assert data.image_shape == (28, 28, 1)
    assert len(data.class_names) == 10
    np.testing.assert_allclose(data.unscale(data.x_test)[:, 0], np.arange(TEST), rtol=1e-12)
    assert "MNIST" in data.source


def rows(x):
    return {row.tobytes() for row in x}


def test_digits_are_cut_into_disjoint_parts_that_hold_all():
    data = aelib.load_dataset("digits")
    parts = [data.x_train, data.x_validation, data.x_test]
    assert [part.shape for part in parts] == [(1197, 64), (300, 64), (300, 64)]
    assert [len(y) for y in (data.y_train, data.y_validation, data.y_test)] == [1197, 300, 300]
    assert len(set.union(*map(rows, parts))) == 1797
    original = {row.tobytes(): label for row, label in zip(*load_digits(return_X_y=True), strict=True)}
    unscaled = data.unscale(np.concatenate(parts))
    labels = np.concatenate([data.y_train, data.y_validation, data.y_test])
    assert [original[row.tobytes()] for row in unscaled] == list(labels)
    assert labels.dtype == np.int64


def test_digits_are_the_same_every_time():
    first, second = aelib.load_dataset("digits"), aelib.load_dataset("digits")
    np.testing.assert_array_equal(first.x_test, second.x_test)
    # RandomState's numbers are promised to stay, so these are the test images everywhere.
    order = np.random.RandomState(0).permutation(1797)
    np.testing.assert_array_equal(first.y_test, load_digits().target[order[-300:]])


@pytest.mark.parametrize(("profile", "dtype"), [("reference", np.float64), ("full", np.float32)])
def test_the_profile_decides_the_precision(profile, dtype, folder, monkeypatch):
    monkeypatch.setenv("AELIB_PROFILE", profile)
    put(folder, FILES)
    for name in ("digits", "mnist"):
        data = aelib.load_dataset(name)
        for x in (data.x_train, data.x_validation, data.x_test):
            assert x.dtype == dtype
            assert x.min() == 0
            assert x.max() == 1


@pytest.mark.parametrize(("profile", "name"), [("reference", "digits"), ("full", "mnist")])
def test_the_profile_decides_the_data_set(profile, name, folder, monkeypatch):
    monkeypatch.setenv("AELIB_PROFILE", profile)
    put(folder, FILES)
    assert aelib.load_dataset().name == name


@pytest.mark.parametrize("name", ["cifar", "MNIST", "", 3])
def test_an_unknown_data_set_lists_the_known(name):
    with pytest.raises(ValueError, match="unknown dataset") as raised:
        aelib.load_dataset(name)
    message = str(raised.value)
    assert repr(name) in message
    assert all(repr(known) in message for known in ("digits", "mnist", "fashion_mnist", "ecg"))


def test_images_are_the_rows_in_two_dimensions():
    data = aelib.load_dataset("digits")
    pictures = data.images(data.x_test)
    assert pictures.shape == (300, 8, 8, 1)
    np.testing.assert_array_equal(pictures[3, 2, 5, 0], data.x_test[3, 2 * 8 + 5])
    assert data.images(data.x_test[:1].tolist()).shape == (1, 8, 8, 1)


@pytest.mark.parametrize("shape", [(64,), (3, 63), (3, 8, 8)])
def test_images_refuses_other_shapes(shape):
    with pytest.raises(ValueError, match=r"shape \(n, 64\) for 'digits', not \(.*x\[:1\]"):
        aelib.load_dataset("digits").images(np.zeros(shape))


def test_images_refuses_data_without_images():
    data = aelib.Dataset("table", *[np.zeros((2, 4))] * 3)
    with pytest.raises(ValueError, match="'table' does not consist of images"):
        data.images(data.x_train)


def test_a_data_set_describes_itself():
    text = repr(aelib.load_dataset("digits"))
    for part in (
        "'digits'",
        "1197 train",
        "300 validation",
        "300 test",
        "64",
        "8×8×1",
        "10 classes",
        "float64",
    ):
        assert part in text


@pytest.fixture
def real_files(monkeypatch):
    monkeypatch.setattr(downloads, "SHA256", PUBLISHED_SHA256)
    monkeypatch.setenv("AELIB_DATA_DIR", str(SHARED))
    monkeypatch.setenv("AELIB_PROFILE", "full")


def check_published_parts(data):
    assert data.x_train.shape == (50_000, 784)
    assert data.x_validation.shape == data.x_test.shape == (10_000, 784)
    for x, y in (
        (data.x_train, data.y_train),
        (data.x_validation, data.y_validation),
        (data.x_test, data.y_test),
    ):
        assert x.dtype == np.float32
        assert (x.min(), x.max()) == (0, 1)
        assert len(y) == len(x)
        assert set(y) == set(range(10))


@needs_real_files
def test_real_mnist_and_its_principal_components(real_files, record):
    data = aelib.load_dataset("mnist")
    check_published_parts(data)
    assert data.y_train[0] == 5
    assert data.class_names[5] == "5"
    error = metrics.pca_error(np.concatenate([data.x_train, data.x_validation]), data.x_test, 30)
    record("MNIST test error of 30 components", abs(error - 13.87), 0.01)
    assert error == pytest.approx(13.87, abs=0.01)


@needs_real_files
def test_real_fashion_mnist(real_files):
    data = aelib.load_dataset("fashion_mnist")
    check_published_parts(data)
    assert data.class_names[data.y_train[0]] == "Ankle boot"
    assert (np.bincount(data.y_test) == 1000).all()


@needs_real_files
def test_real_ecg(real_files):
    data = aelib.load_dataset("ecg")
    assert [len(x) for x in (data.x_train, data.x_validation, data.x_test)] == [240, 30, 30]
    assert data.x_train.shape[1] == data.sampling_rate == 360
    assert data.y_train is None
    assert data.signal.shape == (108_000,)
    assert data.signal.dtype == data.x_test.dtype == np.float32
    assert (data.x_train.min(), data.x_train.max()) == (0, 1)
    windows = np.concatenate([data.x_train, data.x_validation, data.x_test])
    np.testing.assert_allclose(data.unscale(windows).ravel(), data.signal, atol=1e-6)
    # The recorder's readings are whole numbers, 200 for each mV.
    assert np.abs(data.signal * 200 - np.round(data.signal * 200)).max() < 1e-3
    assert -0.5 < np.median(data.signal) < 0.5
