"""The interactive latent plane in a browser: what is decoded, and that keys and pointers move the point."""

import base64
import io
import json
import shutil
import subprocess
from dataclasses import dataclass, field

import numpy as np
import pytest
from bs4 import BeautifulSoup
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError

import aelib
from aelib.latent_plane import latent_plane
from aelib.layers import ACTIVATIONS

TOLERANCE = 1e-5
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
X, Y = (array[:200] for array in load_digits(return_X_y=True))
X = X / 16

# Every activation within, every activation at the end, tied weights, another depth, a variational decoder.
NETS: dict[str, aelib.Autoencoder | aelib.VariationalAutoencoder] = {
    **{
        f"{activation} within, {output} at the end": aelib.Autoencoder(
            aelib.Dense((9, 5), code=2, activation=activation), output_activation=output
        )
        for activation, output in zip(ACTIVATIONS, (*ACTIVATIONS[3:], *ACTIVATIONS[:3]), strict=True)
    },
    "tied": aelib.Autoencoder(aelib.Dense((7,), code=2, tied=True), loss="binary_cross_entropy"),
    "no hidden layer": aelib.Autoencoder(aelib.Dense(code=2)),
    "variational": aelib.VariationalAutoencoder(aelib.Dense((6,), code=2), likelihood="gaussian"),
}
CODES = np.random.default_rng(0).normal(0, 2, (20, 2))

# Runs in the page, after the planes; what it finds is written into the page as text.
SCRIPT = """
const planes = [...document.querySelectorAll(".aelib-plane")];
const [first, second] = planes;
const svg = first.querySelector("svg");
const words = (plane) => plane.querySelector("[aria-live]").textContent;
const key = (name, more) =>
  !svg.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true, ...more }));
const box = svg.getBoundingClientRect();
const pointer = (type, x, y) => svg.dispatchEvent(new PointerEvent(type, {
  pointerId: 7, clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true }));
const found = { said: {}, stopped: {} };
found.decoded = planes.map((plane) => CODES.map((code) => plane.decode(code)));
const canvas = first.querySelector("canvas");
const pixels = () => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
found.said.start = words(first);
found.pixels = pixels();
const untouched = words(second);
found.points = planes.map((plane) => plane.querySelectorAll(".aelib-plane-point").length);
const presses = [["right", "ArrowRight"], ["left", "ArrowLeft"], ["up", "ArrowUp"], ["down", "ArrowDown"],
  ["far", "ArrowRight", { shiftKey: true }], ["home", "Home"], ["other", "a"],
  ["command", "ArrowRight", { ctrlKey: true }]];
for (const [name, pressed, more] of presses) {
  found.stopped[name] = key(pressed, more);
  found.said[name] = words(first);
}
for (let i = 0; i < 100; i++) key("ArrowUp");
found.said.edge = words(first);
pointer("pointermove", 0.5, 0.5);
found.said.hovered = words(first);
pointer("pointerdown", 0.25, 0.25);
found.said.pressed = words(first);
pointer("pointermove", 0.75, 0.5);
found.said.moved = words(first);
pointer("pointerup", 0.75, 0.5);
pointer("pointermove", 0.25, 0.25);
found.said.released = words(first);
found.undisturbed = words(second) === untouched;
svg.focus();
found.focused = document.activeElement === svg;
const shown = (part) => getComputedStyle(first.querySelector(part)).display !== "none";
found.shown = [shown(".aelib-plane-live"), shown(".aelib-plane-still")];
const narrow = planes[2].parentElement;
const plane = planes[2].querySelector("svg").getBoundingClientRect();
found.wide = [narrow.scrollWidth, narrow.clientWidth, plane.width];
const result = document.createElement("pre");
result.id = "found";
result.textContent = JSON.stringify(found);
document.body.append(result);
"""


@dataclass
class Page:
    """What the browser found, and what Python knows."""

    found: dict
    fragments: list[str]
    nets: list = field(default_factory=list)

    def code(self, moment: str) -> np.ndarray:
        """Return the code that was said at this moment."""
        words = self.found["said"][moment].split()
        return np.array([float(words[3].rstrip(",")), float(words[7].rstrip("."))])


def fit(net):
    """Fit a net a little, and give it weights that are not small, nor float32 numbers."""
    net = net.set_params(epochs=1, batch_size=100, random_state=0, dtype="float64").fit(X)
    rng = np.random.default_rng(1)
    net.set_weights({name: rng.normal(0, 0.7, array.shape) for name, array in net.get_weights().items()})
    return net


