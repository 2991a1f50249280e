function render({ model, el }) {
  const root = frame(el, "strip", "The codes of a sound as a strip");
  const stages = model.get("grid").length, positions = model.get("grid")[0].length;
  const seconds = model.get("_seconds"), sizes = model.get("_sizes"), original = model.get("_original");
  let place = { position: 0, stage: 0 }, sounds = {}, hearNext = false;

  const line = (head, ...cells) => make("div", { class: "vqw-line" }, make("span", { class: "vqw-head" }, head), ...cells);
  const picture = make("img", {}), now = make("span", { class: "vqw-now", hidden: true });
  const grid = make("div", { role: "grid", "aria-label": "codes: arrow keys go from one to the next, Enter changes, space plays around it" });
  const cells = Array.from({ length: stages }, (_, stage) => Array.from({ length: positions }, (_, position) => {
    const cell = make("span", { class: "vqw-cell", role: "gridcell", tabindex: -1, onclick: () => choose(position, stage) });
    cell.addEventListener("dblclick", () => number.select());
    return cell;
  }));
  cells.forEach((row, stage) => grid.append(make("div", { role: "row", class: "vqw-line" },
    make("span", { class: "vqw-head", role: "rowheader" }, "stage " + (stage + 1)), make("span", { class: "vqw-cells", role: "presentation" }, ...row))));
  const every = positions > 60 ? 10 : 5;
  const ruler = make("span", { class: "vqw-cells", "aria-hidden": "true" }, ...Array.from({ length: positions }, (_, p) =>
    make("span", { class: "vqw-place" }, p % every ? "" : String(p))));
  const sheet = make("div", { class: "vqw-sheet" }, line("sound", make("span", { class: "vqw-cells" }, picture, now)), line("position", ruler), grid);

  const where = make("span", { role: "status" });
  const number = make("input", { type: "number", min: -1, step: 1, "aria-label": "code at the chosen place" });
  const send = (content) => { hearNext = true; model.send(content); };
  const change = () => { if (number.value !== "") send({ do: "replace", ...place, code: Math.trunc(+number.value) }); };
  number.addEventListener("keydown", (event) => {
    if (event.key === "Enter") change();
    if (event.key === "Escape") focusCell();
    if (event.key === "Enter" || event.key === "Escape") event.preventDefault();
    event.stopPropagation();
  });

  // What sounds is decoded once for each new sound of the kernel.
  async function load(name) {
    const uri = model.get(name);
    if (!sounds[name] || sounds[name].uri !== uri) sounds[name] = { uri, buffer: await decode(uri) };
    return sounds[name].buffer;
  }
  const follower = {
    onTime(time) { now.hidden = false; now.style.left = Math.min(time / (seconds * positions), 1) * 100 + "%"; },
    onEnd() { now.hidden = true; },
  };
  const all = playButton("Play", async () => [await load("_sound"), follower], { class: "vqw-main" });
  const first = playButton("As it was", async () => [await load("_first_sound"), follower]);
  const around = playButton("Around here", async () => {
    const from = Math.max(0, place.position - 2), to = Math.min(positions, place.position + 3);
    return [await load("_sound"), { ...follower, at: from * seconds, length: (to - from) * seconds }];
  });
  const take = button("Take away", () => send({ do: "replace", ...place, code: -1 }));
  const [notice, quiet] = noticeOf(model);
  root.append(make("div", { class: "vqw-row" }, all, first, around, button("Undo", () => send({ do: "undo" })), button("All as it was", () => send({ do: "reset" }))),
    make("div", { class: "vqw-scroll" }, sheet),
    make("div", { class: "vqw-row" }, where, number, button("Change", change), button("Any other", () => send({ do: "random", ...place })), take), notice,
    make("p", { class: "vqw-note" }, "Click a code, or reach it with the arrow keys; Enter goes to its number, space plays around it, R takes one by chance, "
      + "U undoes. Changed codes are underlined on orange, missing ones are a dot in a dashed frame. −1 takes a code away, and all finer stages of its position."));

  function focusCell() { cells[place.stage][place.position].focus(); }

  function choose(position, stage) {
    cells[place.stage][place.position].tabIndex = -1;
    cells[place.stage][place.position].setAttribute("aria-selected", "false");
    place = { position: Math.min(Math.max(position, 0), positions - 1), stage: Math.min(Math.max(stage, 0), stages - 1) };
    describe();
    focusCell();
  }

  function describe() {
    const cell = cells[place.stage][place.position], code = model.get("grid")[place.stage][place.position];
    cell.tabIndex = 0;
    cell.setAttribute("aria-selected", "true");
    number.max = sizes[place.stage] - 1;
    number.value = code;
    take.disabled = place.stage === 0;
    where.textContent = `Position ${place.position} (${(place.position * seconds).toFixed(2)} s), stage ${place.stage + 1}, code 0 to ${sizes[place.stage] - 1}:`;
  }

  grid.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { position, stage } = place;
    if (event.key === "ArrowLeft") choose(position - 1, stage);
    else if (event.key === "ArrowRight") choose(position + 1, stage);
    else if (event.key === "ArrowUp") choose(position, stage - 1);
    else if (event.key === "ArrowDown") choose(position, stage + 1);
    else if (event.key === "Home") choose(0, stage);
    else if (event.key === "End") choose(positions - 1, stage);
    else if (event.key === "Enter") { number.focus(); number.select(); }
    else if (event.key === " ") around.click();
    else if (event.key === "r" || event.key === "R") send({ do: "random", ...place });
    else if (event.key === "u" || event.key === "U") send({ do: "undo" });
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  const stops = [quiet, follow(model, ["grid"], () => {
    const codes = model.get("grid");
    cells.forEach((row, s) => row.forEach((cell, p) => {
      const code = codes[s][p], changed = code !== original[s][p];
      cell.textContent = code < 0 ? "·" : String(code);
      cell.classList.toggle("vqw-changed", changed);
      cell.classList.toggle("vqw-none", code < 0);
      cell.setAttribute("aria-label", `position ${p}, stage ${s + 1}: ${code < 0 ? "no code" : "code " + code}${changed ? ", was " + original[s][p] : ""}`);
    }));
    describe();
  }), follow(model, ["_picture"], () => {
    picture.src = model.get("_picture");
    picture.alt = `Spectrogram of what the codes sound like, ${(positions * seconds).toFixed(2)} s, above the positions`;
  }), follow(model, ["_sound"], async () => {
    if (!hearNext) return;
    hearNext = false;
    const buffer = await load("_sound");
    if (root.isConnected) play(buffer, follower);
  })];
  return () => { stops.forEach((stop) => stop()); [all, first, around].forEach((node) => node.silence()); };
}

export default { render };
