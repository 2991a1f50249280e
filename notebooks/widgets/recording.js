// Runs in the audio thread: hands over the mean of the channels.
const TAP = `registerProcessor("vqlab-tap", class extends AudioWorkletProcessor {
  process([input]) {
    if (input.length) this.port.postMessage(input[0].map((_, i) => input.reduce((sum, channel) => sum + channel[i], 0) / input.length));
    return true;
  }
});`;

// A WAV file of float32 samples. Written here because browsers record only compressed formats.
function wav(pieces, rate) {
  const count = pieces.reduce((sum, piece) => sum + piece.length, 0), view = new DataView(new ArrayBuffer(44 + 4 * count));
  const text = (at, value) => [...value].forEach((c, i) => view.setUint8(at + i, c.charCodeAt(0)));
  text(0, "RIFF"); view.setUint32(4, 36 + 4 * count, true); text(8, "WAVEfmt ");
  view.setUint32(16, 16, true); view.setUint16(20, 3, true); view.setUint16(22, 1, true);
  view.setUint32(24, rate, true); view.setUint32(28, 4 * rate, true); view.setUint16(32, 4, true); view.setUint16(34, 32, true);
  text(36, "data"); view.setUint32(40, 4 * count, true);
  let at = 44;
  for (const piece of pieces) for (const sample of piece) { view.setFloat32(at, sample, true); at += 4; }
  return view.buffer;
}

// Any sound file the browser knows, as mono samples at `rate`: its decoder resamples with a good filter.
async function samplesOf(file, rate, longest) {
  const sound = await new OfflineAudioContext(1, 1, rate).decodeAudioData(file);
  const out = new Float32Array(Math.min(sound.length, Math.round(longest * rate)));
  for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
    const from = sound.getChannelData(channel);
    for (let i = 0; i < out.length; i += 1) out[i] += from[i] / sound.numberOfChannels;
  }
  return [out, sound.duration > longest];
}

function base64(samples) {
  const view = new DataView(new ArrayBuffer(4 * samples.length)), pieces = [];
  samples.forEach((sample, i) => view.setFloat32(4 * i, sample, true));
  const bytes = new Uint8Array(view.buffer);
  for (let at = 0; at < bytes.length; at += 30000) pieces.push(btoa(String.fromCharCode(...bytes.subarray(at, at + 30000))));
  return pieces.join(""); // 30000 is a multiple of 3, so the pieces fit together
}

const OTHERWISE = " Upload a file or take the clip that is here: everything below works with them, too.";

function refusal(error) {
  if (!window.isSecureContext) return "The browser gives its microphone only to pages from https or from localhost, and this page is neither." + OTHERWISE;
  const known = {
    NotAllowedError: "The browser did not allow the microphone. To allow it, use the microphone or lock sign beside the page's address, then press Record again.",
    SecurityError: "This page may not use the microphone.",
    NotFoundError: "The browser finds no microphone.",
    NotReadableError: "The microphone is there, but another program holds it, or it failed.",
  };
  return (known[error.name] || "Recording did not work: " + error + ".") + OTHERWISE;
}