@pytest.fixture(scope="module")
def browser() -> str:
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the PATH")
    return found


def look(browser: str, page: str, folder) -> BeautifulSoup:
    """Return `page` as it is after its scripts have run."""
    path = folder / "page.html"
    path.write_text(f"<!doctype html><meta charset='utf-8'><body>{page}</body>", encoding="utf-8")
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
    command += [f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=5000", "--dump-dom"]
    done = subprocess.run(
        [*command, path.as_uri()], capture_output=True, text=True, timeout=120, check=True, cwd=folder
    )
    return BeautifulSoup(done.stdout, "html.parser")


@pytest.fixture(scope="module")
def page(browser, tmp_path_factory) -> Page:
    nets = [fit(net) for net in NETS.values()]
    fragments = [latent_plane(net, net.transform(X), Y).data for net in nets]
    body = [
        f"<div style='width: {320 if i == 2 else 800}px'>{part}</div>" for i, part in enumerate(fragments)
    ]
    script = f"<script>const CODES = {json.dumps(CODES.tolist())};{SCRIPT}</script>"
    seen = look(browser, "".join(body) + script, tmp_path_factory.mktemp("plane"))
    found = seen.find(id="found")
    assert found is not None, "a script of the page failed"
    return Page(json.loads(found.get_text()), fragments, nets)


@pytest.mark.parametrize("index", range(len(NETS)), ids=list(NETS))
def test_browser_decodes_as_python_does(page, record, index):
    decoded = np.array(page.found["decoded"][index])
    expected = page.nets[index].inverse_transform(CODES)
    error = np.abs(decoded - expected).max() / max(1.0, np.abs(expected).max())
    record("latent plane, browser against inverse_transform", error, TOLERANCE)
    assert decoded.shape == expected.shape
    assert error <= TOLERANCE


def test_image_is_the_decoded_one(page):
    start = np.median(page.nets[0].transform(X), axis=0, keepdims=True)
    grey = 255 * np.clip(page.nets[0].inverse_transform(start)[0], 0, 1)
    pixels = np.array(page.found["pixels"]).reshape(-1, 4)
    assert np.abs(pixels[:, :3] - grey[:, np.newaxis]).max() < 0.51
    assert (pixels[:, 3] == 255).all()


def test_arrow_keys_move_the_point_and_say_where_it_is(page):
    low, high = extent(page)
    step = 0.02 * (high - low)
    start = np.median(page.nets[0].transform(X), axis=0)
    assert np.allclose(page.code("start"), start, atol=0.01)
    wanted = {
        "right": start + step * [1, 0],
        "left": start,
        "up": start + step * [0, 1],
        "down": start,
        "far": start + 5 * step * [1, 0],
        "home": start,
        "other": start,
        "command": start,
        "edge": [start[0], high[1]],
    }
    for moment, code in wanted.items():
        assert np.allclose(page.code(moment), code, atol=0.011), moment


def test_keys_that_move_do_not_scroll_and_others_are_left_alone(page):
    stopped = {name for name, was in page.found["stopped"].items() if was}
    assert stopped == {"right", "left", "up", "down", "far", "home"}


def test_pointer_moves_the_point_only_while_it_is_held(page):
    low, high = extent(page)

    def at(x: float, y: float) -> np.ndarray:
        share = (400 * np.array([x, y]) - [30, 4]) / 366
        return np.array([low[0] + share[0] * (high - low)[0], high[1] - share[1] * (high - low)[1]])

    assert np.allclose(page.code("hovered"), page.code("edge"))
    assert np.allclose(page.code("pressed"), at(0.25, 0.25), atol=0.011)
    assert np.allclose(page.code("moved"), at(0.75, 0.5), atol=0.011)
    assert np.allclose(page.code("released"), page.code("moved"))


def test_class_of_the_nearest_code_is_said(page):
    codes = page.nets[0].transform(X)
    nearest = Y[((codes - np.median(codes, axis=0)) ** 2).sum(axis=1).argmin()]
    assert page.found["said"]["start"].endswith(f"is of class {nearest}.")


def test_planes_of_one_page_do_not_disturb_each_other(page):
    assert page.found["undisturbed"]
    assert page.found["points"] == [1] * len(NETS)  # no plane was started by the script of another


def test_plane_can_be_focused_and_replaces_the_still_picture(page):
    assert page.found["focused"]
    assert page.found["shown"] == [True, False]


def test_plane_fits_a_telephone(page):
    inside, outside, plane = page.found["wide"]
    assert inside <= outside == 320
    assert 250 < plane <= 320


def extent(page: Page) -> tuple[np.ndarray, np.ndarray]:
    data = json.loads(BeautifulSoup(page.fragments[0], "html.parser").div["data-plane"])
    return np.array(data["low"]), np.array(data["high"])


@pytest.fixture(scope="module")
def net():
    return fit(aelib.Autoencoder(aelib.Dense((6,), code=2), output_activation="sigmoid"))


@pytest.fixture(scope="module")
def fragment(net) -> BeautifulSoup:
    return BeautifulSoup(latent_plane(net, net.transform(X), Y).data, "html.parser")


def test_still_picture_stays_where_scripts_do_not_run(net, fragment):
    still = fragment.select_one(".aelib-plane-still")
    assert "hidden" not in still.attrs
    assert "hidden" in fragment.select_one(".aelib-plane-live").attrs
    assert len(still.img["alt"].split()) > 10
    png = base64.b64decode(still.img["src"].removeprefix("data:image/png;base64,"))
    pixels = np.asarray(Image.open(io.BytesIO(png)), dtype=float)
    data = json.loads(fragment.div["data-plane"])
    low, high = np.array(data["low"]), np.array(data["high"])
    corner = np.array([[low[0] + (high - low)[0] / 24, high[1] - (high - low)[1] / 24]])  # of the upper left
    assert pixels.shape == (96, 96)
    assert np.abs(pixels[:8, :8].ravel() - 255 * net.inverse_transform(corner)[0]).max() < 0.51


def test_plane_has_a_name_and_what_is_said_is_announced(fragment):
    svg = fragment.svg
    assert svg["tabindex"] == "0"
    assert svg["role"] == "application"
    assert "Arrow keys" in svg["aria-label"]
    assert fragment.select_one("[aria-live=polite]") is not None
    assert ":focus-visible" in fragment.style.get_text()


def test_fragment_needs_nothing_from_elsewhere(fragment):
    outside = [tag for tag in fragment.select("[src], [href]") if not tag.get("src", "").startswith("data:")]
    assert outside == []
    assert "fetch(" not in fragment.script.get_text()
    assert "import" not in fragment.script.get_text()


def test_fragment_is_the_same_when_made_again(net):
    codes = net.transform(X)
    assert latent_plane(net, codes, Y).data == latent_plane(net, codes, Y).data


def test_images_need_not_be_square_or_grey(net):
    codes = net.transform(X)
    data = BeautifulSoup(latent_plane(net, codes, image_shape=(4, 16)).data, "html.parser")
    assert (data.canvas["height"], data.canvas["width"]) == ("4", "16")
    colours = fit_to(aelib.Autoencoder(aelib.Dense((6,), code=2)), X[:, :48])
    data = latent_plane(colours, colours.transform(X[:, :48]), image_shape=(4, 4, 3)).data
    assert BeautifulSoup(data, "html.parser").canvas["width"] == "4"


def fit_to(net, x, y=None):
    net.set_params(epochs=1, random_state=0)
    return net.fit(x) if y is None else net.fit(x, y)


def test_what_cannot_be_drawn_is_refused(net):
    codes = net.transform(X)
    with pytest.raises(NotFittedError):
        latent_plane(aelib.Autoencoder(aelib.Dense(code=2)), codes)
    three = fit_to(aelib.Autoencoder(aelib.Dense(code=3)), X)
    with pytest.raises(ValueError, match="a code of two numbers"):
        latent_plane(three, codes)
    images = X.reshape(-1, 8, 8, 1)
    with pytest.raises(ValueError, match="a dense decoder"):
        latent_plane(fit_to(aelib.Autoencoder(aelib.Conv((4,), code=2)), images), codes)
    conditional = aelib.VariationalAutoencoder(aelib.Dense(code=2), condition="class")
    with pytest.raises(ValueError, match="nothing else"):
        latent_plane(fit_to(conditional, X, Y), codes)
    with pytest.raises(ValueError, match=r"not \(5, 3\)"):
        latent_plane(net, np.zeros((5, 3)))
    with pytest.raises(ValueError, match="NaN"):
        latent_plane(net, np.full((5, 2), np.nan))
    with pytest.raises(ValueError, match=r"labels \(n,\)"):
        latent_plane(net, codes, Y[:5])
    with pytest.raises(ValueError, match="image_shape"):
        latent_plane(fit_to(aelib.Autoencoder(aelib.Dense(code=2)), X[:, :60]), codes)
