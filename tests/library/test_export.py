"""An exported model computes in onnxruntime what the estimator computes, whatever it consists of."""

import json
import os
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.exceptions import NotFittedError

import aelib
from aelib import layers
from aelib.equivalence import relative_error
from aelib.export import IR_VERSION, LAYERS, OPSET, export
from aelib.settings import BACKENDS, load_wing

TOLERANCE = 1e-5
ROW, IMAGE, MNIST, SEQUENCE = (12,), (8, 8, 3), (28, 28, 1), (9, 2)
SMALL = aelib.Dense((9,), code=3)
AUTOENCODERS = {
    "one layer each way": (ROW, aelib.Dense(code=3), {}),
    "deep": (ROW, aelib.Dense((9, 7), code=3, code_activation="sigmoid"), {"loss": "binary_cross_entropy"}),
    "tied": (ROW, aelib.Dense((9, 7), code=3, activation="tanh", tied=True), {}),
    "dropout": (ROW, aelib.Dense((9,), code=3, dropout=0.5), {}),
    "denoising": (ROW, SMALL, {"corruption": aelib.GaussianNoise(0.5)}),
    "unknown values": (ROW, SMALL, {"missing": "mask"}),
    "conv": (IMAGE, aelib.Conv((4, 5), code=3, activation="elu"), {"loss": "binary_cross_entropy"}),
    "conv, three halvings": (IMAGE, aelib.Conv((4, 5, 6), code=3), {}),
    "conv, 28×28": (MNIST, aelib.Conv((4, 8), code=3), {}),
    "conv, oblong": ((4, 12, 2), aelib.Conv((4, 5), code=3), {}),
    "conv, unknown values": (IMAGE, aelib.Conv((4,), code=3), {"missing": "mask"}),
    "gru": (SEQUENCE, aelib.Recurrent(6, code=3), {}),
    "lstm": (SEQUENCE, aelib.Recurrent(6, code=3, cell="lstm"), {"output_activation": "tanh"}),
}
for name in layers.ACTIVATIONS:
    everywhere = aelib.Dense((9,), code=3, activation=name, code_activation=name)
    AUTOENCODERS[name] = (ROW, everywhere, {"output_activation": name})
VARIATIONAL = {
    "bernoulli": (ROW, SMALL, {}),
    "gaussian": (ROW, aelib.Dense((9,), code=3, activation="tanh"), {"likelihood": "gaussian"}),
    "conv": (IMAGE, aelib.Conv((4,), code=3), {}),
    "gru": (SEQUENCE, aelib.Recurrent(6, code=3), {}),
    "conditional": (ROW, SMALL, {"condition": "class"}),
    "conditional conv": (IMAGE, aelib.Conv((4, 5), code=3), {"condition": "class"}),
    "conditional lstm": (SEQUENCE, aelib.Recurrent(6, code=3, cell="lstm"), {"condition": "class"}),
}
CLASSES = np.array(["no", "yes", "maybe", "no", "maybe", "yes", "yes"])


def samples(shape, unknown=False, ended=False):
    """Return seven samples, exact in float32; some values are not known, or some sequences end early."""
    generator = np.random.default_rng(1)
    x = generator.random((7, *shape)).astype(np.float32)
    if unknown:
        x[generator.random(x.shape) < 0.3] = np.nan
    if ended:
        x[1, 5:], x[3, 1:] = np.nan, np.nan
    return x


def ready(model, x, y=None):
    """Return the model as if fitted; its weights, biases too, are so large that none goes unseen."""
    model.set_params(random_state=0)._prepare(x, y)
    generator = np.random.default_rng(2)
    shapes = model._plan().weight_shapes()
    model._build_network({name: generator.normal(0, 0.6, shape) for name, shape in shapes.items()})
    return model


def small(backend="torch", **settings):
    return ready(aelib.Autoencoder(SMALL, backend=backend, dtype="float64", **settings), samples(ROW))


