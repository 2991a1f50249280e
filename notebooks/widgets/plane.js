// Blue, orange, green, violet and grey of Okabe and Ito's colours, dark enough for white numbers.
const COLOURS = ["#0072B2", "#C25400", "#00805D", "#A8557F", "#5B5B5B", "#8A6D00", "#33669A", "#7A3E00"];
const SIDE = 400;

const squared = (a, b) => (a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2;

function nearest(point, codes) {
  let best = 0;
  codes.forEach((code, k) => { if (squared(point, code) < squared(point, codes[best])) best = k; });
  return best;
}

// The part of the square nearer to `own` than to any other code: cut off one half-plane after the other.
function cell(own, codes, size) {
  let corners = [[-size, -size], [size, -size], [size, size], [-size, size]];
  for (const other of codes) {
    if (other === own || squared(own, other) === 0) continue;
    const nx = other[0] - own[0], ny = other[1] - own[1];
    const edge = nx * (own[0] + other[0]) / 2 + ny * (own[1] + other[1]) / 2;
    const beyond = (p) => nx * p[0] + ny * p[1] - edge;
    const kept = [];
    corners.forEach((p, i) => {
      const q = corners[(i + 1) % corners.length], dp = beyond(p), dq = beyond(q);
      if (dp <= 0) kept.push(p);
      if (dp * dq < 0) kept.push([p[0] + (q[0] - p[0]) * dp / (dp - dq), p[1] + (q[1] - p[1]) * dp / (dp - dq)]);
    });
    corners = kept;
  }
  return corners;
}

function render({ model, el }) {
  const root = frame(el, "plane", "Points and codes in the plane");
  const size = model.get("size");
  const shown = { points: [], codes: [] };
  let handles = { points: [], codes: [] }, cells = [], links = [], rows = [], held = null, moving = 0, saving = 0;

  const x = (value) => (value + size) / (2 * size) * SIDE, y = (value) => (size - value) / (2 * size) * SIDE;
  const svg = draw("svg", { viewBox: "-22 -6 428 428", role: "group", "aria-label": "the plane: Tab goes through codes and points, arrow keys move them" });
  const areas = draw("g", { "aria-hidden": "true" }), lines = draw("g", { "aria-hidden": "true" }), things = draw("g");
  const axes = draw("g", { "aria-hidden": "true" });
  const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50].find((s) => size / s <= 4) || size / 2;
  for (let value = -Math.floor(size / step) * step; value <= size + 1e-9; value += step) {
    const text = String(+value.toFixed(2)).replace("-", "−");
    axes.append(draw("text", { class: "vqw-axis", x: x(value), y: SIDE + 14, "text-anchor": "middle" }, text));
    axes.append(draw("text", { class: "vqw-axis", x: -5, y: y(value) + 4, "text-anchor": "end" }, text));
  }
  svg.append(areas, axes, lines, things);

  const loss = make("span", { class: "vqw-number vqw-loss" });
  const status = make("p", { role: "status" }, "Loss ", loss);
  const body = make("tbody");
  const table = make("table", {}, make("thead", {}, make("tr", {}, ...["code", "place", "points"].map((text) => make("th", { scope: "col" }, text)))), body);
  const ask = (what) => () => model.send({ do: what });
  const [notice, quiet] = noticeOf(model);
  root.append(make("div", { class: "vqw-sides" }, svg, make("div", {},
    status,
    make("p", { class: "vqw-note" }, "the mean, over all points and both coordinates, of (point − its code)²"),
    table,
    make("div", { class: "vqw-row" }, button("One k-means step", ask("step"), { class: "vqw-main" }),
      button("New codes", ask("codes")), button("New points", ask("points")), button("Start again", ask("reset"))),
    notice,
    make("p", { class: "vqw-note" }, "Drag a dot (point) or a square (code). Keys: Tab goes from one to the next, arrow keys move it, with Shift in small steps."))));

  function handle(kind, k) {
    const mark = kind === "codes"
      ? [draw("rect", { class: "vqw-square", x: -10, y: -10, width: 20, height: 20, rx: 2, fill: COLOURS[k % COLOURS.length] }), draw("text", { class: "vqw-name" }, String(k))]
      : [draw("circle", { class: "vqw-dot", r: 5.5 }), draw("text", { class: "vqw-tag", y: -9 }, String(k))];
    const node = draw("g", { class: "vqw-handle", tabindex: 0, role: "button", "aria-roledescription": "movable " + kind.slice(0, -1), "data-kind": kind, "data-number": k },
      draw("circle", { r: 17, fill: "transparent" }), draw("circle", { class: "vqw-ring", r: 15 }), ...mark);
    node.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      event.preventDefault();
      stopMoving();
      held = [kind, k];
      node.setPointerCapture(event.pointerId);
      node.focus({ preventScroll: true });
    });
    node.addEventListener("pointermove", (event) => {
      if (!held || held[0] !== kind || held[1] !== k) return;
      const place = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
      put(kind, k, [place.x / SIDE * 2 * size - size, size - place.y / SIDE * 2 * size]);
    });
    const release = () => { if (held) { held = null; save(); } };
    node.addEventListener("pointerup", release);
    node.addEventListener("pointercancel", release);
    node.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] }[event.key];
      if (!way || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      event.stopPropagation();
      stopMoving();
      const by = size / (event.shiftKey ? 300 : 30), at = shown[kind][k];
      put(kind, k, [at[0] + by * way[0], at[1] + by * way[1]]);
    });
    return node;
  }

  function put(kind, k, place) {
    shown[kind][k] = place.map((value) => +Math.min(Math.max(value, -size), size).toFixed(3));
    redraw();
    model.set(kind, shown[kind].map((pair) => [...pair]));
    if (!saving) saving = requestAnimationFrame(save); // at most one message a frame
  }

  function save() {
    cancelAnimationFrame(saving);
    saving = 0;
    model.save_changes();
  }

  function build() {
    handles = { codes: shown.codes.map((_, k) => handle("codes", k)), points: shown.points.map((_, k) => handle("points", k)) };
    cells = shown.codes.map((_, k) => draw("polygon", { fill: COLOURS[k % COLOURS.length] }));
    links = shown.points.map(() => draw("line", { class: "vqw-link" }));
    rows = shown.codes.map((_, k) => {
      const chip = make("span", { class: "vqw-chip", style: "background:" + COLOURS[k % COLOURS.length] }, String(k));
      return make("tr", {}, make("th", { scope: "row" }, chip), make("td"), make("td"));
    });
    areas.replaceChildren(...cells);
    lines.replaceChildren(...links);
    things.replaceChildren(...handles.codes, ...handles.points);
    body.replaceChildren(...rows.slice(0, 12));
  }

  function redraw() {
    const { points, codes } = shown, owners = points.map((point) => nearest(point, codes));
    const word = (pair) => pair.map((value) => value.toFixed(2).replace("-", "−")).join(", ");
    codes.forEach((code, k) => {
      const own = owners.flatMap((owner, i) => (owner === k ? [i] : []));
      cells[k].setAttribute("points", cell(code, codes, size).map((p) => x(p[0]) + "," + y(p[1])).join(" "));
      handles.codes[k].setAttribute("transform", `translate(${x(code[0])} ${y(code[1])})`);
      handles.codes[k].setAttribute("aria-label", `code ${k} at ${word(code)}, ${own.length} points`);
      rows[k].children[1].textContent = word(code);
      rows[k].children[2].textContent = own.length ? own.join(", ") : "none";
    });
    points.forEach((point, i) => {
      const to = codes[owners[i]];
      handles.points[i].setAttribute("transform", `translate(${x(point[0])} ${y(point[1])})`);
      // On its code a point is a ring, so that both numbers can be read; just below it, its own stands underneath.
      const right = x(point[0]) - x(to[0]), below = y(point[1]) - y(to[1]), on = Math.hypot(right, below) < 9;
      handles.points[i].classList.toggle("vqw-on", on);
      handles.points[i].lastChild.setAttribute("y", on ? -13 : Math.abs(right) < 16 && below > 0 && below < 29 ? 17 : -9);
      handles.points[i].setAttribute("aria-label", `point ${i} at ${word(point)}, gets code ${owners[i]}`);
      for (const [name, value] of Object.entries({ x1: x(point[0]), y1: y(point[1]), x2: x(to[0]), y2: y(to[1]) })) links[i].setAttribute(name, value);
    });
    loss.textContent = (points.reduce((sum, point, i) => sum + squared(point, codes[owners[i]]), 0) / (2 * points.length)).toFixed(3);
  }

  function stopMoving() {
    cancelAnimationFrame(moving);
    if (moving) moving = 0;
  }

  // What the kernel changed (a step, a new seed) is shown as a movement of a quarter of a second.
  function arrive() {
    if (held) return;
    const target = { points: model.get("points"), codes: model.get("codes") };
    const same = ["points", "codes"].every((kind) => target[kind].length === shown[kind].length);
    stopMoving();
    if (!same) {
      Object.assign(shown, structuredClone(target));
      build();
      redraw();
      return;
    }
    const from = structuredClone(shown), begun = performance.now();
    const quick = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const tick = () => {
      const share = quick ? 1 : Math.min(1, (performance.now() - begun) / 250);
      for (const kind of ["points", "codes"]) {
        shown[kind] = target[kind].map((pair, k) => pair.map((value, c) => (share < 1 ? from[kind][k][c] + share * (value - from[kind][k][c]) : value)));
      }
      redraw();
      moving = share < 1 ? requestAnimationFrame(tick) : 0;
    };
    tick();
  }

  const stop = follow(model, ["points", "codes"], arrive);
  return () => { stop(); quiet(); stopMoving(); cancelAnimationFrame(saving); };
}

export default { render };
