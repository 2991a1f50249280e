/* The codec as the page has it: a worker computes, and loads its parts when they are first needed. */
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
    async sound({ data, kernel }) {
      let wasm = null;
      try {
        wasm = new WebAssembly.Module(bytes(kernel));
      } catch { /* a browser or a policy that allows none: plain JavaScript gives the same */ }
      codec = new vqlab.Codec(await vqlab.unzipped(bytes(data)), wasm);
      const { quantizer: { codebooks, stages }, hop, sampleRate, lowest } = codec;
      return { sizes: codebooks.map(({ size }) => size), stages, hop, lowest, bands: codec.bank.n_mels, fast: Boolean(wasm) };
    },
    voice: async ({ data }) => codec.addVoice(await vqlab.unzipped(bytes(data))),
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
  self.onmessage = async ({ data: { number, task, given } }) => {
    try {
      self.postMessage({ number, result: await tasks[task](given) });
    } catch (error) {
      self.postMessage({ number, error: error.message });
    }
  };
}

const work = (() => {
  const here = new URL("codec/", location.href).href;
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

  return { ask, script, needSound, needVoice, get codec() { return codec; } };
})();
