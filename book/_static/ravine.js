/* The interactive ravine: L(w) = (w1^2 + kappa w2^2) / 2, and the steps an optimizer takes on it.
 *
 * <div class="ravine" data-method="gd"></div>         learning rate and condition number
 * <div class="ravine" data-method="momentum"></div>   the same with momentum, and a map of the rate
 *
 * Everything shown is computed from the formulas below, which tests/book compare with Python.
 */
"use strict";

const Ravine = {
  /** Contraction per step along a direction of curvature lambda, for heavy-ball momentum (beta = 0: gradient descent):
   *  the spectral radius of [[1 + beta - lr lambda, -beta], [1, 0]]. */
  rate(lr, beta, lambda) {
    const trace = 1 + beta - lr * lambda;
    const discriminant = trace * trace - 4 * beta;
    if (discriminant < 0) return Math.sqrt(beta);
    return (Math.abs(trace) + Math.sqrt(discriminant)) / 2;
  },

  /** The same for Nesterov's momentum: the trace and determinant are both scaled by 1 - lr lambda. */
  nesterovRate(lr, beta, lambda) {
    const shrink = 1 - lr * lambda;
    const trace = (1 + beta) * shrink;
    const discriminant = trace * trace - 4 * beta * shrink;
    if (discriminant < 0) return Math.sqrt(beta * shrink);
    return (Math.abs(trace) + Math.sqrt(discriminant)) / 2;
  },

  /** The worse of the two directions. */
  worstRate(lr, beta, kappa, nesterov) {
    const rate = nesterov ? Ravine.nesterovRate : Ravine.rate;
    return Math.max(rate(lr, beta, 1), rate(lr, beta, kappa));
  },

  /** The points an optimizer visits from `start`, at most `steps` of them. */
  steps(lr, beta, kappa, start, steps, nesterov) {
    const curvature = [1, kappa];
    let w = start.slice();
    let v = [0, 0];
    const points = [w.slice()];
    for (let i = 0; i < steps; i++) {
      for (let j = 0; j < 2; j++) {
        const at = nesterov ? w[j] + beta * v[j] : w[j];
        v[j] = beta * v[j] - lr * curvature[j] * at;
        w[j] += v[j];
      }
      points.push(w.slice());
      if (!w.every((x) => Math.abs(x) < 1e6)) break;
    }
    return points;
  },

  /** The best fixed learning rate and momentum for curvatures from 1 to kappa. */
  best(kappa, momentum) {
    const root = Math.sqrt(kappa);
    return momentum
      ? { lr: 4 / (root + 1) ** 2, beta: ((root - 1) / (root + 1)) ** 2 }
      : { lr: 2 / (kappa + 1), beta: 0 };
  },

  loss(w, kappa) {
    return (w[0] * w[0] + kappa * w[1] * w[1]) / 2;
  },
};

if (typeof module !== "undefined" && module.exports) module.exports = Ravine;

