/* The page around codec.js: what is heard, seen, changed, saved and sent. A worker computes. */
"use strict";

/* The worker: a codec, and what the page asks of it. It is started from its own text (see codec.js). */
function vqlabWork(vqlab) {
  let codec = null;
  function bytes(data) { // base64, or an ArrayBuffer
    if (typeof data !== "string") return new Uint8Array(data);
    const text = atob(data), out = new Uint8Array(text.length);
    for (let i = 0; i < out.length; i++) out[i] = text.charCodeAt(i);
    return out;
  }
  const tasks = {
    sound({ data, kernel }) {
      let wasm = null;
      try {
        wasm = new WebAssembly.Module(bytes(kernel));
      } catch { /* a browser or a policy that allows none: plain JavaScript gives the same */ }
      codec = new vqlab.Codec(bytes(data), wasm);
      const { quantizer: { codebooks, stages }, hop, sampleRate, lowest } = codec;
      return { sizes: codebooks.map(({ size }) => size), stages, hop, lowest, bands: codec.bank.n_mels, fast: Boolean(wasm) };
    },
    voice: ({ data }) => codec.addVoice(bytes(data)),
    compress({ samples, rates }) {
      const analysis = codec.analyse(samples);
      return rates.map((kbps) => codec.compress(analysis, kbps));
    },
    read: ({ data }) => codec.read(data),
    decode: (file) => codec.decode(file),
    change(file) {
      const whole = { ...file, columns: codec.refit(file.columns, file.quality) };
      return { ...whole, bytes: codec.write(whole) };
    },
    picture({ samples }) {
      const { mean, std } = codec.features;
      return vqlab.analyse(samples, codec.features, codec.bank).map((x) => x * std + mean);
    },
  };
  self.onmessage = ({ data: { number, task, given } }) => {
    try {
      self.postMessage({ number, result: tasks[task](given) });
    } catch (error) {
      self.postMessage({ number, error: error.message });
    }
  };
}

