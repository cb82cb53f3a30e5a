"""An interactive plane of two-number codes for a web page: drag a point, see the image decoded from it.

The page needs nothing but itself: weights, codes and script stand in one HTML fragment, which works on the
book's site, in Jupyter and in Colab. Where scripts do not run, a still picture of the plane stays.
"""

import base64
import html
import io
import json
from importlib import resources
from string import Template
from typing import TYPE_CHECKING

import numpy as np
from sklearn.utils.validation import check_array, check_is_fitted

from aelib.base import BaseAutoencoder
from aelib.layers import DenseLayer
from aelib.plot import _as_images

if TYPE_CHECKING:
    from IPython.display import HTML

_STILL = 12  # decoded images in a row and in a column of the still picture


def latent_plane(
    estimator: BaseAutoencoder,
    codes: np.ndarray,
    labels: np.ndarray | None = None,
    *,
    image_shape: tuple[int, ...] | None = None,
) -> "HTML":
    """Return an interactive plane of codes, whose decoder is computed by the reader's browser.

    A point is moved by mouse, pen or finger, or with the arrow keys; its place is also said in words. Results
    are those of `estimator.inverse_transform` up to the rounding of the weights to float32.

    Parameters
    ----------
    estimator : Autoencoder or VariationalAutoencoder
        Fitted, with a `Dense` decoder of a code of two numbers and without a condition.
    codes : array of shape (n, 2)
        The data's codes, drawn as points; they set the extent of the plane. A few hundred are enough.
    labels : array of shape (n,), optional
        Classes: each point is drawn as its class, written out.
    image_shape : (height, width) or (height, width, channels), optional
        Needed for rows of features, unless their number is a square: then the image is square and grey.

    Returns
    -------
    IPython.display.HTML
        To be the last expression of a cell. Several on one page do not disturb each other.

    Raises
    ------
    ValueError
        If the decoder is not dense or its code not two numbers, or codes, labels or images do not fit.
    """
    from IPython.display import HTML
    from PIL import Image

    check_is_fitted(estimator)
    plan, codes = estimator._plan(), check_array(codes, dtype=np.float64, input_name="codes")
    if not all(isinstance(layer, DenseLayer) for layer in plan.decoder) or plan.decoder[0].inputs != 2:
        raise ValueError("latent_plane needs a dense decoder of a code of two numbers and nothing else")
    if codes.shape[1] != 2 or (labels is not None and np.shape(labels) != (len(codes),)):
        raise ValueError(
            f"codes must have the shape (n, 2) and labels (n,), not {codes.shape} and {np.shape(labels)}"
        )
    margin = 0.08 * np.maximum(np.ptp(codes, axis=0), 1e-6)
    low, high = codes.min(axis=0) - margin, codes.max(axis=0) + margin

    # The still picture: each image shows the code at the middle of its cell.
    across, up = np.linspace(low, high, 2 * _STILL + 1)[1::2].T
    grid = np.stack(np.meshgrid(across, up[::-1]), axis=-1).reshape(-1, 2)
    images = _as_images(estimator.inverse_transform(grid), image_shape)
    height, width, channels = images.shape[1:]
    still = images.reshape(_STILL, _STILL, height, width, channels).swapaxes(1, 2)
    still = still.reshape(_STILL * height, _STILL * width, channels).squeeze()
    png = io.BytesIO()
    Image.fromarray(np.uint8(np.clip(still, 0, 1) * 255 + 0.5)).save(png, "PNG")

    weights, layers = estimator.get_weights(), []
    for layer in plan.decoder:
        own = layer.tied_to is None
        kernel = weights[f"{layer.name}.kernel"] if own else weights[f"{layer.tied_to}.kernel"].T
        activation = plan.output_activation if layer is plan.decoder[-1] else layer.activation
        layers.append([_base64(kernel), _base64(weights[f"{layer.name}.bias"]), activation])
    data = {"layers": layers, "codes": _base64(codes), "height": height, "width": width}
    data |= {"labels": None if labels is None else [str(label) for label in labels]}
    data |= {"low": low.tolist(), "high": high.tolist(), "start": np.median(codes, axis=0).tolist()}
    page = Template(resources.files("aelib").joinpath("latent_plane.html").read_text(encoding="utf-8"))
    script = resources.files("aelib").joinpath("latent_plane.js").read_text(encoding="utf-8")
    extent = [f"code {unit + 1} from {low[unit]:.1f} to {high[unit]:.1f}" for unit in range(2)]
    words = {"extent": f"{extent[0]} rightwards, {extent[1]} upwards", "data": html.escape(json.dumps(data))}
    picture = base64.b64encode(png.getvalue()).decode()
    return HTML(page.substitute(words, png=picture, width=width, height=height, script=script))


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array, dtype="<f4").tobytes()).decode()
