"""The benchmark programs, on a handful of images: that they run, and that their sums are right."""

import json
import types

import numpy as np
import pytest

import aelib
import benchmarks
from aelib.settings import BACKENDS
from benchmarks import (
    burda2016,
    hinton2006,
    one_class,
    peers,
    raschka,
    restoration,
    speed,
    vincent2010,
)


@pytest.fixture
def few_images(monkeypatch):
    """Noise in place of MNIST, which a test must not fetch."""
    x = np.random.default_rng(0).random((300, 784), dtype=np.float32)
    data = types.SimpleNamespace(x_train=x[:200], x_validation=x[200:])
    monkeypatch.setattr(aelib, "load_dataset", lambda name: data)
    return x


def test_record_names_machine_and_versions():
    record = benchmarks.describe_run()
    assert record["machine"]["processor"]
    assert record["machine"]["cores"] >= 1
    assert record["versions"]["numpy"] == np.__version__
    assert record["versions"]["aelib"] == aelib.__version__


def test_record_that_cannot_be_written_leaves_the_old_one(tmp_path):
    path = tmp_path / "results" / "record.json"
    benchmarks.write_record(path, {"error": 3.0})
    with pytest.raises(ValueError, match="JSON"):
        benchmarks.write_record(path, {"error": float("nan")})
    assert json.loads(path.read_text()) == {"error": 3.0}
    assert [file.name for file in path.parent.iterdir()] == ["record.json"]


def test_measure_scales_a_part_to_all_images(few_images, monkeypatch):
    shown, clock = [], [0.0]

    def prepare(x):
        shown.append(len(x))
        clock[0] += 7.0  # seconds of imports and building

        def train(epochs):
            clock[0] += 0.5 + 2.0 * epochs  # half a second of its own at each call

        return train

    competitor = speed.Competitor("slow", prepare, share=0.5, epochs=3)
    monkeypatch.setitem(speed.COMPETITORS, "slow", competitor)
    monkeypatch.setattr(speed.time, "perf_counter", lambda: clock[0])
    result = speed.measure("slow")
    assert shown == [150]
    assert result == {
        "seconds_per_epoch": pytest.approx(4.0),
        "startup_seconds": pytest.approx(7.5),
        "images_timed": 150,
        "images": 300,
    }


def test_ratios_are_taken_within_a_round(monkeypatch):
    # The machine is half as fast in the second round; NumPy's products are the faster ones in the first.
    seconds = {"numpy_products": [1.0, 4.0], "torch_products": [2.0, 2.0], "aelib_torch": [3.0, 6.0]}
    calls = []

    def measure_alone(name, images):
        calls.append(name)
        time = seconds[name][calls.count(name) - 1]
        return {"seconds_per_epoch": time, "startup_seconds": 1.0, "images_timed": 50, "images": 100}

    monkeypatch.setattr(speed, "measure_alone", measure_alone)
    record = speed.compare(list(seconds), rounds=2)
    assert calls[:3] == list(seconds)
    assert calls[3:] == ["torch_products", "aelib_torch", "numpy_products"]
    row = record["rows"][-1]
    assert row["name"] == "aelib_torch"
    assert row["median"] == 4.5
    assert row["ratio"] == 3.0
    page = speed.as_markdown(record, missing=["Pythae"])
    assert "| aelib, PyTorch | 4.50 | 3.00 to 6.00 | 3.00 (target 2.2) | 1.0 | 50% of them" in page
    assert "not measured: Pythae" in page


def test_a_competitor_that_fails_is_reported():
    with pytest.raises(RuntimeError, match=r"'no such one' failed(.|\n)*invalid choice"):
        speed.measure_alone("no such one")


TORCH_PEERS = ["numpy_products", "torch_products", "tensor_loader", "pil_loader", "aelib_torch"]
TENSORFLOW_PEERS = ["keras_fit", "keras_compiled", "eager_tape", "aelib_tensorflow"]