(() => {
  const $ = (id) => document.getElementById(`c-${id}`);
  const RATE = +$("rest").dataset.rate, RATES = [0.5, 1, 1.5], LONGEST = 60, MANY = 500; // Hz, kbit/s, seconds, bytes
  const { loudest, unpack, overhead } = vqlabCodec();
  const here = new URL("codec/", location.href).href;

  function make(tag, name, text, more = {}) {
    const node = Object.assign(document.createElement(tag), { className: name, ...more });
    if (text !== undefined) node.textContent = text;
    if (tag === "button") node.type = "button";
    return node;
  }
  const say = (text) => { $("say").textContent = text; };

  // What the worker does ---------------------------------------------------------------------

  let worker = null, asked = 0;
  const waiting = new Map();
  function ask(task, given) {
    if (!worker) {
      const text = `${vqlabCodec}\n${vqlabWork}\nvqlabWork(vqlabCodec());`;
      worker = new Worker(URL.createObjectURL(new Blob([text], { type: "text/javascript" })));
      worker.onmessage = ({ data: { number, result, error } }) => {
        const { done, fail } = waiting.get(number);
        waiting.delete(number);
        if (error === undefined) done(result);
        else fail(new Error(error));
      };
    }
    return new Promise((done, fail) => {
      waiting.set(++asked, { done, fail });
      worker.postMessage({ number: asked, task, given });
    });
  }

  /** Load a script once; a page on a disk may load scripts, but no data. */
  const scripts = new Map();
  function script(name) {
    if (!scripts.has(name)) {
      scripts.set(name, new Promise((done, fail) => {
        const node = make("script", "", undefined, { src: `${here}${name}.js`, onload: done });
        node.onerror = () => { scripts.delete(name); fail(new Error(`${name} could not be loaded: try again`)); };
        document.head.append(node);
      }));
    }
    return scripts.get(name);
  }

  /** A part of the codec: an ArrayBuffer from a server, base64 from a disk. */
  async function part(name, what) {
    if (location.protocol === "file:") {
      say(`Loading ${what} …`);
      await script(name);
      return self.vqlabParts[name];
    }
    const answer = await fetch(`${here}${name}.bin`);
    if (!answer.ok) throw new Error(`${what} could not be loaded (${answer.status}): try again`);
    const all = +answer.headers.get("content-length"), pieces = [];
    let size = 0;
    for (const reader = answer.body.getReader(); ;) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      size += value.length;
      say(`Loading ${what}: ${(size / 1e6).toFixed(1)}${all ? ` of ${(all / 1e6).toFixed(1)}` : ""} MB`);
    }
    return new Blob(pieces).arrayBuffer();
  }

  let codec = null, sound = null, voice = null; // what the codec is like; promises of its parts
  function needSound() {
    sound = sound || (async () => {
      const data = await part("sound", "the decoder");
      await script("kernel");
      codec = await ask("sound", { data, kernel: self.vqlabParts.kernel });
      if (self.vqlabParts) delete self.vqlabParts.sound;
      $("code").max = codec.sizes[0] - 1;
    })().catch((error) => { sound = null; throw error; });
    return sound;
  }
  function needVoice() {
    voice = voice || (async () => {
      await needSound();
      await ask("voice", { data: await part("voice", "the encoder") });
      if (self.vqlabParts) delete self.vqlabParts.voice;
    })().catch((error) => { voice = null; throw error; });
    return voice;
  }

  // The player -------------------------------------------------------------------------------

  let context = null, sources = [], gains = [], begun = 0, position = 0, frame = 0;
  let versions = [], chosen = 0, name = ""; // {label, note, samples, file, bytes}
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
    const at = now(), all = seconds(), column = codec ? Math.floor(at * RATE / codec.hop) : -1;
    $("versions").style.setProperty("--at", at / all); // not higher up: all below is styled anew
    Object.assign($("seek"), { max: all, value: at });
    $("clock").textContent = `${at.toFixed(2)} / ${all.toFixed(2)} s`;
    const before = $("grid").querySelector("[data-now]"), next = $("grid").children[column];
    if (before !== next) {
      if (before) delete before.dataset.now;
      if (next) next.dataset.now = "";
      if (next && sources.length && !$("grid").contains(document.activeElement)) {
        $("grid").scrollLeft = next.offsetLeft - $("grid").offsetLeft - $("grid").clientWidth / 2;
      }
    }
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
    showFile();
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

  const MAGMA = ["000004", "1d1147", "51127c", "832681", "b73779", "e75263", "fc8961", "fec488", "fcfdbf"]
    .map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  /** Waveform above, spectrogram below, into a canvas of 360 x 112. */
  function paint(canvas, samples, mel, bands, top) {
    const width = canvas.width = 360, height = canvas.height = 32 + 80;
    const paper = canvas.getContext("2d"), frames = mel.length / bands, picture = paper.createImageData(width, height);
    for (let x = 0; x < width; x++) {
      const t = Math.floor(x * seconds() * RATE / width / (samples.length / frames));
      for (let y = 0; y < 80 && t < frames; y++) {
        const band = bands - 1 - Math.floor(y * bands / 80);
        const value = Math.min(Math.max((mel[t * bands + band] - top) / 80 + 1, 0), 1) * (MAGMA.length - 1);
        const low = Math.min(Math.floor(value), MAGMA.length - 2), at = 4 * ((32 + y) * width + x);
        for (let c = 0; c < 3; c++) picture.data[at + c] = MAGMA[low][c] + (value - low) * (MAGMA[low + 1][c] - MAGMA[low][c]);
        picture.data[at + 3] = 255;
      }
    }
    paper.putImageData(picture, 0, 0);
    paper.fillStyle = "#3b82f6";
    for (let x = 0; x < width; x++) {
      const each = seconds() * RATE / width, piece = samples.subarray(Math.floor(x * each), Math.floor((x + 1) * each) + 1);
      if (!piece.length) break;
      const low = piece.reduce((a, b) => Math.min(a, b)), high = piece.reduce((a, b) => Math.max(a, b));
      paper.fillRect(x, 14.5 - 14.5 * high, 1, Math.max(1, 14.5 * (high - low)));
    }
  }

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
    draw();
    if (!codec) return;
    for (const version of versions) version.mel = version.mel || await ask("picture", { samples: version.samples });
    if (mine !== versions) return;
    const top = versions.reduce((most, { mel }) => mel.reduce((a, b) => Math.max(a, b), most), -80);
    for (const { canvas, samples, mel } of versions) paint(canvas, samples, mel, codec.bands, top);
  }

  /** Show these versions; keep what is chosen by its label, or take the one that `prefer` names. */
  async function setVersions(list, prefer) {
    const sounding = sources.length;
    halt();
    const label = prefer || versions[chosen]?.label;
    for (const version of list) version.level = version.level ?? loudest(version.samples, RATE);
    versions = list;
    chosen = Math.max(0, list.findIndex((version) => version.label === label));
    const shown = showVersions();
    if (sounding) play();
    await shown;
  }

  // Where sounds come from -------------------------------------------------------------------

  const kbps = (bytes, samples) => (8 * bytes.length * RATE / samples / 1000).toFixed(2);
  async function version(label, bytes) {
    const file = await ask("read", { data: bytes });
    const note = `${bytes.length} bytes, ${kbps(bytes, file.samples)} kbit/s`;
    return { label, note, file, bytes, samples: await ask("decode", file) };
  }

  let turn = 0; // of two sounds that are asked for, the later one counts
  async function show(title, work) {
    const mine = ++turn;
    try {
      $("rest").hidden = true;
      halt();
      position = 0;
      name = title;
      past = [];
      await work(() => mine === turn);
    } catch (error) {
      if (mine === turn) say(error.message);
    }
  }

  const original = (samples) => ({ label: "Original", note: "16 bits a sample, 256 kbit/s", samples });
  const decodedAt = (rate) => `${rate} kbit/s`;

  /** Files of a sound at all rates: decoded, shown and played. */
  async function hear(samples, files, current) {
    say("Decoding …");
    const list = samples ? [original(samples)] : [];
    for (const [label, bytes] of files) list.push(await version(label, bytes));
    if (!current()) return;
    const middle = list[list.length - files.length + Math.min(1, files.length - 1)], { columns } = middle.file;
    const deepest = columns.reduce((best, column, p) => column.length > columns[best].length ? p : best, 0);
    cell = { p: deepest, stage: 0 };
    await setVersions(list, middle.label);
    if (!current()) return;
    if (!sources.length) play(); // not awaited: without a click before it, a browser lets nothing sound
    say(`${name}: ${(list[0].samples.length / RATE).toFixed(2)} s. ` +
      (list.length > 1 ? "Choose a version while it plays." : "Choose one of its integers, and change it."));
  }

  const unpacked = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const pcm = (text) => Float32Array.from(new Int16Array(unpacked(text).buffer), (x) => x / 32768);
  async function clip(key) {
    await script(`clips/${key}`);
    const { samples, files } = self.vqlabClips[key];
    return { samples: pcm(samples), files: files.map(([rate, text]) => [decodedAt(rate), unpacked(text)]) };
  }
  for (const button of $("words").children) {
    button.addEventListener("click", () => show(button.textContent, async (current) => {
      for (const other of $("words").children) other.setAttribute("aria-pressed", String(other === button));
      const { samples, files } = await clip(button.dataset.clip);
      if (!current()) return;
      await setVersions([original(samples)]);
      const playing = play(); // heard while the decoder is loaded
      await needSound();
      await playing;
      if (current()) await hear(samples, files, current);
    }));
  }

  /** A sound of one's own: compressed here. */
  async function code(samples, current) {
    if (samples.length > LONGEST * RATE) throw new Error(`The sound lasts ${(samples.length / RATE).toFixed(0)} s, this page takes ${LONGEST} s: cut it.`);
    await needVoice();
    say("Compressing …");
    const rates = RATES.filter((rate) => rate >= codec.lowest);
    const files = await ask("compress", { samples, rates });
    if (current()) await hear(samples, files.map((bytes, i) => [decodedAt(rates[i]), bytes]), current);
  }
  async function receive(bytes, current) {
    if (bytes.length > 1e6) throw new Error(`The file has ${bytes.length} bytes: no .vql file of ${LONGEST} s is that large.`);
    if (unpack(bytes).samples > LONGEST * RATE) throw new Error(`The file holds more than ${LONGEST} s: decode it with the Python package.`);
    await needSound();
    await hear(null, [["Received", bytes]], current);
  }

  /** Samples of a WAV file at 16 kHz exactly as they are, channels averaged; null for another file. */
  function wav(data) {
    const view = new DataView(data), word = (at) => String.fromCharCode(...new Uint8Array(data, at, 4));
    if (data.byteLength < 44 || word(0) !== "RIFF" || word(8) !== "WAVE") return null;
    let kind = 0, channels = 0, bits = 0;
    for (let at = 12; at + 8 <= data.byteLength;) {
      const size = Math.min(view.getUint32(at + 4, true), data.byteLength - at - 8), body = at + 8;
      if (word(at) === "fmt " && size >= 16) {
        [kind, channels, bits] = [0, 2, 14].map((place) => view.getUint16(body + place, true));
        if (kind === 0xfffe && size >= 26) kind = view.getUint16(body + 24, true);
        if (view.getUint32(body + 4, true) !== RATE || !channels) return null;
      } else if (word(at) === "data" && channels) {
        const read = {
          "1/8": (p) => (view.getUint8(p) - 128) / 128, "1/16": (p) => view.getInt16(p, true) / 32768,
          "1/24": (p) => (view.getInt8(p + 2) * 65536 + view.getUint16(p, true)) / 8388608,
          "1/32": (p) => view.getInt32(p, true) / 2147483648,
          "3/32": (p) => view.getFloat32(p, true), "3/64": (p) => view.getFloat64(p, true),
        }[`${kind}/${bits}`], wide = bits / 8;
        if (!read) return null;
        return Float32Array.from({ length: Math.floor(size / wide / channels) }, (_, i) => {
          let sum = 0;
          for (let c = 0; c < channels; c++) sum += read(body + (i * channels + c) * wide);
          return sum / channels;
        });
      }
      at = body + size + size % 2;
    }
    return null;
  }
  /** Any sound the browser can read, at 16 kHz. */
  async function decoded(data) {
    const exact = wav(data);
    if (exact) return exact;
    let buffer;
    try {
      buffer = await new OfflineAudioContext(1, 1, RATE).decodeAudioData(data);
    } catch {
      throw new Error("This browser cannot read that file as a sound: choose a WAV, FLAC, MP3 or .vql file.");
    }
    const out = new Float32Array(buffer.length);
    for (let c = 0; c < buffer.numberOfChannels; c++) {
      buffer.getChannelData(c).forEach((x, i) => { out[i] += x / buffer.numberOfChannels; });
    }
    return whole(out);
  }
  const of16 = (x) => Math.max(-32768, Math.min(32767, Math.round(32768 * x)));
  /** Samples of 16 bits: what is coded is then what “Save as WAV” writes, and Python makes the same file of it. */
  const whole = (samples) => samples.map((x) => of16(x) / 32768);
  function open(file) {
    if (!file) return;
    show(file.name, async (current) => {
      if (file.size > 5e7) throw new Error(`${file.name} has ${(file.size / 1e6).toFixed(0)} MB: choose a shorter sound.`);
      const data = await file.arrayBuffer(), [start] = new Uint8Array(data); // no sound begins with a V
      if (start === 0x56 || file.name.endsWith(".vql")) await receive(new Uint8Array(data), current);
      else await code(await decoded(data), current);
    });
  }
  $("file").addEventListener("change", () => { open($("file").files[0]); $("file").value = ""; });
  addEventListener("dragover", (event) => { event.preventDefault(); $("say").closest(".codec").dataset.drop = ""; });
  addEventListener("dragleave", () => { delete $("say").closest(".codec").dataset.drop; });
  addEventListener("drop", (event) => {
    event.preventDefault();
    delete $("say").closest(".codec").dataset.drop;
    open(event.dataTransfer.files[0]);
  });

  const LISTENER = `registerProcessor("listener", class extends AudioWorkletProcessor {
    process([[samples]]) { if (samples) this.port.postMessage(samples.slice()); return true; } });`;
  let recording = null;
  async function record() {
    if (recording) return recording.stop();
    let stream = null, own = null;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
      own = new AudioContext();
      await own.audioWorklet.addModule(`data:text/javascript,${encodeURIComponent(LISTENER)}`);
    } catch (error) {
      if (stream) stream.getTracks().forEach((track) => track.stop());
      return say(navigator.mediaDevices ? `The microphone cannot be used (${error.name}): allow it in the browser, or open a file.` :
        "A page from this place gets no microphone (it needs https): open a file.");
    }
    const pieces = [], node = new AudioWorkletNode(own, "listener");
    node.port.onmessage = ({ data }) => {
      pieces.push(data);
      const length = pieces.length * data.length / own.sampleRate;
      say(`Recording: ${length.toFixed(1)} s. Press again to stop.`);
      if (length >= 20) recording?.stop();
    };
    own.createMediaStreamSource(stream).connect(node);
    $("record").textContent = "■ Stop";
    $("record").dataset.on = "";
    recording = {
      stop() {
        recording = null;
        node.port.onmessage = null;
        stream.getTracks().forEach((track) => track.stop());
        $("record").textContent = "● Speak yourself";
        delete $("record").dataset.on;
        const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
        show("Your recording", async (current) => {
          if (!length) throw new Error("Nothing was recorded: try again.");
          const buffer = own.createBuffer(1, length, own.sampleRate);
          pieces.reduce((at, piece) => { buffer.copyToChannel(piece, 0, at); return at + piece.length; }, 0);
          const offline = new OfflineAudioContext(1, Math.ceil(length * RATE / own.sampleRate), RATE);
          const source = new AudioBufferSourceNode(offline, { buffer });
          source.connect(offline.destination);
          source.start();
          const made = await offline.startRendering();
          await own.close();
          await code(whole(made.getChannelData(0)), current);
        });
      },
    };
  }
  $("record").addEventListener("click", record);

  // The integers -----------------------------------------------------------------------------

  let past = []; // {versions, chosen} before each change
  let cell = { p: 0, stage: 0 }, changes = 0;

  function showFile() {
    const { file, label } = versions[chosen] || {};
    $("coded").hidden = !file;
    if (!file) return;
    document.querySelector("[data-do=undo]").disabled = !past.length;
    const { columns, quality } = file;
    const many = columns.reduce((sum, column) => sum + column.length, 0);
    $("about").textContent = `${many} integers in ${columns.length} columns, one for each ` +
      `${(1000 * codec.hop / RATE).toFixed(0)} ms (version “${label}”, quality ${quality} of 255). Each is the number of a vector ` +
      `in a codebook of ${codec.sizes[0]}; those of a column are added up.`;
    $("grid").replaceChildren(...columns.map(() => {
      const row = make("div", "c-column");
      row.setAttribute("role", "row");
      return row;
    }));
    fill(versions[chosen]);
    pick(Math.min(cell.p, columns.length - 1), cell.stage, false);
    showBytes();
    draw();
  }
  /** The cells of column `p`, which are made when they are first needed. */
  function cells(p) {
    const row = $("grid").children[p], { file: { columns }, before } = versions[chosen];
    if (!row.firstChild) {
      row.append(...Array.from(columns[p], (number, stage) => {
        const one = make("div", "c-cell", String(number), { tabIndex: -1 });
        one.setAttribute("role", "gridcell");
        one.setAttribute("aria-label", `${(p * codec.hop / RATE).toFixed(2)} s, stage ${stage + 1}: ${number}`);
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
    for (let p = 0; p < shown.file.columns.length && shown === versions[chosen]; p++) {
      cells(p);
      if (p % 100 === 99) await new Promise((done) => setTimeout(done));
    }
  }
  function pick(p, stage, focus = true) {
    const { columns } = versions[chosen].file;
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
    $("code").value = number;
    $("code").max = codec.sizes[cell.stage] - 1;
    $("cell").textContent = `Chosen: ${number}, stage ${cell.stage + 1} of ${columns[p].length} at ` +
      `${(p * codec.hop / RATE).toFixed(2)} s.`;
  }

  /** Write and decode new columns of versions; show them beside the others, and play the first. */
  async function change(...edits) { // [version, its new columns]; a version keeps the label of its first change
    const mine = ++changes, shown = turn, made = [];
    for (const [{ label, file, before }, columns] of edits) {
      const samples = columns.length === file.columns.length ? file.samples : columns.length * codec.hop;
      const { bytes, ...next } = await ask("change", { ...file, columns, samples });
      const note = `${bytes.length} bytes, ${kbps(bytes, samples)} kbit/s`, sound = await ask("decode", next);
      made.push({ label: before ? label : "Changed", note, file: next, bytes, samples: sound, before: before || file.columns });
    }
    if (mine !== changes || shown !== turn) return; // another change has come in between
    past = [...past.slice(-19), { versions, chosen }];
    const kept = versions.map((version) => made.find(({ label }) => label === version.label) || version);
    await present([...kept, ...made.filter((version) => !kept.includes(version))], made[0].label);
  }
  async function present(list, label) {
    const inGrid = $("grid").contains(document.activeElement);
    await setVersions(list, label);
    if (inGrid && versions[chosen].file) pick(Math.min(cell.p, versions[chosen].file.columns.length - 1), cell.stage);
    if (!sources.length) {
      position = Math.max(0, cell.p * codec.hop / RATE - 0.3);
      await play();
    }
  }
  const edit = (make) => change([versions[chosen], make(versions[chosen].file.columns.map((column) => column.slice()))]);
  const set = (number) => edit((columns) => {
    const size = codec.sizes[cell.stage];
    columns[cell.p][cell.stage] = ((Math.round(number) || 0) % size + size) % size;
    return columns;
  });
  const shownCode = () => versions[chosen].file.columns[cell.p][cell.stage];

  /** The word to exchange with: as an exchange before has left it, or as it is bundled. */
  async function partner() {
    const { value, selectedOptions: [{ label: word }] } = $("other"), label = `“${word}”, changed`;
    if (versions[chosen].label === label) return versions.find((version) => version.label === "Changed");
    const there = versions.find((version) => version.label === label);
    if (there) return there;
    const { files } = await clip(value), [, data] = files[Math.min(1, files.length - 1)];
    const file = await ask("read", { data });
    return { label, file, before: file.columns };
  }
  /** Columns `cell.p` up to `end` of the chosen version and of the other word change places. */
  async function exchange(end) {
    const mine = versions[chosen], other = await partner(), p = cell.p;
    const [a, b] = [mine, other].map(({ file }) => file.columns);
    if (p >= b.length) throw new Error(`${other.label.split(",")[0]} has only ${b.length} columns: choose an earlier one.`);
    const mixed = (x, y) => [...x.slice(0, p), ...y.slice(p, end), ...x.slice(end)];
    await change([mine, mixed(a, b)], [other, mixed(b, a)]);
  }
  const deeds = {
    lower: () => set(shownCode() - 1),
    higher: () => set(shownCode() + 1),
    other: () => set(Math.random() * codec.sizes[cell.stage]),
    hold: () => edit((columns) => columns.flatMap((column, p) => p === cell.p ? [column, column] : [column])),
    swap: () => exchange(cell.p + 1),
    rest: () => exchange(Infinity),
    async undo() {
      changes++;
      const before = past.pop();
      if (before) await present(before.versions, before.versions[before.chosen].label);
    },
  };
  const run = (deed) => deed().catch((error) => say(error.message));
  $("grid").parentElement.addEventListener("click", ({ target }) => {
    if (target.dataset.do) run(deeds[target.dataset.do]);
  });
  $("code").addEventListener("change", () => run(() => set(+$("code").value)));
  $("grid").addEventListener("click", ({ target }) => {
    if (target.dataset.p) pick(+target.dataset.p, +target.dataset.stage);
  });
  $("grid").addEventListener("keydown", (event) => {
    const { columns } = versions[chosen].file, { p, stage } = cell;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: [p - 1, stage], ArrowRight: [p + 1, stage], ArrowUp: [p, stage - 1], ArrowDown: [p, stage + 1], Home: [0, stage], End: [columns.length - 1, stage] };
    const keys = { "+": "higher", "-": "lower", h: "hold", x: "swap", r: "rest", u: "undo" };
    if (moves[event.key]) {
      const [to, depth] = moves[event.key];
      pick(Math.min(Math.max(to, 0), columns.length - 1), Math.max(depth, 0));
    } else if (keys[event.key]) run(deeds[keys[event.key]]);
    else if (event.key === " ") toggle();
    else return;
    event.preventDefault();
  });

  // The bytes --------------------------------------------------------------------------------

  /** Parts of a file: from, to, colour, what it is. */
  function fields(bytes) {
    const { sampleRate, identity, quality, gain, samples, version } = unpack(bytes), at = version === 3 ? 1 : 3;
    const start = overhead(samples, version) - 2, end = bytes.length - 2;
    const hex = [...identity].map((x) => x.toString(16).padStart(2, "0")).join("");
    return [
      [0, at, "#fde68a", `${"VQL".slice(0, at)}, so that a reader knows what it has`],
      [at, at + 1, "#fed7aa", `format version ${version}, sample rate ${sampleRate} Hz`],
      [at + 1, at + 3, "#d9f99d", `identity of the codec's weights: ${hex}`],
      [at + 3, at + 4, "#bae6fd", `quality ${quality} of 255: how deep a column is`],
      [at + 4, at + 5, "#ddd6fe", `level: ${gain} dB were added before coding`],
      [at + 5, start, "#fbcfe8", `length: ${samples} samples, 7 bits a byte`],
      [start, end, "#e5e7eb", "codes, range-coded: frequent ones take few bits, so an integer has no byte of its own"],
      [end, bytes.length, "#fecaca", "checksum (CRC-16): any damaged byte is noticed"],
    ];
  }
  function showBytes() {
    const { bytes, file } = versions[chosen], list = [];
    $("size").textContent = `${bytes.length} bytes, ${kbps(bytes, file.samples)} kbit/s with everything. As 16-bit samples ` +
      `the sound takes ${(2 * file.samples).toLocaleString("en")} bytes.`;
    const add = (text, which, what, colour) => {
      const one = make("span", "c-hex", text, { tabIndex: list.length ? -1 : 0 });
      one.setAttribute("role", "option");
      one.setAttribute("aria-label", `${which}, ${text}: ${what}`);
      one.setAttribute("aria-selected", "false");
      one.style.setProperty("--kind", colour);
      one.onmouseenter = one.onfocus = () => { $("byte").textContent = `${which} of ${bytes.length}: ${what}.`; };
      list.push(one);
    };
    for (const [from, to, colour, what] of fields(bytes)) {
      const shown = Math.min(to, from + MANY); // of a long sound, these are enough to see
      for (let i = from; i < shown; i++) add(bytes[i].toString(16).padStart(2, "0"), `Byte ${i + 1}`, what, colour);
      if (shown < to) add(`… and ${to - shown} more`, `Bytes ${shown + 1} to ${to}`, what, colour);
    }
    $("bytes").replaceChildren(...list);
    link($("save"), new Blob([bytes]), `${base()}.vql`);
  }
  const base = () => (name || "word").replace(/\.[a-z0-9]+$/i, "").replace(/[^\w-]+/g, "_");
  function link(node, blob, file) {
    if (node.href.startsWith("blob:")) URL.revokeObjectURL(node.href);
    Object.assign(node, { href: URL.createObjectURL(blob), download: file });
  }
  $("bytes").addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    const next = step && (step > 0 ? event.target.nextElementSibling : event.target.previousElementSibling);
    if (!step) return;
    event.preventDefault();
    if (!next) return;
    [event.target.tabIndex, next.tabIndex] = [-1, 0];
    next.focus();
  });

  $("wav").addEventListener("click", () => { // before the browser follows the link
    const { samples, label } = versions[chosen];
    link($("wav"), new Blob([wavOf(samples)], { type: "audio/wav" }), `${base()} ${label}.wav`);
  });
  /** A WAV file of 16 bits. */
  function wavOf(samples) {
    const view = new DataView(new ArrayBuffer(44 + 2 * samples.length));
    const word = (at, text) => [...text].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
    word(0, "RIFF");
    word(8, "WAVEfmt ");
    word(36, "data");
    [[4, 36 + 2 * samples.length], [16, 16], [24, RATE], [28, 2 * RATE], [40, 2 * samples.length]].forEach(([at, x]) => view.setUint32(at, x, true));
    [[20, 1], [22, 1], [32, 2], [34, 16]].forEach(([at, x]) => view.setUint16(at, x, true));
    samples.forEach((x, i) => view.setInt16(44 + 2 * i, of16(x), true));
    return view.buffer;
  }

  // The link ---------------------------------------------------------------------------------

  $("share").addEventListener("click", async () => {
    const text = btoa(String.fromCharCode(...versions[chosen].bytes)).replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
    const address = `${location.href.split("#")[0]}#v=${text}`;
    window.history.replaceState(null, "", `#v=${text}`);
    try {
      await navigator.clipboard.writeText(address);
      say("The link is copied: who opens it hears the word.");
    } catch {
      say("The link is in the address bar: copy it from there.");
    }
  });
  function arrive() {
    const given = new URLSearchParams(location.hash.slice(1)), text = given.get("v"), from = given.get("from");
    if (!text) return;
    let bytes;
    try {
      bytes = unpacked(text.replace(/-/g, "+").replace(/_/g, "/"));
    } catch {
      return say("The link holds no sound: it was cut off or changed on its way.");
    }
    // Who comes from a player of this site has chosen to load; from elsewhere, it takes a click.
    if (from) return void show(from, (still) => receive(bytes, still));
    const button = make("button", "", `▶ Hear the word that was sent to you (${bytes.length} bytes)`);
    button.addEventListener("click", () => show("A word that was sent", (still) => receive(bytes, still)));
    $("say").replaceChildren(button);
  }
  addEventListener("hashchange", arrive);
  arrive();
})();
