/* The integers of the chosen version, as a grid: a column for each position in time. They are changed here. */
"use strict";

const integers = (() => {
  let past = []; // {versions, label} before each change
  let cell = { p: 0, stage: 0 }, changes = 0;
  let typing = false; // in the field, and not entered yet

  /** Forget the changes, and drop one that is still computed. */
  function forget() {
    past = [];
    changes++;
  }
  /** Choose the deepest of columns that will be shown. */
  function begin(columns) {
    const deepest = columns.reduce((best, column, p) => column.length > columns[best].length ? p : best, 0);
    cell = { p: deepest, stage: 0 };
  }

  player.shown.push((version) => {
    const { file, label } = version;
    $("coded").hidden = !file;
    if (!file) return;
    document.querySelector("[data-do=undo]").disabled = !past.length;
    const { columns, quality } = file, { hop, sizes } = work.codec;
    const many = columns.reduce((sum, column) => sum + column.length, 0);
    $("about").textContent = `${many} integers in ${columns.length} columns, one for each ` +
      `${(1000 * hop / RATE).toFixed(0)} ms (version “${label}”, quality ${quality} of 255). Each is the number of a vector ` +
      `in a codebook of ${sizes[0]}; those of a column are added up.`;
    $("grid").replaceChildren(...columns.map(() => {
      const row = make("div", "c-column");
      row.setAttribute("role", "row");
      return row;
    }));
    fill(version);
    pick(Math.min(cell.p, columns.length - 1), cell.stage, false);
  });
  player.drawn.push((at, playing) => { // the playhead runs over the columns
    const column = work.codec ? Math.floor(at * RATE / work.codec.hop) : -1;
    const before = $("grid").querySelector("[data-now]"), next = $("grid").children[column];
    if (before === next) return;
    if (before) delete before.dataset.now;
    if (next) next.dataset.now = "";
    if (next && playing && !$("grid").contains(document.activeElement)) {
      $("grid").scrollLeft = next.offsetLeft - $("grid").offsetLeft - $("grid").clientWidth / 2;
    }
  });

  /** The cells of column `p`, which are made when they are first needed. */
  function cells(p) {
    const row = $("grid").children[p], { file: { columns }, before } = player.chosen;
    if (!row.firstChild) {
      row.append(...Array.from(columns[p], (number, stage) => {
        const one = make("div", "c-cell", String(number), { tabIndex: -1 });
        one.setAttribute("role", "gridcell");
        one.setAttribute("aria-label", `${(p * work.codec.hop / RATE).toFixed(2)} s, stage ${stage + 1}: ${number}`);
        one.style.setProperty("--code", number);
        if (before && before[p]?.[stage] !== number) one.dataset.changed = "";
        Object.assign(one.dataset, { p, stage });
        return one;
      }));
    }
    return row.children;
  }
  /** All cells, a hundred columns at a time: a minute of sound has 1,500, and the page stays awake. */
  async function fill(shown) {
    for (let p = 0; p < shown.file.columns.length && shown === player.chosen; p++) {
      cells(p);
      if (p % 100 === 99) await new Promise((done) => setTimeout(done));
    }
  }
  function pick(p, stage, focus = true) {
    const { columns } = player.chosen.file;
    cell = { p, stage: Math.min(stage, columns[p].length - 1) };
    const old = $("grid").querySelector("[aria-selected=true]"), next = cells(p)[cell.stage];
    if (old) {
      old.setAttribute("aria-selected", "false");
      old.tabIndex = -1;
    }
    next.setAttribute("aria-selected", "true");
    next.tabIndex = 0;
    if (focus) next.focus();
    const row = next.parentElement, { scrollLeft: from, clientWidth: wide } = $("grid"), at = row.offsetLeft - $("grid").offsetLeft;
    if (at < from || at + row.offsetWidth > from + wide) $("grid").scrollLeft = at - wide / 2;
    const number = columns[p][cell.stage];
    if (!typing) $("code").value = number;
    $("code").max = work.codec.sizes[cell.stage] - 1;
    $("cell").textContent = `Chosen: ${number}, stage ${cell.stage + 1} of ${columns[p].length} at ` +
      `${(p * work.codec.hop / RATE).toFixed(2)} s.`;
  }

  /** Write and decode new columns of versions; show them beside the others, and play the first. */
  async function change(...edits) { // [version, its new columns]; a version keeps the label of its first change
    const mine = ++changes, made = [];
    for (const [{ label, file, before }, columns] of edits) {
      const samples = columns.length === file.columns.length ? file.samples : columns.length * work.codec.hop;
      const { bytes, ...next } = await work.ask("change", { ...file, columns, samples });
      const note = `${bytes.length} bytes, ${kbps(bytes, samples)} kbit/s`, sound = await work.ask("decode", next);
      made.push({ label: before ? label : "Changed", note, file: next, bytes, samples: sound, before: before || file.columns });
    }
    if (mine !== changes) return; // another change, or another sound, has come in between
    past = [...past.slice(-19), { versions: player.versions, label: player.chosen.label }];
    const kept = player.versions.map((version) => made.find(({ label }) => label === version.label) || version);
    await present([...kept, ...made.filter((version) => !kept.includes(version))], made[0].label);
  }
  async function present(list, label) {
    const inGrid = $("grid").contains(document.activeElement), silent = !player.playing;
    const pictures = player.set(list, label); // they take their time: the focus is not moved after it
    if (inGrid && player.chosen.file) pick(Math.min(cell.p, player.chosen.file.columns.length - 1), cell.stage);
    if (silent) {
      player.goTo(cell.p * work.codec.hop / RATE - 0.3);
      await player.play();
    }
    await pictures;
  }
  const edit = (make) => change([player.chosen, make(player.chosen.file.columns.map((column) => column.slice()))]);
  const set = (number) => edit((columns) => {
    const size = work.codec.sizes[cell.stage];
    columns[cell.p][cell.stage] = ((Math.round(number) || 0) % size + size) % size;
    return columns;
  });
  const shownCode = () => player.chosen.file.columns[cell.p][cell.stage];

  /** The word to exchange with: as an exchange before has left it, or as it is bundled. */
  async function partner() {
    const { value, selectedOptions: [{ label: word }] } = $("other"), label = `“${word}”, changed`;
    if (player.chosen.label === label) return player.versions.find((version) => version.label === "Changed");
    const there = player.versions.find((version) => version.label === label);
    if (there) return there;
    const { files } = await sounds.clip(value), [, data] = files[Math.min(1, files.length - 1)];
    const file = await work.ask("read", { data });
    return { label, file, before: file.columns };
  }
  /** Columns `cell.p` up to `end` of the chosen version and of the other word change places. */
  async function exchange(end) {
    const mine = player.chosen, other = await partner(), p = cell.p;
    const [a, b] = [mine, other].map(({ file }) => file.columns);
    if (p >= b.length) throw new Error(`${other.label.split(",")[0]} has only ${b.length} columns: choose an earlier one.`);
    const mixed = (x, y) => [...x.slice(0, p), ...y.slice(p, end), ...x.slice(end)];
    await change([mine, mixed(a, b)], [other, mixed(b, a)]);
  }
  const deeds = {
    lower: () => set(shownCode() - 1),
    higher: () => set(shownCode() + 1),
    other: () => set(Math.random() * work.codec.sizes[cell.stage]),
    hold: () => edit((columns) => columns.flatMap((column, p) => p === cell.p ? [column, column] : [column])),
    swap: () => exchange(cell.p + 1),
    rest: () => exchange(Infinity),
    async undo() {
      changes++;
      const before = past.pop();
      if (before) await present(before.versions, before.label);
    },
  };
  const run = (deed) => deed().catch((error) => say(error.message));
  $("grid").parentElement.addEventListener("click", ({ target }) => {
    if (target.dataset.do) run(deeds[target.dataset.do]);
  });
  $("code").addEventListener("input", () => { typing = true; });
  for (const entered of ["change", "blur"]) $("code").addEventListener(entered, () => { typing = false; });
  $("code").addEventListener("change", () => run(() => set(+$("code").value)));
  $("grid").addEventListener("click", ({ target }) => {
    if (target.dataset.p) pick(+target.dataset.p, +target.dataset.stage);
  });
  $("grid").addEventListener("keydown", (event) => {
    const { columns } = player.chosen.file, { p, stage } = cell;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [p - 1, stage], ArrowRight: [p + 1, stage], ArrowUp: [p, stage - 1], ArrowDown: [p, stage + 1], Home: [0, stage], End: [columns.length - 1, stage] };
    const keys = { "+": "higher", "-": "lower", h: "hold", x: "swap", r: "rest", u: "undo" };
    if (moves[event.key]) {
      const [to, depth] = moves[event.key];
      pick(Math.min(Math.max(to, 0), columns.length - 1), Math.max(depth, 0));
    } else if (keys[event.key]) run(deeds[keys[event.key]]);
    else if (event.key === " ") player.toggle();
    else return;
    event.preventDefault();
  });

  return { forget, begin };
})();
