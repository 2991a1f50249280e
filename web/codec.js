/* The whole codec in one file: a waveform to integers, to bytes, and back.

In the order of the notebooks: level, spectrogram, back to sound, networks, quantiser, entropy
coder, file, codec. Plain JavaScript: as a script it defines `vqlabCodec`, in Node `require` gives
what that returns. The same samples give the same bytes as the Python package, whose functions are
named where the two meet; fractions are computed in double precision unless a comment says why not.
All of it stands in one function because a page that was opened from a disk can start a worker only
from text, and a function knows its own. */
"use strict";

function vqlabCodec() {
  // 01 · Level ------------------------------------------------------------------------------

  /** RMS in dBFS of the loudest 0.4 s of `x`; -Infinity for silence (`levels.loudest`). */
  function loudest(x, rate) {
    const window = Math.min(x.length, Math.round(0.4 * rate)), step = 60 * rate;
    let most = 0;
    for (let start = 0; start + window <= x.length; start += step) {
      const sums = new Float64Array(Math.min(x.length - start, step + window - 1) + 1);
      for (let i = 1; i < sums.length; i++) sums[i] = sums[i - 1] + x[start + i - 1] ** 2;
      for (let i = window; i < sums.length; i++) most = Math.max(most, sums[i] - sums[i - window]);
    }
    return most / window > 1e-12 ? 10 * Math.log10(most / window) : -Infinity;
  }

  /** Nearest whole number, halves to the even one, as Python rounds. */
  function round(x) {
    const up = Math.round(x);
    return up - x === 0.5 && up % 2 ? up - 1 : up;
  }

  // 02 · Spectrogram ------------------------------------------------------------------------

  /** Fourier transform of `size` real numbers, a power of two, by one of size / 2 complex ones. */
  class Fourier {
    constructor(size) {
      const half = this.half = size / 2;
      this.frame = new Float64Array(size);
      this.re = new Float64Array(half + 1); // the spectrum, bins 0 … size / 2
      this.im = new Float64Array(half + 1);
      this.a = new Float64Array(half); // the complex numbers at work
      this.b = new Float64Array(half);
      this.cos = Float64Array.from({ length: half }, (_, k) => Math.cos(2 * Math.PI * k / size));
      this.sin = Float64Array.from({ length: half }, (_, k) => Math.sin(2 * Math.PI * k / size));
      this.reversed = new Uint32Array(half);
      for (let i = 1; i < half; i++) {
        this.reversed[i] = this.reversed[i >> 1] >> 1 | (i & 1 ? half >> 1 : 0);
      }
    }

    /** `frame` to `re` and `im`: even samples as real, odd ones as imaginary parts. */
    forward() {
      const { half, frame, re, im, a, b, cos, sin, reversed } = this;
      for (let k = 0; k < half; k++) {
        a[reversed[k]] = frame[2 * k];
        b[reversed[k]] = frame[2 * k + 1];
      }
      this.butterflies();
      re[0] = a[0] + b[0];
      re[half] = a[0] - b[0];
      im[0] = im[half] = 0;
      for (let k = 1; k < half; k++) { // take the two halves of the samples apart again
        const m = half - k;
        const er = (a[k] + a[m]) / 2, ei = (b[k] - b[m]) / 2;
        const or = (b[k] + b[m]) / 2, oi = (a[m] - a[k]) / 2;
        re[k] = er + cos[k] * or + sin[k] * oi;
        im[k] = ei + cos[k] * oi - sin[k] * or;
      }
    }

    /** `re` and `im` to `frame`. Imaginary parts of the first and last bin do not count. */
    inverse() {
      const { half, frame, re, im, a, b, cos, sin, reversed } = this;
      for (let k = 0; k < half; k++) {
        const m = half - k, ik = k ? im[k] : 0, imm = k ? im[m] : 0;
        const er = re[k] + re[m], ei = ik - imm, dr = re[k] - re[m], di = ik + imm;
        const or = dr * cos[k] - di * sin[k], oi = dr * sin[k] + di * cos[k];
        a[reversed[k]] = er - oi; // conjugated, so that the same butterflies go back
        b[reversed[k]] = -(ei + or);
      }
      this.butterflies();
      const scale = 0.5 / half;
      for (let k = 0; k < half; k++) {
        frame[2 * k] = a[k] * scale;
        frame[2 * k + 1] = -b[k] * scale;
      }
    }

    /** Cooley and Tukey 1965: `a` + i `b`, in bit-reversed order, to its transform. */
    butterflies() {
      const { half, a, b, cos, sin } = this;
      for (let i = 0; i < half; i += 4) { // the first two steps turn by nothing, or by a quarter
        const pr = a[i] + a[i + 1], pi = b[i] + b[i + 1], qr = a[i] - a[i + 1], qi = b[i] - b[i + 1];
        const rr = a[i + 2] + a[i + 3], ri = b[i + 2] + b[i + 3], sr = a[i + 2] - a[i + 3], si = b[i + 2] - b[i + 3];
        a[i] = pr + rr;
        b[i] = pi + ri;
        a[i + 1] = qr + si;
        b[i + 1] = qi - sr;
        a[i + 2] = pr - rr;
        b[i + 2] = pi - ri;
        a[i + 3] = qr - si;
        b[i + 3] = qi + sr;
      }
      for (let size = 4; size < half; size *= 2) {
        const turn = half / size; // twiddles are those of twice as many points
        for (let i = 0; i < half; i += size) {
          for (let w = 0; w < half; i++, w += turn) {
            const k = i + size, wr = cos[w], wi = sin[w];
            const yr = a[k] * wr + b[k] * wi, yi = b[k] * wr - a[k] * wi;
            a[k] = a[i] - yr;
            b[k] = b[i] - yi;
            a[i] += yr;
            b[i] += yi;
          }
        }
      }
    }
  }

  /** The periodic Hann window. */
  const hann = (n) => Float64Array.from({ length: n }, (_, i) => Math.fround(0.5 - 0.5 * Math.cos(2 * Math.PI * i / n)));

  /** `x` with half a window before and behind, by reflection; zeros where it is too short for that. */
  function padded(x, half) {
    const out = new Float64Array(x.length + 2 * half), last = x.length - 1;
    out.set(x, half);
    for (let i = 1; i <= half && x.length > half; i++) {
      out[half - i] = x[i];
      out[half + last + i] = x[last - i];
    }
    return out;
  }

  /** Hz of a mel value and back, on the scales that `spectral` knows. */
  const SCALES = {
    slaney: [
      (hz) => hz < 1000 ? hz * 3 / 200 : 15 + 27 * Math.log(hz / 1000) / Math.log(6.4),
      (mel) => mel < 15 ? mel * 200 / 3 : 1000 * Math.exp((mel - 15) / 27 * Math.log(6.4)),
    ],
    htk: [(hz) => 2595 * Math.log10(1 + hz / 700), (mel) => 700 * (10 ** (mel / 2595) - 1)],
  };

  /** The mel filters. A bin lies in two neighbouring bands at most: band `band[bin]` takes the share
   * `low[bin]` of it, the next one `high[bin]`. */
  function filterBank({ sample_rate, n_fft, n_mels, f_min, f_max, scale, norm }) {
    const bins = n_fft / 2 + 1, [toMel, toHz] = SCALES[scale];
    const from = toMel(f_min), step = (toMel(f_max) - from) / (n_mels + 1);
    const corners = Array.from({ length: n_mels + 2 }, (_, i) => toHz(from + i * step));
    const bank = { bins, n_mels, band: new Uint16Array(bins), low: new Float64Array(bins), high: new Float64Array(bins) };
    for (let bin = 0; bin < bins; bin++) {
      const hz = bin * sample_rate / n_fft;
      const height = (m) => { // of triangle m at this bin
        if (m < 0 || m >= n_mels) return 0;
        const [a, b, c] = corners.slice(m, m + 3);
        const inside = Math.max(0, Math.min((hz - a) / (b - a), (c - hz) / (c - b)));
        return Math.fround(inside * (norm === "slaney" ? 2 / (c - a) : 1)); // as the package keeps it
      };
      const between = corners.findIndex((corner) => corner > hz) - 2; // falls in this band, rises in the next
      const m = Math.min(Math.max(between, 0), n_mels - 2);
      bank.band[bin] = m;
      bank.low[bin] = height(m);
      bank.high[bin] = height(m + 1);
    }
    return bank;
  }

  /** Normalised log-mel frames of `x`, one per started hop: frames x n_mels (`Features.analyse`). */
  function analyse(x, { config, mean, std }, bank) {
    const { n_fft, hop_length, n_mels } = config, frames = Math.ceil(x.length / hop_length);
    const fourier = new Fourier(n_fft), window = hann(n_fft), sound = padded(x, n_fft / 2);
    const out = new Float32Array(frames * n_mels), power = new Float64Array(n_mels + 1);
    for (let t = 0; t < frames; t++) {
      for (let i = 0; i < n_fft; i++) fourier.frame[i] = sound[t * hop_length + i] * window[i];
      fourier.forward();
      power.fill(0);
      for (let bin = 0; bin < bank.bins; bin++) {
        const p = fourier.re[bin] ** 2 + fourier.im[bin] ** 2;
        power[bank.band[bin]] += bank.low[bin] * p;
        power[bank.band[bin] + 1] += bank.high[bin] * p;
      }
      for (let m = 0; m < n_mels; m++) {
        out[t * n_mels + m] = (10 * Math.log10(Math.max(power[m], 1e-8)) - mean) / std;
      }
    }
    return out;
  }

  // 03 · Back to sound ----------------------------------------------------------------------

  /** Peaks raised, valleys lowered: values move away from the mean of 9 bands (`features.sharpen`). */
  function sharpen(x, n_mels, contrast) {
    const out = new Float32Array(x.length);
    for (let t = 0; t < x.length; t += n_mels) {
      for (let m = 0; m < n_mels; m++) {
        let around = 0;
        for (let k = m - 4; k <= m + 4; k++) around += x[t + Math.min(Math.max(k, 0), n_mels - 1)];
        out[t + m] = x[t + m] + contrast * (x[t + m] - around / 9);
      }
    }
    return out;
  }

  /** Magnitude of every bin, frames x bins, of mel power: 50 multiplicative steps (`mel_to_linear`). */
  function melToLinear(mel, frames, { bins, n_mels, band, low, high }) {
    const sum = new Float64Array(n_mels), top = new Float64Array(n_mels);
    for (let bin = 0; bin < bins; bin++) {
      [low, high].forEach((share, next) => {
        sum[band[bin] + next] += share[bin];
        top[band[bin] + next] = Math.max(top[band[bin] + next], share[bin]);
      });
    }
    const out = new Float32Array(frames * bins), power = new Float64Array(bins);
    const fit = new Float64Array(n_mels);
    const whole = low.map((share, bin) => Math.max(share + high[bin], 1e-12));
    const backLow = low.map((share, bin) => share / whole[bin]);
    const backHigh = high.map((share, bin) => share / whole[bin]);
    for (let t = 0; t < frames; t++) {
      for (let bin = 0; bin < bins; bin++) { // the bands' own values, spread smoothly
        const m = band[bin], a = low[bin] / top[m], b = high[bin] / top[m + 1];
        const spread = a * mel[t * n_mels + m] / sum[m] + b * mel[t * n_mels + m + 1] / sum[m + 1];
        power[bin] = spread / Math.max(a + b, 1e-9);
      }
      for (let step = 0; step < 50; step++) {
        fit.fill(0);
        for (let bin = 0; bin < bins; bin++) {
          fit[band[bin]] += low[bin] * power[bin];
          fit[band[bin] + 1] += high[bin] * power[bin];
        }
        for (let m = 0; m < n_mels; m++) fit[m] = mel[t * n_mels + m] / Math.max(fit[m], 1e-30);
        for (let bin = 0; bin < bins; bin++) {
          power[bin] *= backLow[bin] * fit[band[bin]] + backHigh[bin] * fit[band[bin] + 1];
        }
      }
      for (let bin = 0; bin < bins; bin++) out[t * bins + bin] = Math.sqrt(power[bin]);
    }
    return out;
  }

  /** Full product of two unsigned whole numbers of 32 bits: [high half, low half]. */
  function multiply(a, b) {
    const lower = (a & 0xffff) * b, upper = (a >>> 16) * b + Math.floor(lower / 65536); // below 2^49
    return [Math.floor(upper / 65536), ((upper % 65536) * 65536 + (lower & 0xffff)) >>> 0];
  }

  /** The generator Philox 4x64-10 (Salmon et al. 2011) with key 0, as numpy has it: the four numbers
   * in [0, 1) of block `count`, written to `out` at `at`. */
  function philox(count, out, at) {
    // Numbers of 64 bits as [high, low] halves: c0, c1, c2, c3 and the two keys.
    let c0 = [Math.floor(count / 2 ** 32), count >>> 0], c1 = [0, 0], c2 = [0, 0], c3 = [0, 0];
    let k0 = [0, 0], k1 = [0, 0];
    const add = ([ah, al], [bh, bl]) => [(ah + bh + (al + bl > 0xffffffff ? 1 : 0)) >>> 0, (al + bl) >>> 0];
    const xor = (x, y, z) => [(x[0] ^ y[0] ^ z[0]) >>> 0, (x[1] ^ y[1] ^ z[1]) >>> 0];
    const wide = ([ah, al], [bh, bl]) => { // both halves of a product of 64 x 64 bits
      const low = multiply(al, bl), cross = multiply(ah, bl), other = multiply(al, bh), high = multiply(ah, bh);
      const middle = low[0] + cross[1] + other[1];
      const carry = Math.floor(middle / 2 ** 32) + cross[0] + other[0] + high[1];
      return [[(high[0] + Math.floor(carry / 2 ** 32)) >>> 0, carry >>> 0], [middle >>> 0, low[1]]];
    };
    for (let turn = 0; turn < 10; turn++) {
      const [h0, l0] = wide([0xd2e7470e, 0xe14c6c93], c0), [h1, l1] = wide([0xca5a8263, 0x95121157], c2);
      [c0, c1, c2, c3] = [xor(h1, c1, k0), l1, xor(h0, c3, k1), l0];
      k0 = add(k0, [0x9e3779b9, 0x7f4a7c15]);
      k1 = add(k1, [0xbb67ae85, 0x84caa73b]);
    }
    [c0, c1, c2, c3].forEach(([high, low], i) => { out[at + i] = (high * 2 ** 21 + (low >>> 11)) / 2 ** 53; });
  }

  /** Phases in radians, frames x bins, from `first` on: of each frame always the same. */
  function phases(first, frames, bins) {
    const steps = Math.ceil(bins / 4), turns = new Float64Array(4 * steps);
    const out = new Float32Array(frames * bins);
    for (let t = 0; t < frames; t++) {
      for (let k = 0; k < steps; k++) philox((first + t) * steps + k + 1, turns, 4 * k);
      for (let bin = 0; bin < bins; bin++) out[t * bins + bin] = 2 * Math.PI * turns[bin];
    }
    return out;
  }

  /** Waveform of `length` samples whose spectrogram has nearly this magnitude, frames x bins: the fast
   * Griffin-Lim algorithm (Perraudin et al. 2013; `inversion.griffin_lim`). */
  function griffinLim(target, phase, length, { n_fft, hop_length }, products, steps = 32) {
    const bins = n_fft / 2 + 1, frames = target.length / bins, half = n_fft / 2;
    const fourier = new Fourier(n_fft), { frame, re, im } = fourier, window = hann(n_fft);
    const sum = new Float64Array((frames - 1) * hop_length + n_fft), overlap = sum.slice();
    for (let t = 0; t < frames; t++) {
      for (let i = 0; i < n_fft; i++) overlap[t * hop_length + i] += window[i] ** 2;
    }
    const reached = overlap.subarray(half, half + length);
    const least = 1e-3 * reached.reduce((a, b) => Math.max(a, b), 0); // else the end would click
    const gain = Float64Array.from({ length }, (_, i) => 1 / Math.max(reached[i] || 0, least));
    const cRe = target.map((a, i) => a * Math.cos(phase[i])), cIm = target.map((a, i) => a * Math.sin(phase[i]));
    if (products.wasm) return products.griffinLim({ target, cRe, cIm, window, gain, fourier, hop_length, steps });
    const beforeRe = new Float32Array(target.length), beforeIm = new Float32Array(target.length);
    const waveform = new Float32Array(length);

    function toWaveform() {
      sum.fill(0);
      for (let t = 0; t < frames; t++) {
        re.set(cRe.subarray(t * bins, (t + 1) * bins));
        im.set(cIm.subarray(t * bins, (t + 1) * bins));
        fourier.inverse();
        for (let i = 0, at = t * hop_length; i < n_fft; i++, at++) sum[at] += frame[i] * window[i];
      }
      for (let i = 0; i < length; i++) waveform[i] = (sum[half + i] || 0) * gain[i];
      return waveform;
    }
    for (let step = 0; step < steps; step++) {
      const sound = padded(toWaveform(), half);
      for (let t = 0; t < frames; t++) {
        for (let i = 0, at = t * hop_length; i < n_fft; i++, at++) frame[i] = sound[at] * window[i];
        fourier.forward();
        for (let k = 0, i = t * bins; k < bins; k++, i++) {
          const a = re[k] - beforeRe[i] * (0.99 / 1.99), b = im[k] - beforeIm[i] * (0.99 / 1.99);
          const scale = target[i] / Math.sqrt(a * a + b * b + 1e-30);
          cRe[i] = a * scale;
          cIm[i] = b * scale;
          beforeRe[i] = re[k];
          beforeIm[i] = im[k];
        }
      }
    }
    return toWaveform();
  }

  // 04, 06 · Networks -----------------------------------------------------------------------

  /** Matrix products, where nearly all the time goes. Weights lie in strips of four outputs; with
   * `kernel.wasm`, if it was given, strips and product are in its memory. */
  class Products {
    constructor(wasm = null) {
      this.wasm = wasm && new WebAssembly.Instance(wasm).exports;
      this.used = this.wasm ? this.wasm.__heap_base.value : 0; // bytes of its memory
      this.places = {}; // what is used again: [address, floats] by name
    }

    /** Place for so many floats in the kernel's memory; returns its address. */
    take(floats) {
      const at = Math.ceil(this.used / 16) * 16, { memory } = this.wasm;
      this.used = at + 4 * floats;
      const missing = Math.ceil((this.used - memory.buffer.byteLength) / 65536);
      if (missing > 0) memory.grow(missing);
      return at;
    }

    /** A matrix to multiply by: `weight(out, i)` for `outs` outputs of `inner` inputs, and a bias. */
    matrix(outs, inner, weight, bias = new Float32Array(outs)) {
      const wide = Math.ceil(outs / 8) * 8, floats = (inner + 1) * wide; // the bias comes last
      const at = this.wasm ? this.take(floats) : 0;
      const strips = this.wasm ? this.view(at, floats) : new Float32Array(floats);
      for (let out = 0; out < outs; out++) {
        const base = (out >> 2) * 4 * inner + (out & 3);
        for (let i = 0; i < inner; i++) strips[base + 4 * i] = weight(out, i);
      }
      strips.set(bias, wide * inner);
      return { outs, inner, wide, at, strips: this.wasm ? null : strips };
    }

    view(at, floats) { return new Float32Array(this.wasm.memory.buffer, at, floats); }

    /** Rows of `x`, which begin `step` numbers apart, times the matrix: rows x outs. */
    multiply(matrix, x, rows, step = matrix.inner) {
      const { outs, inner, wide } = matrix, y = new Float32Array(rows * outs);
      for (let first = 0; first < rows; first += 64) {
        const many = Math.min(64, rows - first);
        const part = x.subarray(first * step, (first + many - 1) * step + inner);
        const found = this.wasm ? this.fast(matrix, part, many, step) : plain(matrix, part, many, step);
        if (wide === outs) y.set(found, first * outs);
        else for (let r = 0; r < many; r++) y.set(found.subarray(r * wide, r * wide + outs), (first + r) * outs);
      }
      return y;
    }

    fast({ at, inner, wide }, x, rows, step) {
      const from = this.put("rows", x), to = this.place("product", rows * wide);
      this.wasm.product(from, step, rows, inner, at, wide, to);
      return this.view(to, rows * wide);
    }

    /** A place for numbers that are needed for one call only. */
    place(name, floats) {
      const [at, room] = this.places[name] || [0, 0];
      if (floats <= room) return at;
      return (this.places[name] = [this.take(floats), floats])[0];
    }

    /** `griffinLim` from its start on; the kernel takes four frames side by side. */
    griffinLim({ target, cRe, cIm, window, gain, fourier, hop_length, steps }) {
      const { half, cos, sin, reversed } = fourier, bins = half + 1, length = gain.length;
      const groups = Math.ceil(target.length / bins / 4), size = groups * bins * 4;
      const lanes = (out, values, parts, part) => { // (groups, parts, bins, 4 frames)
        values.forEach((value, i) => {
          const t = Math.floor(i / bins);
          out[((Math.floor(t / 4) * parts + part) * bins + i % bins) * 4 + t % 4] = value;
        });
        return out;
      };
      const c = lanes(lanes(new Float32Array(2 * size), cRe, 2, 0), cIm, 2, 1);
      const places = [
        this.put("cos", cos), this.put("sin", sin), this.put("reversed", new Float32Array(reversed.buffer)),
        this.place("work", 8 * half), 4 * groups, hop_length, length, steps, this.put("window", window),
        this.put("back", window.map((w) => w / (2 * half))), this.put("gain", gain),
        this.put("target", lanes(new Float32Array(size), target, 1, 0)), this.put("c", c),
        this.put("before", new Float32Array(2 * size)),
        this.place("sound", Math.max((4 * groups - 1) * hop_length + 2 * half, length + 2 * half)),
      ];
      this.wasm.griffin_lim(half, ...places);
      return this.view(places[14] + 4 * half, length).slice();
    }

    put(name, values) {
      const at = this.place(name, values.length);
      this.view(at, values.length).set(values);
      return at;
    }
  }

  /** The product in plain JavaScript, two rows and four outputs at a time: rows x wide. */
  function plain({ strips, inner, wide }, x, rows, step) {
    const y = new Float32Array(rows * wide), bias = inner * wide;
    for (let out = 0; out < wide; out += 4) {
      for (let r = 0; r < rows; r += 2) {
        const second = r + 1 < rows ? step : 0; // an odd row at the end is computed twice
        let a0 = strips[bias + out], a1 = strips[bias + out + 1], a2 = strips[bias + out + 2], a3 = strips[bias + out + 3];
        let b0 = a0, b1 = a1, b2 = a2, b3 = a3;
        for (let i = 0, w = out * inner, at = r * step; i < inner; i++, w += 4, at++) {
          const p = x[at], q = x[at + second];
          const w0 = strips[w], w1 = strips[w + 1], w2 = strips[w + 2], w3 = strips[w + 3];
          a0 += p * w0; a1 += p * w1; a2 += p * w2; a3 += p * w3;
          b0 += q * w0; b1 += q * w1; b2 += q * w2; b3 += q * w3;
        }
        const at = r * wide + out, next = second ? at + wide : at;
        y[next] = b0; y[next + 1] = b1; y[next + 2] = b2; y[next + 3] = b3;
        y[at] = a0; y[at + 1] = a1; y[at + 2] = a2; y[at + 3] = a3;
      }
    }
    return y;
  }

  /** Values and slopes of the normal distribution from -8 to 8, 64 a unit: between them a cubic. */
  const NORMAL = Float64Array.from({ length: 2 * 1026 }, (_, i) => {
    const x = (i >> 1) / 64 - 8, density = Math.exp(-x * x / 2) / Math.sqrt(2 * Math.PI);
    if (i & 1) return density / 64;
    let sum = 0;
    for (let n = 1, term = Math.abs(x); n < 400; n += 2, term *= x * x / n) sum += term;
    return 0.5 + Math.sign(x) * Math.min(density * sum, 0.5);
  });

  /** x times the share of a normal distribution below x, in place (Hendrycks and Gimpel 2016). */
  function gelu(x) {
    for (let i = 0; i < x.length; i++) {
      if (x[i] < -8) x[i] = 0;
      else if (x[i] < 8) {
        const at = (x[i] + 8) * 64, k = Math.floor(at), u = at - k, v = 1 - u;
        const p = NORMAL[2 * k], slope = NORMAL[2 * k + 1], q = NORMAL[2 * k + 2], end = NORMAL[2 * k + 3];
        x[i] *= v * v * (p * (1 + 2 * u) + slope * u) + u * u * (q * (1 + 2 * v) - end * v);
      }
    }
    return x;
  }

  /** Layers take rows (one a frame, channels side by side) and return rows. A convolution is a matrix
   * product in which the rows of the input overlap: `size` frames of `from` channels are one row. */
  function convolution(products, weight, bias, stride = 1) {
    const [outs, from, size] = weight.shape, half = stride === 1 ? size >> 1 : 0;
    const matrix = products.matrix(outs, from * size, (out, i) => {
      return weight.data[(out * from + i % from) * size + Math.floor(i / from)];
    }, bias.data);
    return (x) => {
      const around = new Float32Array(x.length + 2 * half * from);
      around.set(x, half * from);
      return products.multiply(matrix, around, x.length / from / stride, stride * from);
    };
  }

  /** The transposed convolution whose size is its stride: each row gives `size` rows. */
  function transposed(products, weight, bias) {
    const [from, to, size] = weight.shape;
    const biases = Float32Array.from({ length: size * to }, (_, i) => bias.data[i % to]);
    const matrix = products.matrix(size * to, from, (out, i) => {
      return weight.data[(i * to + out % to) * size + Math.floor(out / to)];
    }, biases);
    return (x) => products.multiply(matrix, x, x.length / from);
  }

  /** A ConvNeXt block (Liu et al. 2022; `networks.ConvNextBlock`). */
  function block(products, part) {
    const depthwise = part("depthwise.weight"), bias = part("depthwise.bias").data;
    const [width, , size] = depthwise.shape, half = size >> 1;
    const dense = (name) => {
      const { shape: [outs, inner], data } = part(`${name}.weight`);
      return products.matrix(outs, inner, (out, i) => data[out * inner + i], part(`${name}.bias`).data);
    };
    const expand = dense("expand"), shrink = dense("shrink");
    const weight = part("norm.weight").data, offset = part("norm.bias").data, scale = part("scale").data;
    return (x) => {
      const rows = x.length / width, y = new Float32Array(x.length), sums = new Float64Array(width);
      for (let t = 0; t < rows; t++) {
        sums.set(bias);
        for (let k = 0; k < size; k++) {
          const from = (t + k - half) * width;
          if (from < 0 || from >= x.length) continue;
          for (let c = 0; c < width; c++) sums[c] += depthwise.data[c * size + k] * x[from + c];
        }
        const mean = sums.reduce((a, b) => a + b) / width; // layer normalisation
        const variance = sums.reduce((a, b) => a + (b - mean) ** 2, 0) / width;
        const over = 1 / Math.sqrt(variance + 1e-5);
        for (let c = 0; c < width; c++) y[t * width + c] = (sums[c] - mean) * over * weight[c] + offset[c];
      }
      const out = products.multiply(shrink, gelu(products.multiply(expand, y, rows)), rows);
      for (let i = 0; i < out.length; i++) out[i] = x[i] + out[i] * scale[i % width];
      return out;
    };
  }

  /** A network beside a linear map (`networks.BesideLinear`); its layers are told by their weights. */
  function besideLinear(products, tensors, name, stride, back) {
    const get = (part) => tensors.get(`${name}.${part}`);
    const last = Math.max(...tensors.names.map((full) => full.startsWith(`${name}.network.`) ? +full.split(".")[2] : -1));
    const layers = [];
    for (let i = 0; i <= last; i++) {
      const part = (which) => get(`network.${i}.${which}`);
      if (tensors.has(`${name}.network.${i}.depthwise.weight`)) layers.push(block(products, part));
      else if (!tensors.has(`${name}.network.${i}.weight`)) layers.push(gelu);
      else if (part("weight").shape[2] !== stride) layers.push(convolution(products, part("weight"), part("bias")));
      else layers.push((back ? transposed : convolution)(products, part("weight"), part("bias"), stride));
    }
    const linear = (back ? transposed : convolution)(products, get("linear.weight"), get("linear.bias"), stride);
    return (x) => {
      const y = layers.reduce((value, layer) => layer(value), x);
      return linear(x).map((value, i) => value + y[i]);
    };
  }

  // 05, 07 · Quantiser ----------------------------------------------------------------------

  /** Codebooks in a row; each codes what those before it left over (`quantize.ResidualQuantizer`). */
  class Quantizer {
    constructor(products, tensors) {
      this.products = products;
      this.codebooks = [];
      for (let i = 0; tensors.has(`bottleneck.layers.${i}.codebook`); i++) {
        const { data, shape: [size, dim] } = tensors.get(`bottleneck.layers.${i}.codebook`);
        const matrix = products.matrix(size, dim, (code, k) => data[code * dim + k]);
        const squared = Float64Array.from({ length: size }, (_, code) => {
          return Math.fround(data.subarray(code * dim, (code + 1) * dim).reduce((sum, e) => sum + e * e, 0));
        });
        this.codebooks.push({ data, size, dim, matrix, squared });
      }
      this.dim = this.codebooks[0].dim;
      this.stages = this.codebooks.length;
      // Whole numbers of a position's loudness, exact in double precision: equal on every machine.
      this.offsets = Array.from(tensors.get("bottleneck.loudness").data, (loud) => round(32 * (loud - 1.5)));
    }

    /** How many stages a position with this first code has at a quality. */
    depth(first, quality) {
      return Math.min(Math.max(Math.floor((quality + this.offsets[first]) / 8), 1), this.stages);
    }

    /** Code vector subtracted from (or added to) `dim` numbers of `rows` at `at`. */
    move(rows, at, stage, code, sign = -1) {
      const { data, dim } = this.codebooks[stage];
      for (let k = 0; k < dim; k++) rows[at + k] += sign * data[code * dim + k];
    }

    /** The nearest code of every stage: a column of codes for each row of `z`. */
    nearest(z) {
      const positions = z.length / this.dim, rest = z.slice();
      const columns = Array.from({ length: positions }, () => new Uint16Array(this.stages));
      this.codebooks.forEach(({ matrix, size, squared }, stage) => {
        const cross = this.products.multiply(matrix, rest, positions);
        columns.forEach((column, p) => {
          let best = Infinity;
          for (let code = 0; code < size; code++) {
            const distance = squared[code] - 2 * cross[p * size + code];
            if (distance < best) [best, column[stage]] = [distance, code];
          }
          this.move(rest, p * this.dim, stage, column[stage]);
        });
      });
      return columns;
    }

    /** A beam search for each row of `z`, which begins with the codes `first` and can be taken deeper
     * whenever more is wanted: what it finds at a depth does not depend on going on. */
    search(z, first) {
      return first.map((code, p) => {
        const rest = z.slice(p * this.dim, (p + 1) * this.dim);
        this.move(rest, 0, 0, code);
        return { rest, paths: [[code]], best: [[code]] };
      });
    }

    /** Take each search to its depth. `best[d - 1]` is the best column of d codes. */
    deepen(searches, depths, beam = 8) {
      for (let stage = 1; stage < this.stages; stage++) {
        const open = searches.filter(({ best }, p) => depths[p] > stage && best.length === stage);
        for (let i = 0; i < open.length; i += 32) this.extend(open.slice(i, i + 32), stage, beam);
      }
    }

    /** One stage: every path tries every code, the `beam` nearest sums go on (`extend_paths`). */
    extend(searches, stage, beam) {
      const { matrix, size, squared, dim } = this.codebooks[stage];
      const paths = searches[0].paths.length, rows = new Float32Array(searches.length * paths * dim);
      searches.forEach(({ rest }, p) => rows.set(rest, p * paths * dim));
      const cross = this.products.multiply(matrix, rows, searches.length * paths);
      const kept = Math.min(beam, paths * size), far = new Float64Array(kept), from = new Uint32Array(kept);
      searches.forEach((search, p) => {
        far.fill(Infinity);
        for (let path = 0; path < paths; path++) {
          const begin = (p * paths + path) * dim;
          let length = 0;
          for (let k = begin; k < begin + dim; k++) length += rows[k] * rows[k];
          for (let code = 0, at = (p * paths + path) * size; code < size; code++, at++) {
            const distance = length - 2 * cross[at] + squared[code];
            if (!(distance < far[kept - 1])) continue;
            let place = kept - 1; // the list stays sorted, best first
            for (; place > 0 && distance < far[place - 1]; place--) {
              far[place] = far[place - 1];
              from[place] = from[place - 1];
            }
            far[place] = distance;
            from[place] = path * size + code;
          }
        }
        const before = search.paths;
        search.rest = new Float32Array(kept * dim);
        search.paths = Array.from(from, (number, i) => {
          const path = Math.floor(number / size), code = number % size, begin = (p * paths + path) * dim;
          search.rest.set(rows.subarray(begin, begin + dim), i * dim);
          this.move(search.rest, i * dim, stage, code);
          return [...before[path], code];
        });
        search.best.push(search.paths[0]);
      });
    }

    /** The sum of the code vectors of each column: positions x dim. */
    decode(columns) {
      const z = new Float32Array(columns.length * this.dim);
      columns.forEach((column, p) => column.forEach((code, stage) => this.move(z, p * this.dim, stage, code, 1)));
      return z;
    }
  }

  // 09 · Entropy coder ----------------------------------------------------------------------

  const TOTAL = 2 ** 24, WORD = 32n, FULL = (1n << 64n) - 1n;

  /** Weights as frequencies that sum to TOTAL: where each code's interval begins, K + 1 numbers. */
  function intervals(weights) {
    const size = weights.length, starts = new Uint32Array(size + 1);
    let sum = 0, heaviest = 0, missing = TOTAL;
    for (let k = 0; k < size; k++) {
      sum += weights[k];
      if (weights[k] > weights[heaviest]) heaviest = k;
    }
    for (let k = 0; k < size; k++) {
      starts[k + 1] = 1 + Math.floor(weights[k] * (TOTAL - size) / sum);
      missing -= starts[k + 1];
    }
    starts[heaviest + 1] += missing;
    for (let k = 0; k < size; k++) starts[k + 1] += starts[k];
    return starts;
  }

  /** The weight of a code whose logit lies so far below the highest: 32 steps halve it, 736 leave nothing. */
  const FALLEN = Array.from({ length: 737 }, (_, below) => Math.round(2 ** (22 - below % 32 / 32)) >> (below >> 5));

  /** The network that prices the codes of a stage by what surrounds them, in whole numbers (`context.Net`). */
  class Net {
    constructor(tensors, stage) {
      const get = (name) => tensors.get(`tables.net_${stage}.${name}`);
      const { data, shape: [slots, size, hidden] } = get("tables"), windows = get("windows").data;
      Object.assign(this, { size, hidden, tables: data, bias: get("bias").data, unit: 2 ** get("shift").data[0] });
      this.windows = Array.from({ length: slots }, (_, i) => windows.subarray(3 * i, 3 * i + 3));
      const out = get("out").data; // of each code, a number for each hidden one
      this.out = Int8Array.from(out, (_, i) => out[i % size * hidden + Math.floor(i / size)]); // the other way about
      this.outBias = get("out_bias").data;
    }

    /** The intervals of all codes at position `p` of the columns. */
    at(columns, p) {
      const { size, hidden, tables, out } = this, total = Float64Array.from(this.bias);
      this.windows.forEach(([row, first, last], slot) => {
        const sum = new Float64Array(hidden);
        let present = 0;
        for (let q = Math.max(p + first, 0); q <= Math.min(p + last, columns.length - 1); q++) {
          if (columns[q].length <= row) continue;
          const from = (slot * size + columns[q][row]) * hidden;
          for (let i = 0; i < hidden; i++) sum[i] += tables[from + i];
          present++;
        }
        for (let i = 0; i < hidden; i++) total[i] += Math.floor(sum[i] / Math.max(present, 1));
      });
      const weights = Float64Array.from(this.outBias); // first as logits
      for (let i = 0; i < hidden; i++) {
        for (let code = 0; code < size && total[i] > 0; code++) weights[code] += out[i * size + code] * total[i];
      }
      let most = -Infinity;
      for (let code = 0; code < size; code++) {
        weights[code] = Math.floor(weights[code] / this.unit);
        most = Math.max(most, weights[code]);
      }
      const least = Math.floor(2 ** 18 / size);
      for (let code = 0; code < size; code++) weights[code] = FALLEN[Math.min(most - weights[code], 736)] + least;
      return intervals(weights);
    }
  }

  /** A range encoder (Martin 1979), with the same finish as `entropy._shortest`. */
  class RangeEncoder {
    constructor() {
      Object.assign(this, { low: 0n, width: FULL, words: [] });
    }

    put(table, code) {
      const step = this.width >> 24n;
      this.low += step * BigInt(table[code]);
      this.width = step * BigInt(table[code + 1] - table[code]);
      if (this.low > FULL) this.low = this.carry(this.low);
      if (this.width >> WORD === 0n) {
        this.words.push(Number(this.low >> WORD));
        this.low = this.low << WORD & FULL;
        this.width <<= WORD;
      }
    }

    /** A number that has outgrown 64 bits, without what goes over into the words written before. */
    carry(number) {
      for (let i = this.words.length - 1; ++this.words[i] > 0xffffffff; i--) this.words[i] = 0;
      return number & FULL;
    }

    /** The bytes. Of the numbers in the interval, one that ends in as many zero bytes as possible. */
    finish() {
      const { low, width, words } = this;
      let number = low, zeros = 8;
      for (; ; zeros--) {
        const unit = 1n << BigInt(8 * zeros);
        number = (low + unit - 1n) / unit * unit;
        if (number < low + width) break;
      }
      if (number > FULL) number = this.carry(number);
      words.push(Number(number >> WORD), Number(number & 0xffffffffn));
      const bytes = new DataView(new ArrayBuffer(4 * words.length));
      words.forEach((word, i) => bytes.setUint32(4 * i, word));
      return new Uint8Array(bytes.buffer, 0, 4 * words.length - zeros);
    }
  }

  /** Tables of frequencies, and the range coder that uses them (`entropy.Tables`). */
  class Tables {
    constructor(tensors, stages) {
      this.context = tensors.get("tables.context").data;
      const { data, shape: [groups, size] } = tensors.get("tables.stage_0");
      this.first = Array.from({ length: groups }, (_, g) => intervals(data.subarray(g * size, (g + 1) * size)));
      this.later = [];
      for (let i = 1; i < stages; i++) this.later.push(intervals(tensors.get(`tables.stage_${i}`).data));
      const most = this.first.flatMap((table) => Array.from(table.subarray(1), (end, k) => end - table[k]));
      this.nets = [];
      while (tensors.has(`tables.net_${this.nets.length}.out`)) this.nets.push(new Net(tensors, this.nets.length));
      this.version = this.nets.length ? 3 : 2;
      this.leastBits = this.nets.length ? 0.08 : Math.max(24 - Math.log2(most.reduce((a, b) => Math.max(a, b))), 0.001);
    }

    /** The table for a stage's code at position `p`; the codes written before it are known. */
    table(columns, stage, p) {
      if (stage < this.nets.length) return this.nets[stage].at(columns, p);
      return stage ? this.later[stage - 1] : this.first[p ? this.context[columns[p - 1][0]] : 0];
    }

    /** Ideal length in bits of each code of each column. */
    cost(columns) {
      return columns.map((column, p) => Array.from(column, (code, stage) => {
        const table = this.table(columns, stage, p);
        return 24 - Math.log2(table[code + 1] - table[code]);
      }));
    }

    /** Bytes of the codes: stage by stage, in each for the positions that have it. */
    encode(columns) {
      const coder = new RangeEncoder();
      for (let stage = 0; stage <= this.later.length; stage++) {
        columns.forEach((column, p) => {
          if (column.length > stage) coder.put(this.table(columns, stage, p), column[stage]);
        });
      }
      return coder.finish();
    }

    /** The inverse of `encode`; `depth(first)` tells how many codes a column has. */
    decode(data, positions, depth) {
      if (positions * this.leastBits > 8 * data.length + 64) { // before any memory is taken
        throw new Error(`${data.length} bytes of codes cannot hold ${positions} positions: the file is not valid`);
      }
      const again = new RangeEncoder(); // has to come to the same bytes
      let low = 0n, width = FULL, point = 0n, next = 0;
      const read = (bytes) => {
        for (let i = 0; i < bytes; i++) point = (point << 8n | BigInt(data[next++] || 0)) & FULL;
      };
      read(8);
      const take = (table) => {
        const step = width >> 24n, number = Number(((point - low) & FULL) / step);
        if (number >= TOTAL) throw new Error("its codes cannot be decoded: the file is not valid");
        let code = 0, end = table.length - 1; // the code in whose interval the number lies
        while (end - code > 1) {
          const middle = (code + end) >> 1;
          if (table[middle] <= number) code = middle;
          else end = middle;
        }
        low = (low + step * BigInt(table[code])) & FULL;
        width = step * BigInt(table[code + 1] - table[code]);
        if (width >> WORD === 0n) {
          low = low << WORD & FULL;
          width <<= WORD;
          read(4);
        }
        again.put(table, code);
        return code;
      };
      const columns = [];
      for (let p = 0; p < positions; p++) {
        const code = take(this.table(columns, 0, p));
        columns.push(new Uint16Array(depth(code)));
        columns[p][0] = code;
      }
      for (let stage = 1; stage <= this.later.length; stage++) {
        columns.forEach((column, p) => {
          if (column.length > stage) column[stage] = take(this.table(columns, stage, p));
        });
      }
      const bytes = again.finish();
      if (bytes.length !== data.length || bytes.some((byte, i) => byte !== data[i])) {
        throw new Error("its codes have bytes too many or too few: the file is not valid");
      }
      return columns;
    }
  }

  // 10 · File -------------------------------------------------------------------------------

  const RATES = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000], MOST_SAMPLES = 2 ** 35 - 1;

  /** CRC-16/XMODEM. */
  function crc(bytes) {
    let sum = 0;
    for (const byte of bytes) {
      sum ^= byte << 8;
      for (let i = 0; i < 8; i++) sum = (sum << 1 ^ (sum & 0x8000 ? 0x1021 : 0)) & 0xffff;
    }
    return sum;
  }

  /** A whole number, 7 bits a byte, low bits first. */
  function varint(value) {
    const bytes = [];
    for (; value >= 128; value = Math.floor(value / 128)) bytes.push(value % 128 + 128);
    return [...bytes, value];
  }

  /** Bytes of a file that are not codes. */
  const overhead = (samples, version) => (version === 3 ? 8 : 10) + varint(samples).length;

  /** The bytes of a file (`packing.pack`). */
  function pack({ sampleRate, identity, quality, gain, samples, payload, version = 2 }) {
    const magic = version === 3 ? [0x56] : [0x56, 0x51, 0x4c];
    const head = [...magic, version + 16 * RATES.indexOf(sampleRate), ...identity, quality, round(2 * gain) + 127];
    const body = Uint8Array.from([...head, ...varint(samples), ...payload]), sum = crc(body);
    return Uint8Array.from([...body, sum >> 8, sum & 255]);
  }

  /** The inverse; an Error, in one sentence, for anything that `pack` did not write. */
  function unpack(data) {
    const at = data[1] === 0x51 && data[2] === 0x4c ? 3 : 1, version = data[at] & 15; // where the version is
    if (data[0] !== 0x56 || at === 1 && version < 3) {
      throw new Error("this is not a .vql file (it does not begin like one): compress one first");
    }
    const end = data.length - 2;
    if (data.length < at + 8 || crc(data.subarray(0, end)) !== data[end] * 256 + data[end + 1]) {
      throw new Error("the .vql file is damaged or cut off (its checksum is wrong): copy it again");
    }
    if (version !== (at === 3 ? 2 : 3)) {
      throw new Error(`this .vql file has format version ${version}, not 2 or 3: ` +
        (version > 2 ? "a newer vqlab wrote it" : "compress the sound again"));
    }
    let samples = 0, start = at + 5, more = true;
    for (let place = 0; more && place < 5 && start < data.length; place++, start++) {
      samples += (data[start] & 127) * 2 ** (7 * place);
      more = data[start] >= 128;
    }
    const file = {
      sampleRate: RATES[data[at] >> 4], identity: data.slice(at + 1, at + 3), quality: data[at + 3],
      gain: (data[at + 4] - 127) / 2, samples, payload: data.slice(start, end), version,
    };
    const whole = !more && file.sampleRate && samples >= 1 && samples <= MOST_SAMPLES && start <= end;
    if (!whole || varint(samples).length !== start - at - 5) {
      throw new Error("the .vql file's header is not valid (sample rate or length): compress the sound again");
    }
    return file;
  }

  /** A file that web/export.py wrote, out of its gzip. */
  async function unzipped(file) {
    const stream = new Blob([file]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  /** Tensors of a safetensors file; those of 8 bits come with the size of a step for each row. */
  class Tensors {
    constructor(bytes) {
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
      const length = Number(view.getBigUint64(0, true));
      this.entries = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
      this.metadata = this.entries.__metadata__ || {};
      delete this.entries.__metadata__;
      this.names = Object.keys(this.entries);
      this.bytes = bytes.subarray(8 + length);
    }

    has(name) { return name in this.entries; }

    /** {data, shape}: floats as Float32Array, whole numbers as they are. */
    get(name) {
      if (!this.has(name)) throw new Error(`the weights have no ${name}: export them again with web/export.py`);
      const { dtype, shape, data_offsets: [from, to] } = this.entries[name];
      const raw = this.bytes.slice(from, to).buffer;
      if (dtype === "F16") {
        const bits = new Uint16Array(raw), data = new Float32Array(bits.length);
        for (let i = 0; i < data.length; i++) data[i] = HALF[bits[i]];
        return { shape, data };
      }
      if (dtype === "I8" && this.has(`${name}.step`)) {
        const steps = this.get(`${name}.step`).data, data = Float32Array.from(new Int8Array(raw));
        for (let i = 0, each = data.length / steps.length; i < data.length; i++) data[i] *= steps[Math.floor(i / each)];
        return { shape, data };
      }
      const kinds = { F32: Float32Array, I32: Int32Array, I16: Int16Array, I8: Int8Array, U8: Uint8Array };
      return { shape, data: new kinds[dtype](raw) };
    }
  }

  /** The value of every number of 16 bits: sign, 5 bits of exponent, 10 of fraction. */
  const HALF = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = bits >> 10 & 31, fraction = bits & 1023;
    const size = exponent ? (1 + fraction / 1024) * 2 ** (exponent - 15) : fraction * 2 ** -24;
    HALF[bits] = bits >> 15 ? -size : size;
  }

  // The codec ---------------------------------------------------------------------------------

  /** A codec from the files that web/export.py writes, unzipped: `sound` decodes, with `voice` it encodes too.
   * Codes are columns: for each position a list of its codes, as long as the position is deep. */
  class Codec {
    constructor(sound, wasm = null) {
      const tensors = new Tensors(sound), about = JSON.parse(tensors.metadata.codec);
      Object.assign(this, { features: about.features, config: about.features.config, contrast: about.contrast, level: about.level_db });
      this.identity = Uint8Array.from(tensors.metadata.identity.match(/../g), (hex) => parseInt(hex, 16));
      this.stride = tensors.get("decoder.linear.weight").shape[2]; // frames in a position
      this.hop = this.stride * this.config.hop_length; // samples in a position
      this.sampleRate = this.config.sample_rate;
      this.products = new Products(wasm);
      this.bank = filterBank(this.config);
      this.quantizer = new Quantizer(this.products, tensors);
      this.tables = new Tables(tensors, this.quantizer.stages);
      this.decoder = besideLinear(this.products, tensors, "decoder", this.stride, true);
      this.phases = new Float32Array(0); // those that were needed so far, from the first frame on
    }

    addVoice(voice) {
      this.encoder = besideLinear(this.products, new Tensors(voice), "encoder", this.stride, false);
    }

    /** Nominal kbit/s of the first stage alone: less cannot be asked for. */
    get lowest() {
      return this.sampleRate / this.hop * Math.log2(this.quantizer.codebooks[0].size) / 1000;
    }

    positions(samples) { return Math.ceil(Math.ceil(samples / this.config.hop_length) / this.stride); }

    /** Positions in blocks of 10 s that see 2.5 s beyond their ends (`Codec._blocks`). */
    * blocks(samples) {
      const positions = this.positions(samples), each = round(10 * this.sampleRate / this.hop);
      const context = round(2.5 * this.sampleRate / this.hop);
      for (let own = 0; own < positions; own += each) {
        const start = Math.max(0, own - context), end = Math.min(own + each, positions);
        yield { start, stop: Math.min(end + context, positions), own, end };
      }
    }

    /** Everything about a sound that no rate changes: level, network, nearest codes and their bits. */
    analyse(samples) {
      if (!samples.length || !samples.every(Number.isFinite)) {
        throw new Error("the sound is empty, or holds NaN or infinity: record it again");
      }
      const present = loudest(samples, this.sampleRate);
      const silent = this.level === null || present === -Infinity;
      const gain = silent ? 0 : Math.min(Math.max(round(2 * (this.level - present)) / 2, -63.5), 63.5);
      const factor = Math.fround(10 ** (gain / 20)), { dim } = this.quantizer, { n_mels } = this.config;
      const z = new Float32Array(this.positions(samples.length) * dim);
      for (const { start, stop, own, end } of this.blocks(samples.length)) {
        const piece = samples.slice(start * this.hop, stop * this.hop).map((x) => x * factor);
        const x = analyse(piece, this.features, this.bank);
        const whole = new Float32Array((stop - start) * this.stride * n_mels);
        whole.set(x); // the last frame fills up the last position
        for (let at = x.length; at < whole.length; at += n_mels) whole.copyWithin(at, at - n_mels, at);
        const found = this.encoder(whole);
        z.set(found.subarray((own - start) * dim, (end - start) * dim), own * dim);
      }
      const nearest = this.quantizer.nearest(z), first = nearest.map((column) => column[0]);
      const searches = this.quantizer.search(z, first), prices = this.tables.cost(nearest);
      return { samples: samples.length, gain, prices, first, searches };
    }

    /** The sound at a quality: what a file holds. */
    atQuality({ samples, gain, first, searches }, quality) {
      const depths = first.map((code) => this.quantizer.depth(code, quality));
      this.quantizer.deepen(searches, depths);
      const columns = searches.map(({ best }, p) => Uint16Array.from(best[depths[p] - 1]));
      return { columns, samples, gain, quality };
    }

    /** The file of an analysed sound with hardly less than `kbps`, header included (`Codec.compress`). */
    compress(analysis, kbps) {
      if (!(this.lowest * 1000 <= kbps * 1000 + 1e-6)) {
        throw new Error(`this model has no rate of ${kbps} kbit/s: ask for ${this.lowest} or more`);
      }
      const { samples, prices, first } = analysis, most = 1000 * kbps * samples / this.sampleRate / 8;
      const { version } = this.tables;
      let low = 0, high = this.quantizer.stages > 1 ? 255 : 0;
      while (low < high) { // the highest quality whose nearest codes fit, with a byte to spare
        const middle = (low + high + 1) >> 1;
        let bits = 0;
        prices.forEach((column, p) => {
          const depth = this.quantizer.depth(first[p], middle);
          for (let stage = 0; stage < depth; stage++) bits += column[stage];
        });
        if (overhead(samples, version) + bits / 8 <= most + 1) low = middle;
        else high = middle - 1;
      }
      for (let quality = low; ; quality--) {
        const bytes = this.write(this.atQuality(analysis, quality));
        if (bytes.length <= most || quality === 0) return bytes;
      }
    }

    /** The bytes of a file. */
    write({ columns, samples, gain, quality }) {
      const payload = this.tables.encode(columns), { sampleRate, identity } = this, { version } = this.tables;
      return pack({ sampleRate, identity, quality, gain, samples, payload, version });
    }

    /** The inverse; an Error, in one sentence, for bytes that this codec did not write. */
    read(bytes) {
      const file = unpack(bytes), hex = (two) => Array.from(two, (x) => x.toString(16).padStart(2, "0")).join("");
      if (hex(file.identity) !== hex(this.identity) || file.version !== this.tables.version) {
        throw new Error(`this file was made with other weights (identity ${hex(file.identity)}, version ` +
          `${file.version}) than these (${hex(this.identity)}, ${this.tables.version}): open it with the codec it was compressed with`);
      }
      const { samples, gain, quality, payload } = file, depth = (code) => this.quantizer.depth(code, quality);
      return { columns: this.tables.decode(payload, this.positions(samples), depth), samples, gain, quality };
    }

    /** Edited columns with the depths that a file of this quality gives them. Where a depth has to change,
     * the codes behind the first are searched for again, so that the sum stays near what it was. */
    refit(columns, quality) {
      return columns.map((column) => {
        const depth = this.quantizer.depth(column[0], quality);
        if (depth === column.length) return column;
        const search = this.quantizer.search(this.quantizer.decode([column]), [column[0]]);
        this.quantizer.deepen(search, [depth]);
        return Uint16Array.from(search[0].best[depth - 1]);
      });
    }

    /** Mel power, frames x n_mels, that the decoder makes of columns. */
    power(columns) {
      const { n_mels } = this.config, { mean, std } = this.features;
      let x = this.decoder(this.quantizer.decode(columns));
      if (this.contrast) x = sharpen(x, n_mels, this.contrast);
      return x.map((value) => 10 ** ((value * std + mean) / 10));
    }

    /** The sound of a file in pieces, one after the other (`Codec.decode_blocks`). */
    * decodeBlocks({ columns, samples, gain }) {
      const { hop_length, n_mels } = this.config;
      for (const { start, stop, own, end } of this.blocks(samples)) {
        const length = Math.min(stop * this.hop, samples) - start * this.hop;
        const frames = Math.floor(length / hop_length) + 1, known = Math.ceil(length / hop_length);
        const power = new Float32Array(frames * n_mels);
        power.set(this.power(columns.slice(start, stop)).subarray(0, known * n_mels));
        if (frames > known) power.copyWithin(known * n_mels, (known - 1) * n_mels, known * n_mels);
        const waveform = this.synthesise(power, frames, start * this.stride, length);
        const factor = 10 ** (gain / 20), first = (own - start) * this.hop;
        yield waveform.subarray(first, Math.min((end - start) * this.hop, length)).map((x) => x / factor);
      }
    }

    /** Waveform of mel power, frames x n_mels; phases are those of the frames' places in the sound. */
    synthesise(power, frames, first, length) {
      const { bins } = this.bank, known = this.phases.length / bins;
      let phase;
      if (first + frames <= 2000) { // kept, because an edited word needs the same ones again
        if (first + frames > known) {
          const more = phases(known, first + frames - known, bins), all = new Float32Array((first + frames) * bins);
          all.set(this.phases);
          all.set(more, this.phases.length);
          this.phases = all;
        }
        phase = this.phases.subarray(first * bins, (first + frames) * bins);
      } else phase = phases(first, frames, bins);
      return griffinLim(melToLinear(power, frames, this.bank), phase, length, this.config, this.products);
    }

    /** The whole sound of a file. */
    decode(file) {
      const out = new Float32Array(file.samples);
      let at = 0;
      for (const piece of this.decodeBlocks(file)) {
        out.set(piece, at);
        at += piece.length;
      }
      return out;
    }
  }

  return { Codec, unzipped, unpack, overhead, loudest, analyse };
}

if (typeof module !== "undefined") module.exports = vqlabCodec();
