/* Loss surfaces that can be turned: by dragging, by the sliders, by the keyboard through the sliders.
 *
 * <div class="landscape" data-surfaces='{"name": [[heights]], ...}' data-label="log10 of the loss">text without script</div>
 *
 * All surfaces of one figure share the view and the scale of heights. tests/book compare the projection with Python.
 */
"use strict";

const Landscape = {
  /** Orthographic view of (x, y, z), z upwards: turn about the vertical, then look down by `tilt` (0 from the side,
   *  pi / 2 from above). Returns [right, up, towards the viewer]. */
  project(point, turn, tilt) {
    const [x, y, z] = point;
    const right = Math.cos(turn) * x - Math.sin(turn) * y;
    const away = Math.sin(turn) * x + Math.cos(turn) * y;
    const up = Math.sin(tilt) * away + Math.cos(tilt) * z;
    return [right, up, Math.sin(tilt) * z - Math.cos(tilt) * away];
  },

  /** Lowest and highest of all numbers of several grids. */
  range(grids) {
    const all = grids.flat(2).filter((h) => h !== null);
    return [Math.min(...all), Math.max(...all)];
  },

  /** The quadrilaterals of a grid of heights, farthest first: corners [right, up], and the mean height from 0 to 1.
   *  Rows and columns run from -1 to 1; a quadrilateral with a missing corner is left out. */
  faces(grid, low, high, turn, tilt) {
    const rows = grid.length, columns = grid[0].length;
    const scaled = (h) => (h - low) / (high - low);
    const corner = (i, j) => {
      const place = [(2 * j) / (columns - 1) - 1, (2 * i) / (rows - 1) - 1, 1.1 * scaled(grid[i][j]) - 0.55];
      return Landscape.project(place, turn, tilt);
    };
    const faces = [];
    for (let i = 0; i + 1 < rows; i++) {
      for (let j = 0; j + 1 < columns; j++) {
        const places = [[i, j], [i, j + 1], [i + 1, j + 1], [i + 1, j]];
        if (places.some(([a, b]) => grid[a][b] === null)) continue;
        const corners = places.map(([a, b]) => corner(a, b));
        faces.push({
          corners: corners.map(([right, up]) => [right, up]),
          height: places.reduce((sum, [a, b]) => sum + scaled(grid[a][b]), 0) / 4,
          near: corners.reduce((sum, c) => sum + c[2], 0) / 4,
        });
      }
    }
    return faces.sort((a, b) => a.near - b.near);
  },
};

if (typeof module !== "undefined" && module.exports) module.exports = Landscape;

if (typeof document !== "undefined") {
  // Dark blue in the valleys to yellow on the peaks: it also reads in grey.
  const STOPS = [[13, 49, 112], [0, 114, 178], [86, 180, 233], [189, 214, 160], [240, 228, 66]];
  const colour = (t) => {
    const at = Math.min(Math.max(t, 0), 1) * (STOPS.length - 1);
    const k = Math.min(Math.floor(at), STOPS.length - 2);
    return STOPS[k].map((c, n) => Math.round(c + (at - k) * (STOPS[k + 1][n] - c)));
  };
  let count = 0;

  const element = (tag, attributes, parent, text) => {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    if (text !== undefined) node.textContent = text;
    parent.appendChild(node);
    return node;
  };

  const build = (root) => {
    const surfaces = JSON.parse(root.dataset.surfaces);
    const names = Object.keys(surfaces);
    const [low, high] = Landscape.range(Object.values(surfaces));
    const key = `landscape-${++count}`;
    root.textContent = "";
    root.setAttribute("role", "group");
    root.setAttribute("aria-label", "Loss surfaces that can be turned");
    const views = element("div", { class: "landscape-views" }, root);
    const canvases = names.map((name) => {
      const box = element("div", { class: "landscape-view" }, views);
      element("p", { class: "landscape-name" }, box, name);
      return element("canvas", { width: 640, height: 520, role: "img" }, box);
    });
    const controls = element("div", { class: "ravine-controls" }, root);
    const slider = (id, label, min, max, value) => {
      const row = element("div", { class: "ravine-row" }, controls);
      element("label", { for: id }, row, label);
      const input = element("input", { id, type: "range", min, max, step: 1, value }, row);
      const output = element("output", { for: id }, row);
      input.addEventListener("input", () => requestAnimationFrame(render));
      return { input, output };
    };
    const turn = slider(`${key}-turn`, "turn", -180, 180, 30);
    const tilt = slider(`${key}-tilt`, "look down", 0, 90, 35);
    const degrees = (control) => Number(control.input.value);
    element("p", { class: "ravine-readout" }, root,
      `Height is the ${root.dataset.label}, from ${low.toFixed(1)} (blue) to ${high.toFixed(1)} (yellow) in both.`);

    const render = () => {
      for (const control of [turn, tilt]) {
        control.output.textContent = `${control.input.value}°`;
        control.input.setAttribute("aria-valuetext", `${control.input.value} degrees`);
      }
      canvases.forEach((canvas, k) => {
        const pen = canvas.getContext("2d");
        const scale = canvas.width / 3;
        pen.clearRect(0, 0, canvas.width, canvas.height);
        pen.lineWidth = 0.6;
        const faces = Landscape.faces(surfaces[names[k]], low, high,
          (degrees(turn) * Math.PI) / 180, (degrees(tilt) * Math.PI) / 180);
        for (const face of faces) {
          const rgb = colour(face.height);
          pen.fillStyle = `rgb(${rgb.join(" ")})`;
          pen.strokeStyle = `rgb(${rgb.map((c) => Math.round(0.75 * c)).join(" ")})`;
          pen.beginPath();
          for (const [right, up] of face.corners) {
            pen.lineTo(canvas.width / 2 + scale * right, canvas.height / 2 - scale * up);
          }
          pen.closePath();
          pen.fill();
          pen.stroke();
        }
        canvas.setAttribute("aria-label", `Loss surface, ${names[k]}: turned by ${turn.input.value} degrees, ` +
          `seen from ${tilt.input.value} degrees above, ${faces.length} patches`);
      });
    };

    const wrapped = (angle) => ((((angle + 180) % 360) + 360) % 360) - 180;
    for (const canvas of canvases) {
      canvas.addEventListener("pointerdown", (event) => canvas.setPointerCapture(event.pointerId));
      canvas.addEventListener("pointermove", (event) => {
        if (!event.buttons) return;
        turn.input.value = wrapped(degrees(turn) + Math.round(event.movementX * 0.6));
        tilt.input.value = Math.min(Math.max(degrees(tilt) + Math.round(event.movementY * 0.4), 0), 90);
        requestAnimationFrame(render);
      });
    }
    render();
  };

  const start = () => document.querySelectorAll(".landscape").forEach(build);
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
}
