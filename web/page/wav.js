/* WAV files, read and written exactly. */
"use strict";

const wav = (() => {
  const of16 = (x) => Math.max(-32768, Math.min(32767, Math.round(32768 * x)));
  /** Samples of 16 bits: what is coded is then what “Save as WAV” writes, and Python makes the same file of it. */
  const whole = (samples) => samples.map((x) => of16(x) / 32768);

  /** Samples of a WAV file at 16 kHz exactly as they are, channels averaged; null for another file. */
  function read(data) {
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
        const sample = {
          "1/8": (p) => (view.getUint8(p) - 128) / 128, "1/16": (p) => view.getInt16(p, true) / 32768,
          "1/24": (p) => (view.getInt8(p + 2) * 65536 + view.getUint16(p, true)) / 8388608,
          "1/32": (p) => view.getInt32(p, true) / 2147483648,
          "3/32": (p) => view.getFloat32(p, true), "3/64": (p) => view.getFloat64(p, true),
        }[`${kind}/${bits}`], wide = bits / 8;
        if (!sample) return null;
        return Float32Array.from({ length: Math.floor(size / wide / channels) }, (_, i) => {
          let sum = 0;
          for (let c = 0; c < channels; c++) sum += sample(body + (i * channels + c) * wide);
          return sum / channels;
        });
      }
      at = body + size + size % 2;
    }
    return null;
  }

  /** A WAV file of 16 bits. */
  function write(samples) {
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

  return { read, write, whole };
})();