function render({ model, el }) {
  const root = frame(el, "recording", "Recorder");
  const rate = model.get("sample_rate"), seconds = model.get("seconds");
  let taking = null;

  const record = button("● Record", () => (taking ? taking.finish() : start()), { class: "vqw-main" });
  const level = make("meter", { min: -60, max: 0, low: -45, high: -3, optimum: -20, value: -60, "aria-label": "level of the microphone in dB", hidden: true });
  const picker = make("input", { type: "file", accept: "audio/*,.wav,.flac,.mp3,.ogg,.m4a", class: "vqw-hidden", tabindex: -1, "aria-hidden": "true" });
  const upload = button("Upload a file", () => picker.click());
  const clip = button("Take the clip that is here", () => { say(""); model.send({ do: "clip" }); });
  const status = make("p", { role: "status" }), problem = make("p", { class: "vqw-notice", role: "alert" });
  const [notice, quiet] = noticeOf(model);
  const picture = make("img", {}), now = make("span", { class: "vqw-now", hidden: true });
  const hear = playButton("Play", async () => [await decode(model.get("_sound")), {
    onTime(time) { now.hidden = false; now.style.left = 100 * Math.min(1, time / model.get("_length")) + "%"; },
    onEnd() { now.hidden = true; },
  }]);
  root.append(make("div", { class: "vqw-row" }, record, level, upload, picker, clip, hear), problem, notice, status,
    make("div", { class: "vqw-show" }, picture, now),
    make("p", { class: "vqw-note" }, `Records up to ${+seconds.toFixed(1)} s; press again to stop sooner. The sound goes to the kernel of this notebook and nowhere else, and is not saved with the notebook.`));

  const say = (text) => { problem.textContent = text; };

  async function deliver(file, source) {
    let samples, cut;
    try {
      [samples, cut] = await samplesOf(file, rate, model.get("longest"));
    } catch (error) {
      say("The browser cannot read this as sound (" + error.message + "). WAV, FLAC, MP3 and OGG usually work.");
      return;
    }
    if (!samples.length) { say("There are no samples in it."); return; }
    say(cut ? `Only the first ${model.get("longest")} s are taken.` : "");
    model.send({ do: "take", source, samples: base64(samples) });
  }

  picker.addEventListener("change", async () => {
    const file = picker.files[0];
    if (file) await deliver(await file.arrayBuffer(), "file “" + file.name + "”");
    picker.value = "";
  });

  async function start() {
    say("");
    record.disabled = true;
    let stream;
    try {
      if (!navigator.mediaDevices) throw new Error("this browser offers no microphone here");
      // Made for calls, these three would change the voice that is to be coded.
      stream = await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false } });
      taking = await tap(stream);
      record.textContent = "■ Stop";
      record.classList.add("vqw-on");
      level.hidden = false;
    } catch (error) {
      if (stream) stream.getTracks().forEach((track) => track.stop());
      say(refusal(error));
    }
    record.disabled = false;
  }

  async function tap(stream) {
    if (page.playing) page.playing.pause();
    const context = new (window.AudioContext || window.webkitAudioContext)();
    await context.resume();
    const source = context.createMediaStreamSource(stream), most = Math.round(seconds * context.sampleRate), pieces = [];
    let node, count = 0, over = false;
    const own = { finish, drop: close };
    function close() {
      over = true;
      stream.getTracks().forEach((track) => track.stop());
      context.close();
      taking = null;
      record.textContent = "● Record";
      record.classList.remove("vqw-on");
      level.hidden = true;
    }
    function finish() {
      if (over) return;
      close();
      if (count) deliver(wav(pieces, context.sampleRate), "microphone");
      else say("The microphone sent nothing." + OTHERWISE);
    }
    function take(piece) {
      if (over) return;
      if (!root.isConnected) { close(); return; } // the cell was run again or cleared
      pieces.push(piece.subarray(0, most - count));
      count += pieces[pieces.length - 1].length;
      level.value = 20 * Math.log10(Math.max(1e-3, ...piece.map(Math.abs)));
      status.textContent = `Recording: ${(count / context.sampleRate).toFixed(1)} of ${seconds.toFixed(1)} s`;
      if (count >= most) finish();
    }
    try {
      const address = URL.createObjectURL(new Blob([TAP], { type: "text/javascript" }));
      await context.audioWorklet.addModule(address).finally(() => URL.revokeObjectURL(address));
      node = new AudioWorkletNode(context, "vqlab-tap", { numberOfOutputs: 1 });
      node.port.onmessage = (event) => take(event.data);
    } catch (error) { // an older browser, or a page that may not load it: the older way
      node = context.createScriptProcessor(2048, 1, 1);
      node.onaudioprocess = (event) => take(event.inputBuffer.getChannelData(0).slice());
    }
    source.connect(node).connect(context.destination); // its output is silence, but only then it runs
    return own;
  }

  const stops = [quiet, follow(model, ["source", "_length"], () => {
    status.textContent = `Now: ${model.get("source")}, ${model.get("_length").toFixed(2)} s.`;
    picture.alt = `Spectrogram of ${model.get("source")}, ${model.get("_length").toFixed(2)} s, 0 to ${rate / 2000} kHz, low frequencies at the bottom`;
  }), follow(model, ["_picture"], () => { picture.src = model.get("_picture"); })];
  return () => { if (taking) taking.drop(); hear.silence(); stops.forEach((stop) => stop()); };
}

export default { render };
