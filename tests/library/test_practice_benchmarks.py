"""The benchmark programs of lessons 16 to 20, in small: that they run, and that their sums are right."""

import json

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA

import aelib
from aelib.settings import BACKENDS
from benchmarks import RESULTS, ablations, drift, evaluation, scaling, search, search_digits


@pytest.fixture(autouse=True)
def reference_profile(monkeypatch):
    monkeypatch.setenv("AELIB_PROFILE", "reference")


def record(name):
    return json.loads((RESULTS / f"{name}.json").read_text())


# Lesson 16: ablations


def test_every_row_has_a_name_of_its_own_and_a_reference_before_it():
    rows = ablations.rows()
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    for place, row in enumerate(rows):
        assert row.reference in names[: place + 1], row.name


def test_the_record_has_every_row_over_at_least_five_seeds():
    committed = record("ablations")
    assert [row["name"] for row in committed["rows"]] == [row.name for row in ablations.rows()]
    assert min(len(row["errors"]) for row in committed["rows"]) >= 5


def test_interval_is_students():
    values = np.array([1.0, 2.0, 4.0, 5.0, 5.5])
    mean, half = ablations.interval(values)
    low, high = stats.t.interval(0.95, 4, loc=values.mean(), scale=stats.sem(values))
    assert (mean - half, mean + half) == (pytest.approx(low), pytest.approx(high))


def test_a_difference_is_taken_seed_by_seed():
    rows = [
        {"name": "base", "reference": "base", "errors": [1.0, 5.0, 9.0]},
        {"name": "other", "reference": "base", "errors": [2.0, 6.0, 10.5]},
    ]
    ablations.summarise(rows)
    assert "difference" not in rows[0]
    expected = ablations.interval([1.0, 1.0, 1.5])
    assert (rows[1]["difference"], rows[1]["difference_half_width"]) == pytest.approx(expected)


def test_only_the_groups_asked_for_are_measured_and_the_others_kept(monkeypatch):
    monkeypatch.setitem(ablations.BASE, "epochs", 1)
    shown = []
    train = ablations.train

    def watched(row, *arguments, **sizes):
        shown.append(row.name)
        return train(row, *arguments, **sizes)

    monkeypatch.setattr(ablations, "train", watched)
    old = {"rows": [{"name": "base", "reference": "base", "errors": [1.0, 2.0], "group": "base"}]}
    found = ablations.run(["depth and width"], seeds=2, old=old, train=100)
    names = [row.name for row in ablations.rows() if row.group == "depth and width"]
    assert shown == [name for name in names for _ in range(2)]
    assert [row["name"] for row in found["rows"]] == ["base", *names]
    assert found["rows"][0]["errors"] == [1.0, 2.0]


def test_dead_units_are_counted():
    model = aelib.Autoencoder(aelib.Dense((6,), code=2), epochs=1, random_state=0, backend="torch")
    x = np.random.default_rng(0).random((50, 4))
    weights = model.fit(x).get_weights()
    weights["encoder.0.bias"] = np.array([-100.0, 100.0, -100.0, 100.0, 100.0, -100.0])
    model.set_weights(weights)
    assert ablations.dead_units(model, x) == 3
    assert ablations.dead_units(model.set_params(architecture=aelib.Dense(code=2)), x) is None


def test_initial_weights_are_what_their_names_say():
    plan = aelib.Dense((200,), code=50).plan((100,), "linear")
    weights = plan.initial_weights(0)
    glorot = ablations.glorot(weights)
    for name, weight in glorot.items():
        if name.endswith("kernel"):
            assert weight.var() == pytest.approx(2 / sum(weight.shape))
    assert np.all(ablations.hidden_biases(-1.0)(weights)["encoder.0.bias"] == -1.0)
    np.testing.assert_array_equal(
        ablations.scaled(3.0)(weights)["encoder.0.kernel"], 3 * weights["encoder.0.kernel"]
    )


# Lesson 18: evaluation


def test_splits_share_no_image_and_miss_none():
    x_train, x_test, y_train, y_test = evaluation.split(1)
    assert (len(x_train), len(x_test)) == (1200, 597)
    assert (len(y_train), len(y_test)) == (1200, 597)
    both = np.concatenate([x_train, x_test])
    assert both.sum() == pytest.approx(np.concatenate(evaluation.split(0)[:2]).sum())
    assert not np.array_equal(x_test, evaluation.split(0)[1])


def test_the_row_of_pca_is_pcas():
    x_train, x_test, *_ = evaluation.split(0)
    pca = PCA(evaluation.CODE).fit(x_train)
    row = evaluation.run("PCA", 0, 0)
    expected = np.mean(np.sum((x_test - pca.inverse_transform(pca.transform(x_test))) ** 2, axis=1))
    assert row["squared_error"] == pytest.approx(expected, rel=1e-6)
    committed = next(
        row for row in record("evaluation")["rows"] if row["model"] == "PCA" and row["split"] == 0
    )
    assert row["linear"] == pytest.approx(committed["linear"], abs=0.2)


