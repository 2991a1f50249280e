function render({ model, el }) {
  const root = frame(el, "keys", "The codebook as a keyboard");
  root.tabIndex = 0;
  const rows = model.get("_rows"), sounds = new Map();
  let keys = new Map(), wanted = null, down = null;

  const board = make("div", { class: "vqw-board" });
  const tape = make("span", { class: "vqw-tape" }), about = make("span", { role: "status" });
  const waiting = {}; // code -> those who wait for its sound
  function ask(code) {
    const { promise, resolve } = withResolver();
    (waiting[code] = waiting[code] || []).push(resolve);
    model.send(code < 0 ? { do: "tune" } : { do: "hear", code });
    return promise;
  }
  function withResolver() {
    let resolve;
    const promise = new Promise((done) => { resolve = done; });
    return { promise, resolve };
  }
  function answered() {
    const { code, sound } = model.get("_answer");
    const waiters = waiting[code] || [];
    delete waiting[code];
    if (sound) waiters.forEach((resolve) => resolve(decode(sound)));
  }

  const tune = playButton("All in a row", () => ask(-1), { class: "vqw-main" });
  const clear = button("Forget them", () => { model.set("played", []); model.save_changes(); });
  const back = button("◀ Keys before", () => turn(-1)), on = button("Keys after ▶", () => turn(1));
  const pageText = make("span", { role: "status" });
  const [notice, quiet] = noticeOf(model);
  root.append(make("div", { class: "vqw-row" }, back, on, pageText), board, make("p", {}, about),
    make("div", { class: "vqw-row" }, tune, clear, tape), notice,
    make("p", { class: "vqw-note" }, "Click a key, or click anywhere here once and press its character. Page up and page down turn the page. "
      + "The bar shows the code's spectrum (low frequencies at the bottom, brighter is louder), the number is the code, the per cent say how often it occurs in speech."));

  function turn(by) {
    const page = model.get("page") + by;
    if (page >= 0 && page < model.get("pages")) model.send({ do: "page", page });
  }

  async function press(key, node) {
    down = wanted = key.code;
    mark(node);
    model.set("played", [...model.get("played"), key.code]);
    model.save_changes();
    about.textContent = `Code ${key.code}, ${share(key)} of all, loudest band ${key.level.toFixed(0).replace("-", "−")} dB.`;
    if (!sounds.has(key.code)) sounds.set(key.code, ask(key.code));
    const buffer = await sounds.get(key.code);
    if (wanted === key.code && root.isConnected) play(buffer); // the last key pressed sounds
  }

  function mark(node) {
    board.querySelectorAll(".vqw-down").forEach((other) => other.classList.remove("vqw-down"));
    if (node) node.classList.add("vqw-down");
  }

  const share = (key) => (100 * key.share).toFixed(key.share < 0.001 ? 3 : key.share < 0.01 ? 2 : 1) + " %";

  function build() {
    const list = model.get("board");
    let next = 0;
    keys = new Map();
    board.replaceChildren(...rows.map((row) => make("div", { class: "vqw-bank" }, ...[...row].flatMap((character) => {
      const key = list[next++];
      if (!key) return [];
      const name = character.toUpperCase();
      const node = make("button", { type: "button", class: "vqw-key", "data-code": key.code, "aria-keyshortcuts": character,
        "aria-label": `key ${name}: code ${key.code}, ${share(key)} of all`, onclick: () => press(key, node) },
        make("img", { src: key.picture, alt: "" }), make("b", {}, name), make("span", {}, String(key.code)), make("small", {}, share(key)));
      keys.set(character, [key, node]);
      return [node];
    }))));
    const page = model.get("page"), pages = model.get("pages");
    pageText.textContent = `Page ${page + 1} of ${pages}, stage 1`;
    back.disabled = page === 0;
    on.disabled = page === pages - 1;
  }

  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const found = keys.get(event.key.toLowerCase());
    if (found) { if (!event.repeat) press(...found); }
    else if (event.key === "PageDown") turn(1);
    else if (event.key === "PageUp") turn(-1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  const stops = [quiet, follow(model, ["board"], build), follow(model, ["_answer"], answered), follow(model, ["played"], () => {
    const played = model.get("played");
    tape.textContent = played.length ? "Played: " + (played.length > 30 ? "… " : "") + played.slice(-30).join(" ") : "Nothing played yet.";
    tune.disabled = clear.disabled = !played.length;
  })];
  return () => { stops.forEach((stop) => stop()); tune.silence(); };
}

export default { render };
