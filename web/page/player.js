/* The player: versions of one sound, which run in step and are switched while they play. */
"use strict";

const player = (() => {
  const { loudest } = vqlabCodec();
  let context = null, sources = [], gains = [], begun = 0, position = 0, frame = 0;
  let versions = [], chosen = 0, title = ""; // {label, note, samples, file, bytes}
  const shown = [], drawn = []; // what is called when a version is chosen, and when the playhead is drawn
  const seconds = () => Math.max(...versions.map(({ samples }) => samples.length), 1) / RATE;
  const now = () => sources.length ? Math.min(Math.max(0, context.currentTime - begun), seconds()) : position;

  function halt() {
    position = now();
    for (const source of sources) {
      source.onended = null;
      source.stop();
      source.disconnect();
    }
    sources = gains = [];
    $("play").textContent = "▶ Play";
  }
  async function play() {
    context = context || new AudioContext();
    await context.resume();
    halt();
    if (position >= seconds() - 0.005) position = 0;
    const at = context.currentTime + 0.02, level = versions[0].level;
    begun = at - position;
    gains = versions.map((_, k) => new GainNode(context, { gain: k === chosen ? 1 : 0 }));
    sources = versions.map((version, k) => {
      const buffer = context.createBuffer(1, Math.round(seconds() * RATE), RATE);
      const match = Number.isFinite(level) && Number.isFinite(version.level) ? 10 ** ((level - version.level) / 20) : 1;
      buffer.copyToChannel(version.samples.map((x) => x * match), 0);
      const source = new AudioBufferSourceNode(context, { buffer });
      source.connect(gains[k]).connect(context.destination);
      source.start(at, position);
      return source;
    });
    sources[0].onended = () => { halt(); position = 0; draw(); };
    $("play").textContent = "❚❚ Pause";
    tick();
  }
  function tick() {
    cancelAnimationFrame(frame);
    draw();
    if (sources.length) frame = requestAnimationFrame(tick);
  }
  function draw() {
    const at = now(), all = seconds();
    $("versions").style.setProperty("--at", at / all); // not higher up: all below is styled anew
    Object.assign($("seek"), { max: all, value: at });
    $("clock").textContent = `${at.toFixed(2)} / ${all.toFixed(2)} s`;
    for (const call of drawn) call(at, sources.length > 0);
  }
  function goTo(at) {
    const sounding = sources.length;
    halt();
    position = Math.min(Math.max(at, 0), seconds());
    if (sounding) play();
    else draw();
  }
  function choose(index, focus = false) {
    chosen = index;
    [...$("versions").querySelectorAll("[role=radio]")].forEach((button, k) => {
      button.setAttribute("aria-checked", String(k === index));
      button.tabIndex = k === index ? 0 : -1;
      if (focus && k === index) button.focus();
    });
    gains.forEach((gain, k) => gain.gain.setTargetAtTime(k === index ? 1 : 0, context.currentTime, 0.002));
    for (const call of shown) call(versions[index]);
    draw();
  }
  const toggle = () => { if (sources.length) { halt(); draw(); } else if (versions.length) play(); };

  $("play").addEventListener("click", toggle);
  $("seek").addEventListener("input", () => goTo(+$("seek").value));
  $("listen").parentElement.addEventListener("keydown", (event) => {
    const { key } = event, last = versions.length;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (key === " ") toggle();
    else if (key === "ArrowRight") goTo(now() + 0.1);
    else if (key === "ArrowLeft") goTo(now() - 0.1);
    else if (key === "Home") goTo(0);
    else if (key === "ArrowDown") choose((chosen + 1) % last, true);
    else if (key === "ArrowUp") choose((chosen + last - 1) % last, true);
    else if (key >= "1" && key <= "9" && key - 1 < last) choose(key - 1, true);
    else return;
    event.preventDefault();
  });
  $("listen").parentElement.addEventListener("keyup", (event) => { // Firefox presses buttons when space comes up
    if (event.key === " ") event.preventDefault();
  });

  /** Rows of the player. Pictures follow when the codec, whose mel bands they show, is there. */
  async function showVersions() {
    const mine = versions;
    $("rest").hidden = false;
    $("versions").replaceChildren(...versions.map((version, k) => {
      const row = make("div", "c-version"), button = make("button", "");
      button.setAttribute("role", "radio");
      button.append(make("b", "", version.label), make("small", "", version.note));
      button.addEventListener("click", () => choose(k));
      const picture = make("div", "c-frame"), canvas = version.canvas = make("canvas", "");
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `waveform and spectrogram of ${version.label}, ${version.note}`);
      picture.append(canvas, make("span", "c-line"));
      picture.addEventListener("pointerdown", (event) => {
        const box = picture.getBoundingClientRect();
        choose(k);
        goTo((event.clientX - box.left) / box.width * seconds());
      });
      row.append(button, picture);
      return row;
    }));
    choose(Math.min(chosen, versions.length - 1));
    if (!work.codec) return;
    const { bands } = work.codec;
    for (const version of mine) {
      if (version.mel) continue;
      version.mel = await work.ask("picture", { samples: version.samples });
      version.top = version.mel.reduce((a, b) => Math.max(a, b)); // dB
    }
    const top = Math.max(-80, ...mine.map((version) => version.top));
    for (const version of mine) { // one after the other: of a long sound they take their time
      if (mine !== versions) return;
      paint(version.canvas, version, bands, top, seconds() * RATE);
      await new Promise((done) => setTimeout(done));
    }
  }

  /** Show these versions; keep what is chosen by its label, or take the one that `prefer` names. */
  async function set(list, prefer) {
    const sounding = sources.length;
    halt();
    const label = prefer || versions[chosen]?.label;
    for (const version of list) version.level = version.level ?? loudest(version.samples, RATE);
    versions = list;
    chosen = Math.max(0, list.findIndex((version) => version.label === label));
    const rows = showVersions();
    if (sounding) play();
    await rows;
  }

  /** Take away what is shown, before another sound comes. */
  function clear(next) {
    $("rest").hidden = true;
    halt();
    position = 0;
    title = next;
  }
  const fileName = () => (title || "word").replace(/\.[a-z0-9]+$/i, "").replace(/[^\w-]+/g, "_");
  $("wav").addEventListener("click", () => { // before the browser follows the link
    const { samples, label } = versions[chosen];
    saveBy($("wav"), new Blob([wav.write(samples)], { type: "audio/wav" }), `${fileName()} ${label}.wav`);
  });

  return {
    set, clear, play, toggle, goTo, shown, drawn, fileName,
    get versions() { return versions; },
    get chosen() { return versions[chosen]; },
    get playing() { return sources.length > 0; },
    get title() { return title; },
  };
})();
