"""Export: a fitted encoder and decoder as two ONNX files, which many programs and languages can run.

The graph is built from the plan's layers and the weights under their canonical names, not by a framework's
converter: the files are the same whichever backend trained the model. They compute in float32, whatever
precision that was; against a float64 model their results differ by float32's rounding.
"""

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from aelib import layers, storage

if TYPE_CHECKING:
    from aelib.base import BaseAutoencoder

OPSET, IR_VERSION = 17, 8  # readers from 2022 on know these
OPERATORS = {name: name.capitalize() for name in layers.ACTIVATIONS} | {"linear": "Identity"}


def export(estimator: "BaseAutoencoder", path: str | os.PathLike) -> tuple[Path, Path]:
    """Write a fitted estimator's encoder and decoder as ONNX files, both or none.

    Both compute in float32 and take any number of samples at once. The encoder's input "x" has the shape
    (batch, ...), its output "code" the shape (batch, code); a variational one gives the posterior mean,
    and has a second output "standard_deviation". The decoder makes "reconstruction" of "code". Conditional
    models have a second input "condition" (batch, classes): 1 for the sample's class and 0 for all others, in
    the order of the metadata's entry "classes". The entries "class" and "settings" say what was trained;
    all are JSON. NaN in "x" is what it is to the estimator: not known, or after a sequence's end.

    Parameters
    ----------
    estimator : Autoencoder or VariationalAutoencoder
        Fitted.
    path : path
        The beginning of both names; ".encoder.onnx" and ".decoder.onnx" are added.

    Returns
    -------
    encoder, decoder : Path
        The files that were written.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator is not fitted.
    ValueError
        If the settings were changed after `fit`, so that the weights no longer fit them.
    ImportError
        If the package onnx is not installed.
    """
    check_is_fitted(estimator)
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ImportError("export needs the package onnx: pip install onnx") from error
    plan, weights, sample = estimator._plan(), estimator.get_weights(), estimator.sample_shape_
    layers.check_weights(weights, plan.weight_shapes())
    classes = [] if getattr(estimator, "condition", None) is None else estimator.classes_.tolist()
    metadata = storage.to_json(estimator) | {"classes": classes}

    encoder = _Graph(weights, {"x": sample}, len(classes))
    code = encoder.append(plan.encoder)
    if estimator._is_variational:
        code = encoder.add("Split", code, outputs=("mean", "log_variance"), axis=1)
    encoder.output("code", code, (plan.code,))
    if estimator._is_variational:
        deviation = encoder.add("Exp", encoder.add("Mul", "log_variance", np.float32(0.5)))
        encoder.output("standard_deviation", deviation, (plan.code,))

    decoder = _Graph(weights, {"code": (plan.code,)}, len(classes))
    value = decoder.add(OPERATORS[plan.output_activation], decoder.append(plan.decoder))
    decoder.output("reconstruction", value, sample)
    return _write(Path(path), encoder.serialize("encoder", metadata), decoder.serialize("decoder", metadata))


class _Graph:
    """A graph that grows node by node; every value in it has a name, a weight its canonical one."""

    def __init__(self, weights: dict[str, np.ndarray], inputs: dict[str, tuple[int, ...]], classes: int):
        self.nodes, self.outputs = [], {}
        self.inputs = inputs | ({"condition": (classes,)} if classes else {})
        self.constants = {name: array.astype(np.float32) for name, array in weights.items()}

    def add(self, operator: str, *inputs: Any, outputs: tuple[str, ...] = (), **attributes: Any) -> str:
        """Append a node and return the name of its first output; an input is a name or a constant."""
        from onnx import helper

        own = f"{operator}.{len(self.nodes)}"
        names = [value if isinstance(value, str) else f"{own}.{i}" for i, value in enumerate(inputs)]
        self.constants |= {n: np.asarray(v) for n, v in zip(names, inputs, strict=True) if n is not v}
        self.nodes.append(helper.make_node(operator, names, outputs or (own,), name=own, **attributes))
        return self.nodes[-1].output[0]

    def append(self, stack: tuple[layers.Layer, ...]) -> str:
        """Append layers, the first of which sees the condition as further channels of its input."""
        x, *condition = self.inputs
        if condition:
            places = self.inputs[x][:-1]  # a sample's shape without its channels
            shape = [0, *[1] * len(places), *self.inputs["condition"]]  # 0: as many samples as there are
            everywhere = self.add("Expand", self.add("Reshape", "condition", shape), [1, *places, 1])
            x = self.add("Concat", x, everywhere, axis=-1)  # (batch, ..., channels + classes)
        for layer in stack:
            x = LAYERS[type(layer)](self, layer, x)
        return x

    def output(self, name: str, value: str, shape: tuple[int, ...]) -> None:
        """Make a value one of the graph's results."""
        self.outputs[self.add("Identity", value, outputs=(name,))] = shape

    def serialize(self, part: str, metadata: dict[str, Any]) -> bytes:
        """Return the content of a file, checked by onnx."""
        from onnx import TensorProto, checker, helper, numpy_helper

        from aelib import __version__

        inputs, outputs = (
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *ends[name]]) for name in ends]
            for ends in (self.inputs, self.outputs)
        )
        used = {name for node in self.nodes for name in node.input} & self.constants.keys()
        constants = [numpy_helper.from_array(self.constants[name], name) for name in sorted(used)]
        graph = helper.make_graph(self.nodes, part, inputs, outputs, constants)
        opset = helper.make_opsetid("", OPSET)
        model = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
        model.producer_name, model.producer_version = "aelib", __version__
        model.doc_string = f"{part}, {', '.join(self.inputs)} to {', '.join(self.outputs)}, all float32"
        helper.set_model_props(model, {name: json.dumps(value) for name, value in metadata.items()})
        checker.check_model(model, full_check=True)
        return model.SerializeToString()


