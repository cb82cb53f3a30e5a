"""The picture on the book's first page: images, their codes of two numbers, and the images rebuilt from them.

``AELIB_DATA_DIR=... python -m booktools.landing`` draws ``chapters/images/landing.png`` anew, from MNIST.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import ConnectionPatch

import aelib
from aelib.plot import MARKERS, OKABE_ITO
from booktools.address import ROOT

SHOWN = (7, 2, 0, 4)  # one image of each of these digits
GREY = "#5a6570"


def main() -> None:
    """Train, and draw."""
    data = aelib.load_dataset("mnist")
    net = aelib.Autoencoder(
        aelib.Dense((256, 64), code=2),
        loss="binary_cross_entropy",
        epochs=15,
        random_state=0,
        backend="torch",
        dtype="float32",
    ).fit(data.x_train)
    images, digits = data.x_validation, data.y_validation
    codes, rebuilt = net.transform(images), net.reconstruct(images)
    chosen = [_most_typical(codes, digits == digit) for digit in SHOWN]

    figure = plt.figure(figsize=(10, 4.4), dpi=160)
    plane = figure.add_axes((0.27, 0.11, 0.46, 0.78))
    for digit in range(10):
        these = codes[digits == digit][:200]
        colour = OKABE_ITO[SHOWN.index(digit)] if digit in SHOWN else "#c9cdd2"
        plane.scatter(*these.T, s=7, color=colour, zorder=2 if digit in SHOWN else 1, linewidths=0)
    plane.set(xlabel="first number of the code", ylabel="second number", xticks=[], yticks=[])
    low, high = np.percentile(codes, [2, 98], axis=0)
    margin = 0.1 * (high - low)
    plane.set(xlim=(low[0] - margin[0], high[0] + margin[0]), ylim=(low[1] - margin[1], high[1] + margin[1]))
    for row, (index, colour, marker) in enumerate(zip(chosen, OKABE_ITO, MARKERS, strict=False)):
        plane.plot(*codes[index], marker, color=colour, markersize=13, markeredgecolor="black", zorder=4)
        for left, edge, pictures in ((0.06, 1.0, images), (0.83, 0.0, rebuilt)):
            small = figure.add_axes((left, 0.70 - row * 0.205, 0.11, 0.19))
            small.imshow(data.images(pictures[index : index + 1])[0, ..., 0], cmap="gray_r")
            small.set(xticks=[], yticks=[])
            for side in small.spines.values():
                side.set(color=colour, linewidth=2.5)
            line = ConnectionPatch((edge, 0.5), codes[index], small.transAxes, plane.transData)
            line.set(color=colour, linewidth=1.2, zorder=3)
            figure.add_artist(line)
    for x, words in ((0.115, "image: 784 pixels"), (0.5, "code: 2 numbers"), (0.885, "image, rebuilt")):
        figure.text(x, 0.935, words, ha="center", fontsize=13, color="black")
    figure.text(0.225, 0.02, "encoder", ha="center", fontsize=12, color=GREY)
    figure.text(0.775, 0.02, "decoder", ha="center", fontsize=12, color=GREY)
    target = ROOT / "chapters" / "images" / "landing.png"
    figure.savefig(target, pil_kwargs={"optimize": True})
    print(target)


def _most_typical(codes: np.ndarray, those: np.ndarray) -> int:
    """Return the index of the image whose code is nearest to the middle of its class."""
    distances = np.linalg.norm(codes - np.median(codes[those], axis=0), axis=1)
    return int(np.argmin(np.where(those, distances, np.inf)))


if __name__ == "__main__":
    main()
