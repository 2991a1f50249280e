function render({ model, el }) {
  const root = frame(el, "listening", "Blind test: is X the sound A or the sound B?");
  root.tabIndex = 0;
  const names = model.get("names"), trials = model.get("trials");
  let heardX = false, sounds = {}, answered = 0;

  async function load(key) {
    const uri = model.get("_sounds")[key];
    if (!uri) return null;
    if (!sounds[key] || sounds[key].uri !== uri) sounds[key] = { uri, buffer: await decode(uri) };
    return sounds[key].buffer;
  }
  const label = (letter, name) => (name.toUpperCase() === letter ? letter : letter + ": " + name);
  const players = { a: playButton(label("A", names[0]), () => load("a")), b: playButton(label("B", names[1]), () => load("b")),
    x: playButton("X", async () => { const buffer = await load("x"); heardX = true; allow(); return buffer; }, { class: "vqw-main" }) };
  const isA = button("1 · X is A", () => answer("a")), isB = button("2 · X is B", () => answer("b"));
  const progress = make("progress", { max: trials, "aria-hidden": "true" }), status = make("span", { role: "status" });
  const [notice, quiet] = noticeOf(model);
  const test = make("div", {}, make("div", { class: "vqw-three" }, players.a, players.x, players.b), make("div", { class: "vqw-answers" }, isA, isB),
    make("div", { class: "vqw-row" }, progress, status), notice,
    make("p", { class: "vqw-note" }, "Hear all three as often as you like. Keys: A, B and X play, 1 and 2 answer (click here first). Whether an answer was right is told after the last trial."));
  const result = make("p", { class: "vqw-result", role: "status" }), table = make("table", {});
  const end = make("div", { hidden: true }, result, make("div", { class: "vqw-scroll" }, table),
    make("div", { class: "vqw-row" }, button("Once more", () => model.send({ do: "restart" }))));
  root.append(test, end);

  function allow() { isA.disabled = isB.disabled = !heardX || answered === model.get("trial"); }

  function answer(choice) {
    if (isA.disabled) return;
    answered = model.get("trial"); // one answer a trial, however long the kernel takes
    silence();
    const held = [isA, isB].includes(document.activeElement);
    allow();
    if (held) root.focus({ preventScroll: true }); // a disabled button loses the focus, and the keys with it
    model.send({ do: "answer", trial: answered, choice });
  }

  function silence() { Object.values(players).forEach((player) => player.silence()); }

  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || test.hidden) return;
    const key = event.key.toLowerCase();
    if (players[key]) players[key].click();
    else if (key === "1" || key === "2") (key === "1" ? isA : isB).click();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  function row(head, cells) {
    return make("tr", {}, make("th", { scope: "row" }, head), ...cells.map((cell) => make("td", {}, cell)));
  }

  const stops = [quiet, follow(model, ["trial", "_sounds"], () => {
    const trial = model.get("trial"), over = trial > trials;
    silence();
    sounds = {};
    heardX = false;
    answered = 0;
    test.hidden = over;
    end.hidden = !over;
    progress.value = trial - 1;
    status.textContent = over ? "" : `Trial ${trial} of ${trials}: hear X, then answer.`;
    allow();
  }), follow(model, ["result", "_rows"], () => {
    const rows = model.get("_rows");
    result.textContent = model.get("result");
    table.replaceChildren(row("trial", rows.map((_, i) => String(i + 1))), row("X was", rows.map(([truth]) => truth.toUpperCase())),
      row("you said", rows.map(([, said]) => said.toUpperCase())), row("right", rows.map(([truth, said]) => (truth === said ? "✓" : "–"))));
  })];
  return () => { silence(); stops.forEach((stop) => stop()); };
}

export default { render };
