// The interactive latent plane: move a point over a plane of codes, see the image that the decoder makes of it.
// Everything stands in the page: the decoder's weights, the data's codes and this script. No framework.
(() => {
  // By the names of aelib.layers.ACTIVATIONS.
  const ACTIVATIONS = {
    linear: (x) => x,
    relu: (x) => Math.max(x, 0),
    tanh: Math.tanh,
    sigmoid: (x) => 1 / (1 + Math.exp(-x)),
    elu: (x) => (x > 0 ? x : Math.expm1(x)),
    softplus: (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x))),
  };
  const COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "currentColor"];
  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  const LEFT = 30, TOP = 4, SIZE = 366; // of the plane, in units of the drawing, which is 400 wide and high

  // Base64 of little-endian float32, as NumPy wrote it.
  const floats = (text) => new Float32Array(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);

  const element = (name, attributes, text, parent) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.textContent = text;
    return parent.appendChild(made);
  };

  const start = (root) => {
    root.dataset.ready = "yes"; // so that the script of a second plane on the page leaves this one alone
    const data = JSON.parse(root.dataset.plane);
    const layers = data.layers.map(([kernel, bias, activation]) => [floats(kernel), floats(bias), activation]);
    const codes = floats(data.codes);
    const { low, high, height, width } = data;
    const labels = data.labels || Array(codes.length / 2).fill("•");
    const range = [high[0] - low[0], high[1] - low[1]];
    const [live, still] = [root.querySelector(".aelib-plane-live"), root.querySelector(".aelib-plane-still")];
    const [svg, canvas, words] = [live.querySelector("svg"), live.querySelector("canvas"), live.querySelector("p")];

    // One dense layer after another: x[i] times kernel[i][j], summed, plus bias[j]. In double precision.
    const decode = (code) =>
      layers.reduce((x, [kernel, bias, activation]) => {
        const sums = Array.from(bias);
        for (let i = 0; i < x.length; i++)
          for (let j = 0; j < sums.length; j++) sums[j] += x[i] * kernel[i * sums.length + j];
        return sums.map(ACTIVATIONS[activation]);
      }, code);

    // From codes to places in the drawing; code 2 grows upwards.
    const across = (z) => LEFT + (SIZE * (z - low[0])) / range[0];
    const down = (z) => TOP + (SIZE * (high[1] - z)) / range[1];

    // Frame, axes and the data's codes, each as the sign of its class, so that colour is not needed.
    const frame = element("g", { "aria-hidden": "true", fill: "currentColor", "font-size": 13 }, "", svg);
    element("rect", { x: LEFT, y: TOP, width: SIZE, height: SIZE, fill: "none", stroke: "currentColor" }, "", frame);
    const bottom = TOP + SIZE + 16;
    for (const [place, anchor, text] of [[0, "start", low[0].toFixed(1)], [0.5, "middle", "code 1"], [1, "end", high[0].toFixed(1)]])
      element("text", { x: LEFT + place * SIZE, y: bottom, "text-anchor": anchor }, text, frame);
    for (const [place, anchor, text] of [[0, "start", low[1].toFixed(1)], [0.5, "middle", "code 2"], [1, "end", high[1].toFixed(1)]])
      element("text", { transform: `translate(20 ${TOP + (1 - place) * SIZE}) rotate(-90)`, "text-anchor": anchor }, text, frame);
    const classes = [...new Set(labels)].sort();
    const glyph = { "text-anchor": "middle", "dominant-baseline": "central", "font-size": 12 };
    labels.forEach((label, n) => {
      const fill = COLOURS[classes.indexOf(label) % COLOURS.length];
      element("text", { ...glyph, x: across(codes[2 * n]), y: down(codes[2 * n + 1]), fill }, label, frame);
    });
    const point = element("g", { class: "aelib-plane-point" }, "", svg);
    element("circle", { r: 24, fill: "transparent" }, "", point); // what a finger can hit
    element("circle", { r: 9, fill: "#F0E442", stroke: "#000", "stroke-width": 2 }, "", point);
    element("circle", { r: 12, fill: "none", stroke: "#fff", "stroke-width": 2 }, "", point);

    // The class of the data's code nearest to this one.
    const nearest = ([a, b]) => {
      const squares = labels.map((_, n) => (codes[2 * n] - a) ** 2 + (codes[2 * n + 1] - b) ** 2);
      return labels[squares.indexOf(Math.min(...squares))];
    };

    let code;
    const move = (wanted) => {
      code = wanted.map((z, i) => Math.min(Math.max(z, low[i]), high[i]));
      const values = decode(code);
      const image = new ImageData(width, height);
      const channels = values.length / (width * height); // 1 grey, or 3 colours
      for (let p = 0; p < width * height; p++) {
        for (let c = 0; c < 3; c++) image.data[4 * p + c] = 255 * values[channels * p + (channels === 3 ? c : 0)];
        image.data[4 * p + 3] = 255; // opaque; values outside [0, 255] are cut off by the browser
      }
      canvas.getContext("2d").putImageData(image, 0, 0);
      point.setAttribute("transform", `translate(${across(code[0])} ${down(code[1])})`);
      const place = `Code 1 is ${code[0].toFixed(2)}, code 2 is ${code[1].toFixed(2)}.`;
      words.textContent = data.labels ? `${place} The nearest code of the data is of class ${nearest(code)}.` : place;
    };

    const follow = (event) => {
      const box = svg.getBoundingClientRect();
      const [x, y] = [(400 * (event.clientX - box.left)) / box.width, (400 * (event.clientY - box.top)) / box.height];
      move([low[0] + (range[0] * (x - LEFT)) / SIZE, high[1] - (range[1] * (y - TOP)) / SIZE]);
    };
    let held = null; // the pointer that moves the point: mouse, pen or finger
    svg.addEventListener("pointerdown", (event) => {
      held = event.pointerId;
      try { svg.setPointerCapture(held); } catch { /* the pointer is gone already */ }
      follow(event);
    });
    svg.addEventListener("pointermove", (event) => event.pointerId === held && follow(event));
    for (const end of ["pointerup", "pointercancel"]) svg.addEventListener(end, () => (held = null));
    svg.addEventListener("keydown", (event) => {
      const arrow = ARROWS[event.key];
      if ((!arrow && event.key !== "Home") || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault(); // the page must not scroll
      const step = event.shiftKey ? 0.1 : 0.02; // of the plane's width and height
      move(arrow ? code.map((z, i) => z + step * range[i] * arrow[i]) : data.start);
    });

    root.decode = decode; // for a page's own scripts, and for the tests
    still.hidden = true;
    live.hidden = false;
    move(data.start);
  };
  document.querySelectorAll(".aelib-plane:not([data-ready])").forEach(start);
})();
