"""Spectrogram to waveform: which waveform has this magnitude?

A spectrogram has lost the phase, and a mel spectrogram also the detail within each band. The two
losses are undone apart. `mel_to_linear` spreads each band over the bins without going below
zero: non-negative least squares (NNLS; Lawson & Hanson 1974, *Solving Least Squares Problems*) in
spirit, with a measure of fit that heeds quiet bands as well (Lee & Seung 2001).
`griffin_lim` finds a phase: the one idea is to go to and fro between "has this magnitude" and
"is the STFT of a waveform" (Griffin & Lim 1984, *Signal estimation from modified short-time Fourier
transform*), with a step that overshoots in the fast version (Perraudin, Balazs & Søndergaard 2013,
*A fast Griffin-Lim algorithm*). `gradient` instead moves the samples themselves down the
gradient of the error (Decorsière, Søndergaard, MacDonald & Dau 2015, *Inversion of auditory
spectrograms, traditional spectrograms, and other envelope representations*).

Notebook: 03
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from . import spectral
from .spectral import MelConfig

Objective = Callable[[Tensor], Tensor]
_NNLS_STEPS = 50


@torch.no_grad()
def griffin_lim(
    magnitude: Tensor,
    config: MelConfig,
    *,
    n_iter: int = 32,
    momentum: float = 0.99,
    length: int | None = None,
    seed: int = 0,
    phase: Tensor | None = None,
) -> Tensor:
    """Waveform whose STFT has nearly this magnitude (Griffin & Lim 1984; Perraudin et al. 2013).

    The phase starts at random; every sound of a batch gets the same start, and so the result it
    gets alone.

    magnitude : Tensor (..., bins, frames), not below 0 (no power, no decibels)
    momentum  : Perraudin's alpha; 0 is the plain algorithm, 0.99 the fast one
    length    : samples wanted, (frames - 1) * hop_length ... frames * hop_length - 1; without it
                the lower of these
    phase     : Tensor (bins, frames), radians to start from; None draws them at random by `seed`
    returns   : Tensor (..., samples)

    Raises ValueError for another shape, negative or NaN values, or options out of range.
    """
    spectral.check_shape(magnitude, config.bins, "bins")
    _check_not_negative(magnitude, "A magnitude", "10 ** (db / 20)")
    if not 0.0 <= momentum <= 1.0:
        raise ValueError(f"momentum must lie in 0 ... 1 (0.99 is usual), not {momentum!r}.")
    length = _checked_length(magnitude, config, length, n_iter)
    n_fft, hop = config.n_fft, config.hop_length
    frames = magnitude.shape[-1]
    window = torch.hann_window(n_fft, dtype=magnitude.dtype, device=magnitude.device)
    # torch.stft and torch.istft would do; working on rows of frames, with the window's overlap
    # summed once instead of in every step, is faster (benchmarks/speed.py).
    target = magnitude.reshape(-1, config.bins, frames).transpose(1, 2).contiguous()
    overlap = _overlap_add(window.expand(1, frames, n_fft), window, hop, length)
    # Where hardly a window reaches (the last samples at long hops) dividing would make a click.
    gain = 1.0 / overlap.clamp(min=1e-3 * float(overlap.max()) if length else 1.0)

    def to_waveform(spectrum: Tensor) -> Tensor:
        rows = torch.fft.irfft(spectrum, n_fft)  # (batch, frames, n_fft)
        return _overlap_add(rows, window, hop, length) * gain

    if phase is None:
        generator = torch.Generator().manual_seed(seed)
        turns = torch.rand(config.bins, frames, generator=generator, dtype=torch.float64)
        phase = 2 * torch.pi * turns
    phase = phase.T.to(target.dtype).to(target.device)
    c = torch.polar(target, phase.expand_as(target).contiguous())
    t_before = torch.zeros_like(c)
    half, mode = n_fft // 2, "reflect" if length > n_fft // 2 else "constant"
    for _ in tqdm(range(n_iter), desc="Griffin-Lim", delay=2, leave=False):
        padded = F.pad(to_waveform(c).unsqueeze(1), (half, half), mode=mode).squeeze(1)
        t = torch.fft.rfft(padded.unfold(-1, n_fft, hop)[:, :frames] * window)
        # Perraudin's c = t + alpha (t - t_before), up to a factor that the next line takes out.
        moved = torch.view_as_real(t) - torch.view_as_real(t_before) * (momentum / (1 + momentum))
        scale = target * (moved.square().sum(-1) + 1e-30).rsqrt()
        c = torch.view_as_complex(moved * scale.unsqueeze(-1))
        t_before = t
    return to_waveform(c).reshape(*magnitude.shape[:-2], length)


@torch.no_grad()
def mel_to_linear(mel_power: Tensor, config: MelConfig) -> Tensor:
    """Magnitude of every bin from mel power: the first half of inverting a mel spectrogram.

    There are fewer bands than bins, so many answers fit. This one is not negative and fits every
    band, in relative terms: it starts from the bands' own values, spread smoothly over the bins,
    and takes 50 multiplicative steps that lower the divergence of Lee & Seung (2001, *Algorithms
    for non-negative matrix factorization*, theorem 2). It keeps the smooth shape within a band and
    fits quiet bands as well as loud ones.

    mel_power : Tensor (..., n_mels, frames), power (of decibels: `spectral.from_db`)
    returns   : magnitude Tensor (..., bins, frames), the square root of the power

    Raises ValueError for another shape, or negative or NaN values.
    """
    spectral.check_shape(mel_power, config.n_mels, "mels")
    _check_not_negative(mel_power, "Mel power", "spectral.from_db(db)")
    filters = spectral.filter_bank(config).to(mel_power)
    spread = filters / filters.amax(dim=1, keepdim=True)
    density = mel_power / filters.sum(dim=1, keepdim=True)  # power in each bin of a flat band
    power = (spread.T @ density) / spread.sum(dim=0).clamp(min=1e-9).unsqueeze(1)
    back = (filters / filters.sum(dim=0).clamp(min=1e-12)).T.contiguous()
    for _ in range(_NNLS_STEPS):
        power = power * (back @ (mel_power / (filters @ power).clamp(min=1e-30)))
    return power.sqrt()


def mel_to_audio(
    mel_power: Tensor,
    config: MelConfig,
    *,
    length: int | None = None,
    n_iter: int = 32,
    phase: Tensor | None = None,
) -> Tensor:
    """Waveform (..., samples) of mel power (..., n_mels, frames): both steps, one by one."""
    magnitude = mel_to_linear(mel_power, config)
    return griffin_lim(magnitude, config, n_iter=n_iter, length=length, phase=phase)


def gradient(
    target: Tensor,
    config: MelConfig,
    *,
    kind: str = "magnitude",
    n_iter: int = 100,
    init: Tensor | None = None,
    length: int | None = None,
    normalize: bool = False,
) -> Tensor:
    """Waveform found by moving its samples down the gradient of the spectrogram's error (L-BFGS).

    The sounds of a batch are optimised one after the other, so that none changes another's steps.

    target    : Tensor (..., bins, frames) magnitude, or (..., n_mels, frames) mel decibels
    kind      : "magnitude" lowers the squared error of the magnitude; "log_mel" that of the mel
                decibels, with a floor that is reached smoothly. From noise it ends in speech nobody
                understands: give it `mel_to_audio`'s result
    init      : waveform (..., samples) to start from; None: noise of standard deviation 1e-6
    length    : samples wanted, as in `griffin_lim`
    normalize : divide both magnitudes by their norm first and restore the level at the end; with
                `init=None` and up to 500 iterations this is the recipe of the thesis
    returns   : Tensor (..., samples)

    Raises ValueError for a shape, kind or option that does not fit.
    """
    if kind not in ("magnitude", "log_mel"):
        raise ValueError(f"kind must be 'magnitude' or 'log_mel', not {kind!r}.")
    if kind == "log_mel":
        spectral.check_shape(target, config.n_mels, "mels")
    else:
        spectral.check_shape(target, config.bins, "bins")
        _check_not_negative(target, "A magnitude", "10 ** (db / 20)")
    if not torch.isfinite(target).all():
        raise ValueError("The target holds NaN or infinite values; check how it was computed.")
    if init is not None and length is None:
        length = init.shape[-1]
    length = _checked_length(target, config, length, n_iter)
    if init is None:
        noise = torch.randn(length, generator=torch.Generator().manual_seed(0))
        init = (1e-6 * noise).to(target).expand(*target.shape[:-2], length)
    elif init.shape != (*target.shape[:-2], length):
        raise ValueError(
            f"init of shape {tuple(init.shape)} does not fit; expected "
            f"{(*target.shape[:-2], length)}."
        )
    targets = target.detach().reshape(-1, *target.shape[-2:])
    starts = init.detach().reshape(-1, length)
    found = torch.zeros_like(starts)  # which is right for a silent target
    with tqdm(total=n_iter * len(targets), desc="L-BFGS", delay=2, leave=False) as bar:
        for n, one in enumerate(targets):
            if kind == "log_mel":
                found[n] = _descend(starts[n], _error_of_decibels(one, config), n_iter, bar)
            elif one.any():
                error = _error_of_magnitude(one, config, normalize)
                found[n] = _descend(starts[n], error, n_iter, bar)
                if normalize:
                    reached = _magnitude(found[n], config)
                    found[n] *= (reached * one).sum() / reached.square().sum()
    return found.reshape(*target.shape[:-2], length)


def _magnitude(waveform: Tensor, config: MelConfig) -> Tensor:
    spectrum = spectral.stft(waveform, config)
    # The tiny constant keeps the gradient of the root finite where the spectrum is zero.
    return (spectrum.real.square() + spectrum.imag.square() + 1e-20).sqrt()


def _error_of_magnitude(target: Tensor, config: MelConfig, normalize: bool) -> Objective:
    size = float(target.norm())

    def error(waveform: Tensor) -> Tensor:
        found = _magnitude(waveform, config)
        return (found / (found.norm() if normalize else size) - target / size).square().sum()

    return error


def _error_of_decibels(target: Tensor, config: MelConfig) -> Objective:
    floor = 10.0 ** (spectral.FLOOR_DB / 10.0)
    wanted = spectral.to_db(spectral.from_db(target) + floor)

    def error(waveform: Tensor) -> Tensor:
        db = 10.0 * (spectral.mel(waveform, config) + floor).log10()
        return (db - wanted).square().mean()

    return error


def _descend(start: Tensor, error: Objective, n_iter: int, bar: tqdm) -> Tensor:
    """Where L-BFGS comes to in `n_iter` steps from `start (samples,)`, downwards in `error`."""
    waveform = start.clone().requires_grad_(True)
    optimizer = torch.optim.LBFGS(
        [waveform],
        max_iter=n_iter,
        max_eval=2 * n_iter,
        history_size=10,
        tolerance_grad=0.0,
        tolerance_change=0.0,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        value = error(waveform)
        value.backward()
        bar.update(min(1, bar.total - bar.n))
        return value

    with torch.enable_grad():
        if n_iter > 0:
            optimizer.step(closure)
    return waveform.detach()


def _overlap_add(rows: Tensor, window: Tensor, hop: int, length: int) -> Tensor:
    """Sum windowed rows (batch, frames, n_fft) at their places, cut to (batch, length)."""
    batch, frames, n_fft = rows.shape
    pieces = -(-n_fft // hop)
    total = rows.new_zeros(batch, frames + pieces, hop)
    for k in range(pieces):  # piece k of every row lies k hops after the row's beginning
        piece = slice(k * hop, min((k + 1) * hop, n_fft))
        total[:, k : k + frames, : piece.stop - piece.start].addcmul_(
            rows[:, :, piece], window[piece]
        )
    return total.view(batch, -1)[:, n_fft // 2 : n_fft // 2 + length]


def _check_not_negative(values: Tensor, name: str, from_decibels: str) -> None:
    if not bool((values >= 0).all()) or not bool(torch.isfinite(values).all()):
        raise ValueError(
            f"{name} must be finite and not below 0 (lowest value here: {float(values.min()):g}); "
            f"decibels are turned back with {from_decibels}."
        )


def _checked_length(spectrogram: Tensor, config: MelConfig, length: int | None, n_iter: int) -> int:
    """The length of the result; raises ValueError for one that cannot be, or a wrong `n_iter`."""
    if not isinstance(n_iter, int) or n_iter < 0:
        raise ValueError(f"n_iter must be a whole number of at least 0, not {n_iter!r}.")
    shortest = (spectrogram.shape[-1] - 1) * config.hop_length
    longest = shortest + config.hop_length - 1
    if length is None:
        length = shortest
    if not shortest <= length <= longest:
        raise ValueError(
            f"length {length} does not belong to {spectrogram.shape[-1]} frames with a hop of "
            f"{config.hop_length}: expected {shortest} ... {longest} samples."
        )
    return length