def run(path, **inputs):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {name: array.astype(np.float32) for name, array in inputs.items()})


@pytest.fixture(params=BACKENDS)
def backend(request):
    return request.param


@pytest.fixture
def check(record):
    """Return a function that holds an array to a reference."""

    def compare(label, found, expected):
        error = relative_error(found, expected)
        record(f"ONNX, {label}", error, TOLERANCE)
        assert found.dtype == np.float32
        assert error <= TOLERANCE

    return compare


@pytest.mark.parametrize(
    ("name", "dtype"),
    [(name, "float64") for name in AUTOENCODERS] + [(name, "float32") for name in ("tied", "conv", "gru")],
)
def test_autoencoders(name, dtype, backend, tmp_path, check):
    shape, architecture, settings = AUTOENCODERS[name]
    recurrent = isinstance(architecture, aelib.Recurrent)
    x = samples(shape, unknown=settings.get("missing") == "mask", ended=recurrent)
    model = ready(aelib.Autoencoder(architecture, backend=backend, dtype=dtype, **settings), x)
    encoder, decoder = export(model, tmp_path / "model")
    for part in (x[1:2], x):  # one sample, which for Recurrent ends early, and seven
        (code,) = run(encoder, x=part)
        (reconstruction,) = run(decoder, code=code)
        check(f"{dtype} codes", code, model.transform(part))
        check(f"{dtype} reconstructions", reconstruction, model.inverse_transform(code))


def test_no_nan_reaches_a_recurrent_operator(tmp_path):
    """Another runtime may multiply what it does not need by 0, and 0 times NaN is NaN."""
    x = samples(SEQUENCE, ended=True)
    model = ready(aelib.Autoencoder(aelib.Recurrent(6, code=3), backend="torch"), x)
    file = onnx.load(export(model, tmp_path / "model")[0])
    (operator,) = (node for node in file.graph.node if node.op_type == "GRU")
    file.graph.output.append(onnx.helper.make_tensor_value_info(operator.input[0], 1, ["time", "batch", 2]))
    _, seen = run(file.SerializeToString(), x=x)
    np.testing.assert_array_equal(seen, np.nan_to_num(x).swapaxes(0, 1))


@pytest.mark.parametrize("name", VARIATIONAL)
def test_variational_autoencoders(name, backend, tmp_path, check):
    shape, architecture, settings = VARIATIONAL[name]
    x, y = samples(shape), CLASSES if "condition" in settings else None
    model = aelib.VariationalAutoencoder(architecture, backend=backend, dtype="float64", **settings)
    encoder, decoder = export(ready(model, x, y), tmp_path / "model")
    for n in (1, 7):
        part = None if y is None else y[:n]
        condition = {} if y is None else {"condition": part[:, None] == model.classes_}
        code, deviation = run(encoder, x=x[:n], **condition)
        (reconstruction,) = run(decoder, code=code, **condition)
        check("posterior means", code, model.transform(x[:n], part))
        check("posterior deviations", deviation, model.posterior(x[:n], part)[1])
        check("means of p(x|z)", reconstruction, model.inverse_transform(code, part))


def test_a_trained_model(backend, tmp_path, check):
    x = samples(ROW)
    model = aelib.Autoencoder(aelib.Dense(code=3), epochs=3, batch_size=7, random_state=0, backend=backend)
    encoder, _ = export(model.fit(x), tmp_path / "model")
    check("codes of a trained model", run(encoder, x=x)[0], model.transform(x))


def test_every_kind_of_layer_and_activation_can_be_exported():
    assert list(LAYERS) == list(load_wing("torch").networks.LAYERS)


def test_the_graph_does_not_depend_on_the_backend(tmp_path):
    first, second = (export(small(backend), tmp_path / backend) for backend in BACKENDS)
    for a, b in zip(first, second, strict=True):
        assert onnx.load(a).graph == onnx.load(b).graph


