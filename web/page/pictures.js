/* The pictures of a sound: its waveform above, its spectrogram below. */
"use strict";

const paint = (() => {
  const MAGMA = ["000004", "1d1147", "51127c", "832681", "b73779", "e75263", "fc8961", "fec488", "fcfdbf"]
    .map((hex) => [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16)));

  /** Paint `samples`, and `mel` in dB (frames x bands; `top` is white), into a canvas as wide as `length` samples. */
  return function paint(canvas, { samples, mel }, bands, top, length) {
    const width = canvas.width = 360, height = canvas.height = 32 + 80;
    const paper = canvas.getContext("2d"), frames = mel.length / bands, picture = paper.createImageData(width, height);
    for (let x = 0; x < width; x++) {
      const t = Math.floor(x * length / width / (samples.length / frames));
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
      const each = length / width, piece = samples.subarray(Math.floor(x * each), Math.floor((x + 1) * each) + 1);
      if (!piece.length) break;
      const low = piece.reduce((a, b) => Math.min(a, b)), high = piece.reduce((a, b) => Math.max(a, b));
      paper.fillRect(x, 14.5 - 14.5 * high, 1, Math.max(1, 14.5 * (high - low)));
    }
  }
})();