@pytest.mark.parametrize("name", TORCH_PEERS + TENSORFLOW_PEERS)
def test_competitors_train(few_images, name):
    pytest.importorskip("tensorflow" if name in TENSORFLOW_PEERS else "torch")
    speed.COMPETITORS[name].prepare(few_images[:140])(1)  # 140: a whole batch and a smaller one


def test_keras_peers_have_the_network_of_the_others():
    pytest.importorskip("tensorflow")
    pytest.importorskip("torch")
    model = peers._keras_model(784)
    torch_weights = [p.shape for half in peers._torch_halves(784) for p in half.parameters()]
    keras_weights = [tuple(reversed(weight.shape)) for weight in model.get_weights()]
    assert keras_weights == [tuple(shape) for shape in torch_weights]
    linear = [layer.activation.__name__ == "linear" for layer in model.layers]
    assert linear == [False, False, False, True, False, False, False, True]


def test_distortion_is_small_and_different_for_each_image():
    side = hinton2006.SIDE
    image = np.zeros((side, side), np.float32)
    image[8:20, 12:16] = 1.0
    x = np.stack([image.ravel()] * 20)
    result = hinton2006.distort(x, np.random.default_rng(0))
    assert result.dtype == np.float32
    assert result.min() >= 0
    assert result.max() <= 1
    rows, columns = np.mgrid[:side, :side]
    mass = result.sum(axis=1)
    centres = np.stack([result @ rows.ravel() / mass, result @ columns.ravel() / mass], axis=1)
    assert np.abs(centres - [13.5, 13.5]).max() < 1.0  # half a pixel, and what the distortion adds
    assert len(np.unique(result.round(3), axis=0)) == 20
    unchanged = hinton2006.DISTORTION.copy()
    hinton2006.DISTORTION.update(dict.fromkeys(unchanged, 0.0))
    try:
        same = hinton2006.distort(x, np.random.default_rng(0))
    finally:
        hinton2006.DISTORTION.update(unchanged)
    np.testing.assert_allclose(same, x, atol=1e-5)


def test_squared_error_is_summed_over_pixels():
    assert hinton2006.squared_error(np.zeros((5, 784)), np.full((5, 784), 0.5)) == pytest.approx(196.0)