def test_the_files_say_what_they_are(tmp_path):
    model = aelib.VariationalAutoencoder(SMALL, condition="class", beta=2.0, backend="torch")
    paths = export(ready(model, samples(ROW), CLASSES), str(tmp_path / "digits.v1"))
    assert [path.name for path in paths] == ["digits.v1.encoder.onnx", "digits.v1.decoder.onnx"]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    for path, text in zip(paths, ("encoder", "decoder"), strict=True):
        file = onnx.load(path)
        assert (file.producer_name, file.producer_version) == ("aelib", aelib.__version__)
        assert (file.ir_version, file.opset_import[0].version) == (IR_VERSION, OPSET)
        assert file.doc_string.startswith(text)
        metadata = {entry.key: json.loads(entry.value) for entry in file.metadata_props}
        assert metadata["class"] == "VariationalAutoencoder"
        assert metadata["settings"]["beta"] == 2.0
        assert metadata["settings"]["architecture"]["settings"]["hidden"] == [9]
        assert metadata["classes"] == ["maybe", "no", "yes"]
    shapes = [
        {
            value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
            for value in (*onnx.load(path).graph.input, *onnx.load(path).graph.output)
        }
        for path in paths
    ]
    code, condition = {"code": ["batch", 3]}, {"condition": ["batch", 3]}
    assert shapes[0] == {"x": ["batch", 12], **condition, **code, "standard_deviation": ["batch", 3]}
    assert shapes[1] == {**code, **condition, "reconstruction": ["batch", 12]}


def test_a_file_holds_the_weights_of_its_own_part(tmp_path):
    for part, path in zip(("encoder", "decoder"), small().export(tmp_path / "model"), strict=True):
        names = {tensor.name for tensor in onnx.load(path).graph.initializer}
        assert names == {f"{part}.{i}.{kind}" for i in (0, 1) for kind in ("kernel", "bias")}


def test_an_unfitted_estimator_is_refused(tmp_path):
    for estimator in (aelib.Autoencoder(SMALL), aelib.VariationalAutoencoder(SMALL)):
        with pytest.raises(NotFittedError):
            estimator.export(tmp_path / "model")
    assert not list(tmp_path.iterdir())


def test_settings_that_no_longer_fit_the_weights_are_refused(tmp_path):
    model = small().set_params(architecture=aelib.Dense((9,), code=4))
    with pytest.raises(ValueError, match=r"weight 'encoder\.1\.kernel' has shape"):
        export(model, tmp_path / "model")


def test_without_onnx_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match="pip install onnx"):
        export(small(), tmp_path / "model")


def test_existing_files_are_replaced(tmp_path):
    old, new = small(), ready(aelib.Autoencoder(aelib.Dense(code=5), backend="torch"), samples(ROW))
    export(old, tmp_path / "model")
    encoder, _ = export(new, tmp_path / "model")
    assert run(encoder, x=samples(ROW))[0].shape == (7, 5)
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("before", [None, b"an older encoder"])
@pytest.mark.parametrize("fault", ["check", "encoder", "decoder"])
def test_both_files_or_none(fault, before, tmp_path, monkeypatch):
    encoder, decoder = tmp_path / "model.encoder.onnx", tmp_path / "model.decoder.onnx"
    if before is not None:
        encoder.write_bytes(before)
    replace = os.replace

    def broken(*arguments, **keywords):
        if fault == "check" or fault in str(arguments[1]):
            raise OSError("no space")
        replace(*arguments, **keywords)

    if fault == "check":
        monkeypatch.setattr(onnx.checker, "check_model", broken)
    else:
        monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="no space"):
        export(small(), tmp_path / "model")
    assert not decoder.exists()
    assert (encoder.read_bytes() if encoder.exists() else None) == before
    assert list(tmp_path.iterdir()) == ([] if before is None else [encoder])
