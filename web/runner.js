/* Run codec.js over the clips of a folder that benchmarks/page.py wrote, in a page or in Node:
 * what it makes of them, and the seconds it took, becomes `self.vqlabResult`, a promise. */
"use strict";

async function vqlabRun({ Codec, unzipped }, parts, clips, plain) {
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const text = (array) => {
    let out = "";
    for (let i = 0; i < array.length; i += 8192) out += String.fromCharCode(...array.subarray(i, i + 8192));
    return btoa(out);
  };
  const codec = new Codec(await unzipped(bytes(parts.sound)), plain ? null : new WebAssembly.Module(bytes(parts.kernel)));
  codec.addVoice(await unzipped(bytes(parts.voice)));
  return clips.map(({ samples, rates, heard }) => {
    const x = Float32Array.from(new Int16Array(bytes(samples).buffer), (value) => value / 32768);
    const times = [performance.now()];
    const analysis = codec.analyse(x);
    const files = rates.map((kbps) => codec.compress(analysis, kbps));
    times.push(performance.now());
    const sound = heard ? codec.decode(codec.read(bytes(heard))) : new Float32Array(0);
    times.push(performance.now());
    const again = files.every((file) => text(codec.write(codec.read(file))) === text(file));
    return {
      files: files.map(text), again, sound: text(new Uint8Array(sound.buffer, sound.byteOffset, sound.byteLength)),
      encoding: (times[1] - times[0]) / 1000, decoding: (times[2] - times[1]) / 1000,
    };
  });
}

if (typeof module !== "undefined") { // node web/runner.js FOLDER [plain]
  const { readFileSync, writeFileSync } = require("fs"), vm = require("vm");
  const [folder, plain] = process.argv.slice(2);
  globalThis.self = globalThis;
  for (const name of ["sound.js", "voice.js", "kernel.js", "clips.js"]) {
    vm.runInThisContext(readFileSync(`${folder}/${name}`, "latin1"));
  }
  vqlabRun(require("./codec.js"), self.vqlabParts, self.vqlabClips, plain)
    .then((found) => writeFileSync(`${folder}/result.json`, JSON.stringify(found)));
} else {
  self.vqlabResult = vqlabRun(vqlabCodec(), self.vqlabParts, self.vqlabClips, self.vqlabPlain)
    .then((found) => JSON.stringify(found));
}
