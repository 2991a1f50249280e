/* What takes nearly all the time in codec.js, four numbers at a time: matrix products and Griffin-Lim.
 * codec.js has both in plain JavaScript too (`plain`, `griffinLim`), for browsers and policies that
 * allow no WebAssembly. `make kernel` builds it, with Debian's packages clang and lld. */
#include <wasm_simd128.h>

typedef v128_t V;
#define ADD wasm_f32x4_add
#define SUB wasm_f32x4_sub
#define MUL wasm_f32x4_mul

/* y (rows, outs) = x (rows that begin `step` numbers apart, inner) times strips + bias. `outs` is a
 * multiple of 8; a strip holds, for each of `inner` inputs, the weights of four outputs; the bias
 * lies behind the last strip. */
__attribute__((export_name("product"))) void product(
    const float *x, int step, int rows, int inner, const float *strips, int outs, float *y) {
  const float *bias = strips + inner * outs;
  for (int out = 0; out < outs; out += 8) {
    const float *left = strips + out * inner, *right = left + 4 * inner;
    const V bias_left = wasm_v128_load(bias + out), bias_right = wasm_v128_load(bias + out + 4);
    for (int row = 0; row < rows; row += 4) { /* rows missing at the end are the last one again */
      const float *in[4];
      V a[4], b[4];
      for (int k = 0; k < 4; k++) {
        in[k] = x + step * (row + k < rows ? row + k : rows - 1);
        a[k] = bias_left;
        b[k] = bias_right;
      }
      for (int i = 0; i < inner; i++) {
        const V w = wasm_v128_load(left + 4 * i), v = wasm_v128_load(right + 4 * i);
        for (int k = 0; k < 4; k++) {
          const V value = wasm_v128_load32_splat(in[k] + i);
          a[k] = ADD(a[k], MUL(value, w));
          b[k] = ADD(b[k], MUL(value, v));
        }
      }
      for (int k = 0; k < 4 && row + k < rows; k++) {
        wasm_v128_store(y + (row + k) * outs + out, a[k]);
        wasm_v128_store(y + (row + k) * outs + out + 4, b[k]);
      }
    }
  }
}

/* Tables for transforms of 2 * half real numbers, as codec.js has them. */
typedef struct {
  int half;
  const float *cosine, *sine;
  const int *reversed;
  V *a, *b; /* four transforms at once, real and imaginary parts */
} Fourier;

static void butterflies(const Fourier *f) {
  V *a = f->a, *b = f->b;
  for (int size = 1; size < f->half; size *= 2) {
    const int turn = f->half / size;
    for (int from = 0; from < f->half; from += 2 * size) {
      for (int i = 0; i < size; i++) {
        V *p = a + from + i, *q = b + from + i;
        const V wr = wasm_f32x4_splat(f->cosine[i * turn]), wi = wasm_f32x4_splat(f->sine[i * turn]);
        const V yr = ADD(MUL(p[size], wr), MUL(q[size], wi)), yi = SUB(MUL(q[size], wr), MUL(p[size], wi));
        p[size] = SUB(p[0], yr);
        q[size] = SUB(q[0], yi);
        p[0] = ADD(p[0], yr);
        q[0] = ADD(q[0], yi);
      }
    }
  }
}

/* Spectra of four frames, (half + 1) times re, and so many im behind, to samples: even ones in `a`,
 * odd ones with the other sign in `b`, all times 2 * half. */
static void inverse(const Fourier *f, const V *re, const V *im) {
  const V none = wasm_f32x4_splat(0);
  for (int k = 0, m = f->half; k < f->half; k++, m--) {
    const V ik = k ? im[k] : none, ikm = k ? im[m] : none;
    const V c = wasm_f32x4_splat(f->cosine[k]), s = wasm_f32x4_splat(f->sine[k]);
    const V dr = SUB(re[k], re[m]), di = ADD(ik, ikm);
    f->a[f->reversed[k]] = SUB(ADD(re[k], re[m]), ADD(MUL(dr, s), MUL(di, c)));
    f->b[f->reversed[k]] = SUB(SUB(ikm, ik), SUB(MUL(dr, c), MUL(di, s)));
  }
  butterflies(f);
}