@pytest.mark.parametrize("model", evaluation.MODELS)
def test_the_models_are_built_and_measured(model, monkeypatch):
    monkeypatch.setattr(evaluation, "FEW", 15)
    estimator = evaluation.build(model, 0, "torch").set_params(epochs=1)
    parts = tuple(part[:150] for part in evaluation.split(0))
    found = evaluation.measure(estimator.fit(parts[0]), parts)
    assert set(found) == set(evaluation.MEASURES)
    assert all(np.isfinite(value) for value in found.values())


# Lesson 20: drift


def test_drift_compares_what_it_names():
    x = np.random.default_rng(0).random((300, 20))
    pairs = {
        "the same": (drift.TORCH64, drift.TORCH64),
        "backwards": (drift.TORCH64, drift.TORCH64 | {"backwards": True}),
        "rounded": (drift.TORCH64, drift.TORCH64 | {"rounded": True}),
    }
    found = drift.reproduce(x, pairs, epochs=2)
    assert found["images"] == 256
    assert found["pairs"]["the same"]["loss"] == [0.0, 0.0]
    assert found["pairs"]["the same"]["weights"] == [0.0, 0.0]
    for name, smallest, largest in (("backwards", 1e-17, 1e-12), ("rounded", 1e-10, 1e-5)):
        assert smallest < max(found["pairs"][name]["weights"]) < largest


def test_the_drift_record_is_of_all_pairs():
    assert set(record("drift")["pairs"]) == set(drift.PAIRS)


# Lesson 17: search


def test_the_grid_has_two_values_each_inside_the_space_and_shifts_within_it():
    plain = search.grid({})
    assert len(plain) == 5
    assert all(len(values) == 2 for values in plain.values())
    for seed in range(5):
        for name, values in search.shifted_grid(seed).items():
            if name == "rate":
                assert all(1e-4 <= value <= 1e-1 for value in values)
                assert max(values) / min(values) == pytest.approx(10**1.5)


def test_the_winner_of_noise_is_an_optimist_and_that_of_a_real_difference_is_not():
    noise = np.random.default_rng(0).standard_normal((20, 400))
    rng = np.random.default_rng(1)
    few, many = (search.optimism(noise, judges, 300, rng) for judges in (10, 200))
    assert few > many > 0
    assert few == pytest.approx(1.87 / np.sqrt(10), rel=0.2)  # 1.87: expected largest of 20 normal numbers
    real = noise * 1e-3 + np.arange(20)[:, None]
    assert abs(search.optimism(real, 10, 300, rng)) < 1e-3


def test_searches_in_small(monkeypatch):
    monkeypatch.setattr(search_digits, "EPOCHS", 1)
    monkeypatch.setattr(search, "JUDGES", (10,))
    monkeypatch.setattr(search, "TRIALS", 2)
    found = search.compare(2, 2, draws=5)
    assert {len(row["trials"]) for row in found["searches"]["random"]} == {2}
    assert set(found["best"]) == {"random", "TPE", "TPE, pruned", "grid, shifted"}
    for row in found["searches"]["TPE"]:
        assert row["best"] == pytest.approx(min(trial["value"] for trial in row["trials"]))


# Lesson 19: scaling


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_profile_adds_up_and_nothing_costs_nothing(backend, monkeypatch):
    pytest.importorskip(backend)
    monkeypatch.setattr(scaling, "IMAGES", 512)
    found = scaling.profile(backend)
    assert list(found["milliseconds"]) == ["batch", "loss", "gradient", "update"]
    assert sum(found["milliseconds"].values()) > 0


def test_the_rules_show_the_same_rate_first(monkeypatch):
    monkeypatch.setattr(scaling, "EPOCHS", 1)
    monkeypatch.setattr(scaling, "FACTORS", (1, 4))
    rows = scaling.rules()["rows"]
    assert [row["batch_size"] for row in rows] == [16, 64, 16, 64]
    for row in rows[::2]:  # at the base's batch size all rules are the same rate
        assert len(set(row["loss"])) == 1
    for row in rows[1::2]:
        assert len(set(row["loss"])) == 3


def test_shortest_is_the_cheapest_call_but_the_first(monkeypatch):
    spent = iter([50.0, 3.0, 2.0, 5.0, 4.0, 6.0])
    clock = [0.0]

    def work():
        clock[0] += next(spent)

    monkeypatch.setattr(scaling.time, "process_time", lambda: clock[0])
    assert scaling.shortest(work) == 2.0


def test_the_record_of_workers_says_that_nothing_was_lost():
    committed = record("scaling")
    text = json.dumps(committed)
    assert '"identical": true' in text
    assert '"identical": false' not in text