def test_reproduction_records_what_was_run(few_images):
    pytest.importorskip("torch")
    record = hinton2006.reproduce(few_images[:64], few_images[64:100], epochs=2, copies=2, backend="torch")
    json.dumps(record, allow_nan=False)
    assert record["settings"]["epochs"] == record["epochs_completed"] == len(record["loss"]) == 2
    assert record["image_visits"] == 2 * 128
    assert record["training_images"] == 64
    assert record["difference"]["autoencoder"] == pytest.approx(record["error"]["test"] - 3.0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_done_in_pieces_ends_as_one_done_at_once(backend, few_images, tmp_path, capsys):
    def run(state, minutes):
        model = burda2016.estimator("IWAE k=5", epochs=3, batch_size=64, backend=backend)
        settings = {"state": tmp_path / state, "minutes": minutes, "importance_samples": 3, "remark": ""}
        return model, burda2016.reproduce("IWAE k=5", model, few_images, few_images[:20], **settings)

    whole, record = run("whole.npz", float("inf"))
    for done in (1, 2, 3):  # no time at all still gives one epoch, or else nothing would ever be done
        pieces, unfinished = run("pieces.npz", 1e-9)
        assert (unfinished is None) == (done < 3)
    for name, array in whole.get_weights().items():
        np.testing.assert_array_equal(pieces.get_weights()[name], array)
    assert record["test_nll"] == unfinished["test_nll"]
    assert record["fraction_of_schedule"] == 3 / 3280
    assert "epoch 3/3" in capsys.readouterr().out


def test_rows_of_the_burda_table_are_replaced_and_sorted(tmp_path):
    path = tmp_path / "record.json"
    for model, nll in (("IWAE k=5", 90.0), ("VAE k=1", 91.0), ("IWAE k=5", 88.0)):
        benchmarks.write_record(path, burda2016.with_row(path, {"model": model, "test_nll": nll}))
    rows = json.loads(path.read_text())["rows"]
    assert [(row["model"], row["test_nll"]) for row in rows] == [("VAE k=1", 91.0), ("IWAE k=5", 88.0)]


def test_vincent_table_on_digits(monkeypatch):
    from sklearn.datasets import load_digits

    monkeypatch.setattr(vincent2010, "CODE", 64)
    x, y = load_digits(return_X_y=True)
    record = vincent2010.reproduce(x / 16, y, (600, 200, 900), epochs=3)
    json.dumps(record, allow_nan=False)
    assert [row["features"].split(",")[0] for row in record["rows"]] == [
        "pixels",
        "PCA",
        "codes of the autoencoder",
        "codes of the denoising autoencoder",
    ]
    assert all(0 < row["test_error"] < 20 for row in record["rows"])  # chance: 90
    share = record["rows"][0]["test_error"] / 100
    assert record["rows"][0]["half_width"] == pytest.approx(196 * (share * (1 - share) / 900) ** 0.5)


def test_one_class_on_digits():
    """Every score tells zeros from other digits."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32) / 16
    found = one_class.measure(x[:1200], y[:1200], x[1200:], y[1200:], 0, 0, fit_size=90, code=8, epochs=60)
    assert found.keys() == {
        *("PCA residual", "Gaussian evidence", "Isolation Forest", "one-class SVM", "LOF"),
        *("AE error", "AE code distance", "VAE evidence"),
    }
    json.dumps(found, allow_nan=False)
    assert all(numbers["auroc"] > 0.9 for numbers in found.values())
    assert {numbers["normal"] for numbers in found.values()} == {int(np.sum(y[1200:] == 0))}


def test_one_class_counts_alarms_above_the_threshold():
    held_out = np.arange(1.0, 100.0)  # 99 scores: the 95th is the threshold
    test = np.array([0.0, 94.5, 95.5, 200.0, 95.0, 300.0])
    is_anomaly = np.array([False, False, False, False, True, True])
    numbers = one_class.judge(held_out, test, is_anomaly)
    assert numbers["false_alarms"] == 2
    assert numbers["expected_false_alarms"] == pytest.approx(4 * 0.05)
    assert numbers["detected"] == 0.5
    assert numbers["auroc"] == pytest.approx((2 + 4) / 8)


def test_raschka_table_on_digits(monkeypatch):
    from sklearn.datasets import load_digits

    monkeypatch.setattr(raschka, "DEEP", (48,))
    monkeypatch.setattr(raschka, "CODE", 16)
    x, y = load_digits(return_X_y=True)
    x = x.astype(np.float32) / 16
    record = raschka.reproduce([x[:900], x[900:]], [y[:900], y[900:]], 2, 40, 45)
    json.dumps(record, allow_nan=False)
    pixels, pca, *networks = record["rows"]
    assert [pixels["features"], pca["features"]] == ["pixels", "PCA"]
    assert pixels["forests"][0]["test"] > 85
    assert pca["forests"][0]["test"] > 80
    assert [forest["trees"] for forest in pca["forests"]] == [40, 45]
    best = max(networks, key=lambda row: row["forests"][0]["out_of_bag"])
    assert record["chosen_out_of_bag"] == best["features"]
    assert [len(row["forests"]) for row in networks] == [1 + (row is best) for row in networks]


def test_restoration_on_digits():
    rows = restoration.impute("digits", 300, levels=(0.3,))
    psnr = {row["method"]: row["psnr"] for row in rows}
    assert psnr["iterated regressions"] > psnr["mean"]
    assert psnr["network"] > psnr["mean"]
    sizes = restoration.inpaint("digits", 300, epochs=5)
    assert [row["size"] for row in sizes] == [1, 2, 3, 4, 5]
    assert all(np.isfinite(row["psnr"]) and row["ssim"] <= 1 for row in sizes)