static void to_waveform(const Fourier *f, int frames, int hop, int length, const float *window,
                        const float *gain, const V *c, float *sound) {
  const int n = 2 * f->half, bins = f->half + 1;
  for (int i = 0; i < (frames - 1) * hop + n; i++) sound[i] = 0;
  for (int t = 0; t < frames; t += 4) {
    const V *re = c + t / 4 * 2 * bins;
    inverse(f, re, re + bins);
    for (int lane = 0; lane < 4; lane++) {
      const float *a = (const float *)f->a + lane, *b = (const float *)f->b + lane;
      float *at = sound + (t + lane) * hop;
      for (int k = 0; k < f->half; k++) {
        at[2 * k] += a[4 * k] * window[2 * k];
        at[2 * k + 1] -= b[4 * k] * window[2 * k + 1];
      }
    }
  }
  for (int i = 0; i < length; i++) sound[f->half + i] *= gain[i];
}

/* The window is divided by n beforehand for the way back, so `window` and `back` differ. `target` is
 * (frames / 4, bins) of V; `c` and `before` are (frames / 4, 2, bins); `frames` is a multiple of 4.
 * The sound ends up in `sound` from half a window on. */
__attribute__((export_name("griffin_lim"))) void griffin_lim(
    int half, const float *cosine, const float *sine, const int *reversed, V *work, int frames, int hop,
    int length, int steps, const float *window, const float *back, const float *gain, const V *target,
    V *c, V *before, float *sound) {
  const Fourier f = {half, cosine, sine, reversed, work, work + half};
  const int bins = half + 1, end = (frames - 1) * hop + 2 * half;
  const V quick = wasm_f32x4_splat(0.99f / 1.99f), least = wasm_f32x4_splat(1e-30f), halved = wasm_f32x4_splat(0.5f);
  for (int step = 0; step < steps; step++) {
    to_waveform(&f, frames, hop, length, back, gain, c, sound);
    for (int i = half + length; i < end; i++) sound[i] = 0;
    for (int i = 0; i < half; i++) sound[i] = 0;
    for (int i = 1; i <= half && length > half; i++) { /* reflected at both ends */
      sound[half - i] = sound[half + i];
      sound[half + length - 1 + i] = sound[half + length - 1 - i];
    }
    for (int t = 0; t < frames; t += 4) {
      for (int lane = 0; lane < 4; lane++) {
        float *a = (float *)f.a + lane, *b = (float *)f.b + lane;
        const float *at = sound + (t + lane) * hop;
        for (int k = 0; k < half; k++) {
          a[4 * reversed[k]] = at[2 * k] * window[2 * k];
          b[4 * reversed[k]] = at[2 * k + 1] * window[2 * k + 1];
        }
      }
      butterflies(&f);
      V *re = c + t / 4 * 2 * bins, *old = before + t / 4 * 2 * bins;
      for (int k = 0; k <= half; k++) {
        const int m = half - k, i = k == half ? 0 : k, j = k == 0 ? 0 : m;
        const V cs = wasm_f32x4_splat(k == half ? -1 : cosine[k]), sn = wasm_f32x4_splat(k == half ? 0 : sine[k]);
        const V er = ADD(f.a[i], f.a[j]), ei = SUB(f.b[i], f.b[j]), dr = ADD(f.b[i], f.b[j]), di = SUB(f.a[j], f.a[i]);
        const V xr = MUL(halved, ADD(er, ADD(MUL(cs, dr), MUL(sn, di)))), xi = MUL(halved, ADD(ei, SUB(MUL(cs, di), MUL(sn, dr))));
        const V p = SUB(xr, MUL(old[k], quick)), q = SUB(xi, MUL(old[bins + k], quick));
        const V size = wasm_f32x4_sqrt(ADD(ADD(MUL(p, p), MUL(q, q)), least));
        const V scale = wasm_f32x4_div(target[t / 4 * bins + k], size);
        re[k] = MUL(p, scale);
        re[bins + k] = MUL(q, scale);
        old[k] = xr;
        old[bins + k] = xi;
      }
    }
  }
  to_waveform(&f, frames, hop, length, back, gain, c, sound);
}