if (typeof document !== "undefined") {
  const SVG = "http://www.w3.org/2000/svg";
  const START = [-1, 0.6];
  const STEPS = 80;
  let count = 0;

  const svg = (tag, attributes, parent) => {
    const node = document.createElementNS(SVG, tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (parent) parent.appendChild(node);
    return node;
  };

  const element = (tag, attributes, parent, text) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    if (parent) parent.appendChild(node);
    return node;
  };

  const number = (x) => (x < 5e-4 ? "0" : x < 100 ? x.toPrecision(3) : x.toExponential(1));

  /** A colour between the panel's and the strongest blue, for t from 0 to 1. */
  const mix = (t) => {
    const dark = document.documentElement.dataset.theme === "dark";
    const [from, to] = dark ? [[38, 48, 60], [86, 180, 233]] : [[222, 232, 240], [0, 82, 138]];
    const part = Math.min(Math.max(t, 0), 1);
    return `rgb(${from.map((c, k) => Math.round(c + part * (to[k] - c))).join(" ")})`;
  };

  /** A labelled slider with its value beside it. */
  const slider = (box, id, label, min, max, step, value, show, onChange) => {
    const row = element("div", { class: "ravine-row" }, box);
    element("label", { for: id }, row, label);
    const input = element("input", { id, type: "range", min, max, step, value }, row);
    const output = element("output", { for: id }, row);
    const update = () => {
      const shown = show(Number(input.value));
      output.textContent = shown;
      input.setAttribute("aria-valuetext", shown);
    };
    input.addEventListener("input", () => {
      update();
      onChange();
    });
    update();
    return { input, update, get value() { return Number(input.value); } };
  };

  const build = (root) => {
    const momentum = root.dataset.method === "momentum";
    const key = `ravine-${++count}`;
    root.textContent = "";
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", momentum ? "Interactive ravine with momentum" : "Interactive ravine");
    const controls = element("div", { class: "ravine-controls" }, root);
    const views = element("div", { class: "ravine-views" }, root);
    const readout = element("p", { class: "ravine-readout", "aria-live": "polite" }, root);

    // The sliders move in the quantities that matter: log10 of kappa, and the learning rate in units of 1 / lambda_max.
    const draw = () => requestAnimationFrame(render);
    const kappa = slider(controls, `${key}-kappa`, "condition number κ", 0, 3, 0.05, momentum ? 1.5 : 1.3,
      (x) => String(Math.round(10 ** x)), draw);
    const lr = slider(controls, `${key}-lr`, "learning rate η · λmax", 0.02, momentum ? 4 : 2.1, 0.02, momentum ? 1.8 : 1.5,
      (x) => x.toFixed(2), draw);
    const beta = momentum
      ? slider(controls, `${key}-beta`, "momentum β", 0, 0.99, 0.01, 0, (x) => x.toFixed(2), draw)
      : { value: 0 };
    let nesterov = { checked: false };
    const buttons = element("div", { class: "ravine-buttons" }, controls);
    const best = element("button", { type: "button" }, buttons,
      momentum ? "best η and β for this κ" : "best η for this κ");
    if (momentum) {
      const label = element("label", {}, buttons);
      nesterov = element("input", { type: "checkbox" }, label);
      label.appendChild(document.createTextNode(" Nesterov"));
      nesterov.addEventListener("change", draw);
    }
    best.addEventListener("click", () => {
      const k = Math.round(10 ** kappa.value);
      const optimum = Ravine.best(k, momentum);
      lr.input.value = optimum.lr * k;
      lr.update();
      if (momentum) {
        beta.input.value = optimum.beta;
        beta.update();
      }
      draw();
    });

    const plane = svg("svg", { viewBox: "0 0 320 220", role: "img" }, views);
    const curve = svg("svg", { viewBox: "0 0 320 220", role: "img" }, views);
    const map = momentum ? svg("svg", { viewBox: "0 0 320 220", role: "img" }, views) : null;

    const X = (w) => 160 + 140 * w;
    const Y = (w) => 110 - 100 * w;

    const renderPlane = (k, points, converges) => {
      plane.textContent = "";
      // Level lines from the start's loss inwards, each a third of the last.
      for (let i = 0; i < 9; i++) {
        const level = Ravine.loss(START, k) / 3 ** i;
        svg("ellipse", { cx: X(0), cy: Y(0), rx: 140 * Math.sqrt(2 * level), ry: 100 * Math.sqrt((2 * level) / k),
          class: "ravine-level" }, plane);
      }
      const inside = points.filter((p) => Math.abs(p[0]) < 3 && Math.abs(p[1]) < 3);
      svg("polyline", { points: inside.map((p) => `${X(p[0])},${Y(p[1])}`).join(" "), class: "ravine-path" }, plane);
      for (const p of inside) svg("circle", { cx: X(p[0]), cy: Y(p[1]), r: 2.4, class: "ravine-dot" }, plane);
      svg("circle", { cx: X(START[0]), cy: Y(START[1]), r: 5, class: "ravine-start" }, plane);
      svg("path", { d: `M${X(0) - 5} ${Y(0)}h10M${X(0)} ${Y(0) - 5}v10`, class: "ravine-cross" }, plane);
      svg("text", { x: 6, y: 212 }, plane).textContent = "the ravine, seen from above";
      plane.setAttribute("aria-label", `Path of ${points.length - 1} steps on a ravine of condition number ${k}: it ` +
        (converges ? "approaches the minimum" : "leaves"));
    };

    const renderCurve = (k, points) => {
      curve.textContent = "";
      const losses = points.map((p) => Math.log10(Math.max(Ravine.loss(p, k), 1e-12)));
      const top = 3, bottom = -9;
      const x = (i) => 40 + (270 * i) / STEPS;
      const y = (l) => 14 + (176 * (top - Math.min(Math.max(l, bottom), top))) / (top - bottom);
      for (let l = bottom; l <= top; l += 3) {
        svg("line", { x1: 40, x2: 310, y1: y(l), y2: y(l), class: "ravine-grid" }, curve);
        svg("text", { x: 34, y: y(l) + 4, "text-anchor": "end" }, curve).textContent = `1e${l}`;
      }
      svg("polyline", { points: losses.map((l, i) => `${x(i)},${y(l)}`).join(" "), class: "ravine-path" }, curve);
      svg("text", { x: 40, y: 212 }, curve).textContent = `loss, over ${STEPS} steps`;
      curve.setAttribute("aria-label", `Loss after ${points.length - 1} steps: 10 to the ${losses.at(-1).toFixed(1)}`);
    };

    const renderMap = (k, lrScaled, b) => {
      map.textContent = "";
      const columns = 40, rows = 25;
      for (let i = 0; i < columns; i++) {
        for (let j = 0; j < rows; j++) {
          const r = Ravine.worstRate((4 * (i + 0.5)) / columns / k, (j + 0.5) / rows, k, nesterov.checked);
          // Steps for one digit of accuracy, on a logarithmic scale: strong is fast, pale is slow, blank diverges.
          const digits = r < 1 ? Math.log10(-1 / Math.log10(r)) : Infinity;
          if (digits === Infinity) continue;
          // Opaque and a little too large, so that no seams show.
          svg("rect", { x: 40 + (270 * i) / columns, y: 190 - (176 * (j + 1)) / rows, width: 270 / columns + 0.7,
            height: 176 / rows + 0.7, fill: mix(1 - digits / 3.2) }, map);
        }
      }
      svg("circle", { cx: 40 + (270 * lrScaled) / 4, cy: 190 - 176 * b, r: 6, class: "ravine-start" }, map);
      for (const t of [0, 1, 2, 3, 4]) {
        svg("text", { x: 40 + (270 * t) / 4, y: 203, "text-anchor": "middle" }, map).textContent = t;
      }
      for (const t of [0, 0.5, 1]) {
        svg("text", { x: 34, y: 194 - 176 * t, "text-anchor": "end" }, map).textContent = t;
      }
      svg("text", { x: 20, y: 217 }, map).textContent = "η·λmax → and β ↑: strong colour is fast";
      map.setAttribute("aria-label", "Map of the speed by learning rate and momentum, with the chosen point");
    };

    if (map) {
      map.classList.add("ravine-map");
      const pick = (event) => {
        const box = map.getBoundingClientRect();
        const x = ((event.clientX - box.left) / box.width) * 320;
        const y = ((event.clientY - box.top) / box.height) * 220;
        lr.input.value = (4 * (x - 40)) / 270;
        beta.input.value = (190 - y) / 176;
        lr.update();
        beta.update();
        draw();
      };
      map.addEventListener("pointerdown", (event) => {
        map.setPointerCapture(event.pointerId);
        pick(event);
      });
      map.addEventListener("pointermove", (event) => event.buttons && pick(event));
    }

    const render = () => {
      const k = Math.round(10 ** kappa.value);
      const rate = nesterov.checked ? Ravine.nesterovRate : Ravine.rate;
      const along = rate(lr.value / k, beta.value, 1);
      const across = rate(lr.value / k, beta.value, k);
      const worst = Math.max(along, across);
      const points = Ravine.steps(lr.value / k, beta.value, k, START, STEPS, nesterov.checked);
      renderPlane(k, points, worst < 1);
      renderCurve(k, points);
      if (map) renderMap(k, lr.value, beta.value);
      const needed = worst < 1 ? Math.ceil(Math.log(1e-6) / Math.log(worst)) : Infinity;
      readout.textContent =
        `Each step multiplies the error by about ${number(along)} along the valley and ${number(across)} across it. ` +
        (worst < 1
          ? `The slower of the two needs about ${needed.toLocaleString("en")} steps for a millionth.`
          : "A factor of 1 or more never arrives.");
    };
    render();
    // The map's colours follow the theme.
    new MutationObserver(draw).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  };

  const start = () => document.querySelectorAll(".ravine").forEach(build);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
}