def _dense(graph: _Graph, layer: layers.DenseLayer, x: str) -> str:
    kernel = f"{layer.name}.kernel"
    if layer.tied_to is not None:
        graph.constants[kernel] = graph.constants[f"{layer.tied_to}.kernel"].T
    x = graph.add("Add", graph.add("MatMul", x, kernel), f"{layer.name}.bias")
    return graph.add(OPERATORS[layer.activation], x)


def _conv(graph: _Graph, layer: layers.ConvLayer, x: str) -> str:
    kernel = f"{layer.name}.kernel"
    # (4, 4, inputs, outputs) to (outputs, inputs, 4, 4), of the transpose to (inputs, outputs, 4, 4)
    graph.constants[kernel] = graph.constants[kernel].transpose(3, 2, 0, 1)
    x = graph.add("Transpose", x, perm=[0, 3, 1, 2])  # ONNX has channels first
    operator = "ConvTranspose" if layer.transposed else "Conv"
    sizes = {"strides": [layers.STRIDE] * 2, "pads": [layers.PADDING] * 4}
    x = graph.add(operator, x, kernel, f"{layer.name}.bias", **sizes)
    return graph.add(OPERATORS[layer.activation], graph.add("Transpose", x, perm=[0, 2, 3, 1]))


def _reshape(graph: _Graph, layer: layers.ReshapeLayer, x: str) -> str:
    return graph.add("Reshape", x, [0, *layer.shape])  # 0: as before


def _recurrent(graph: _Graph, layer: layers.RecurrentLayer, x: str) -> str:
    # ONNX has the order update, reset, new in a GRU and input, output, forget, cell in an LSTM.
    order = [1, 0, 2] if layer.cell == "gru" else [0, 3, 1, 2]
    columns = np.arange(len(order) * layer.units).reshape(-1, layer.units)[order].ravel()
    no_bias = np.zeros(len(columns), np.float32)  # in place of an LSTM's second one
    kernel, recurrent_kernel, *biases = (
        graph.constants.get(f"{layer.name}.{part}", no_bias)[..., columns].T[None]
        for part in ("kernel", "recurrent_kernel", "bias", "recurrent_bias")
    )
    steps = graph.add("Transpose", _fill(graph, layer, x), perm=[1, 0, 2])  # (time, batch, inputs)
    options = {"hidden_size": layer.units} | ({"linear_before_reset": 1} if layer.cell == "gru" else {})
    states = graph.add(layer.cell.upper(), steps, kernel, recurrent_kernel, np.hstack(biases), **options)
    states = graph.add("Transpose", graph.add("Squeeze", states, [1]), perm=[1, 0, 2])  # (batch, time, units)
    if layer.returns_sequence:
        return states
    known = graph.add("Not", graph.add("IsNaN", graph.add("Gather", x, 0, axis=2)))  # (batch, time)
    length = graph.add("ReduceSum", graph.add("Cast", known, to=7), [1])  # (batch, 1); 7 is int64
    return graph.add("GatherND", states, graph.add("Sub", length, [1]), batch_dims=1)  # (batch, units)


def _repeat(graph: _Graph, layer: layers.RepeatLayer, x: str) -> str:
    return graph.add("Expand", graph.add("Unsqueeze", x, [1]), [1, layer.times, 1])


def _fill(graph: _Graph, layer: layers.Layer, x: str) -> str:
    return graph.add("Where", graph.add("IsNaN", x), np.float32(0), x)


# Each appends a layer behind the value named x, and returns the name of its result.
LAYERS = {
    layers.DenseLayer: _dense,
    layers.ConvLayer: _conv,
    layers.ReshapeLayer: _reshape,
    layers.RecurrentLayer: _recurrent,
    layers.RepeatLayer: _repeat,
    layers.FillLayer: _fill,
}


def _write(path: Path, encoder: bytes, decoder: bytes) -> tuple[Path, Path]:
    """Write both files or none; what is there is replaced only once both new files are whole."""
    first, second = (path.with_name(f"{path.name}.{part}.onnx") for part in ("encoder", "decoder"))
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.", suffix=".part") as folder:
        Path(folder, first.name).write_bytes(encoder)
        Path(folder, second.name).write_bytes(decoder)
        before = first.read_bytes() if first.exists() else None
        os.replace(Path(folder, first.name), first)
        try:
            os.replace(Path(folder, second.name), second)
        except OSError:
            first.unlink() if before is None else first.write_bytes(before)
            raise
    return first, second
