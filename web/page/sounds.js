/* Where sounds come from: the bundled ones, and files that are chosen or dropped. */
"use strict";

const sounds = (() => {
  const RATES = [0.5, 1, 1.5], LONGEST = 60; // kbit/s, seconds
  const { unpack } = vqlabCodec();
  async function version(label, bytes) {
    const file = await work.ask("read", { data: bytes });
    const note = `${bytes.length} bytes, ${kbps(bytes, file.samples)} kbit/s`;
    return { label, note, file, bytes, samples: await work.ask("decode", file) };
  }

  let turn = 0; // of two sounds that are asked for, the later one counts
  async function show(title, bring) {
    const mine = ++turn;
    try {
      player.clear(title);
      integers.forget();
      await bring(() => mine === turn);
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
    const middle = list[list.length - files.length + Math.min(1, files.length - 1)];
    integers.begin(middle.file.columns);
    await player.set(list, middle.label);
    if (!current()) return;
    if (!player.playing) player.play(); // not awaited: without a click before it, a browser lets nothing sound
    say(`${player.title}: ${(list[0].samples.length / RATE).toFixed(2)} s. ` +
      (list.length > 1 ? "Choose a version while it plays." : "Choose one of its integers, and change it."));
  }

  const pcm = (text) => Float32Array.from(new Int16Array(fromBase64(text).buffer), (x) => x / 32768);
  async function clip(key) {
    await work.script(`clips/${key}`);
    const { samples, files } = self.vqlabClips[key];
    return { samples: pcm(samples), files: files.map(([rate, text]) => [decodedAt(rate), fromBase64(text)]) };
  }
  for (const button of $("words").children) {
    button.addEventListener("click", () => show(button.textContent, async (current) => {
      for (const other of $("words").children) other.setAttribute("aria-pressed", String(other === button));
      const { samples, files } = await clip(button.dataset.clip);
      if (!current()) return;
      await player.set([original(samples)]);
      const playing = player.play(); // heard while the decoder is loaded
      await work.needSound();
      await playing;
      if (current()) await hear(samples, files, current);
    }));
  }

  /** A sound of one's own: compressed here. */
  async function code(samples, current) {
    if (samples.length > LONGEST * RATE) throw new Error(`The sound lasts ${(samples.length / RATE).toFixed(0)} s, this page takes ${LONGEST} s: cut it.`);
    await work.needVoice();
    say("Compressing …");
    const rates = RATES.filter((rate) => rate >= work.codec.lowest);
    const files = await work.ask("compress", { samples, rates });
    if (current()) await hear(samples, files.map((bytes, i) => [decodedAt(rates[i]), bytes]), current);
  }
  async function receive(bytes, current) {
    if (bytes.length > 1e6) throw new Error(`The file has ${bytes.length} bytes: no .vql file of ${LONGEST} s is that large.`);
    if (unpack(bytes).samples > LONGEST * RATE) throw new Error(`The file holds more than ${LONGEST} s: decode it with the Python package.`);
    await work.needSound();
    await hear(null, [["Received", bytes]], current);
  }

  /** Any sound the browser can read, at 16 kHz. */
  async function decoded(data) {
    const exact = wav.read(data);
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
    return wav.whole(out);
  }
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

  return { show, clip, code, receive };
})();
