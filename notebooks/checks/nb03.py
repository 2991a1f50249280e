"""The exercises of notebook 03: phases swapped, an error, Griffin-Lim's step, momentum, mel bands.

Each entry is data: a probe on small fixed numbers, the reference, the mistakes people make with
the hint that fits each, and general hints. The waveform of the Griffin-Lim probe is no multiple of
the hop long, so that a forgotten `length` changes the result.

Notebook: 03
"""

from __future__ import annotations

import torch
from torch import Tensor

from vqlab import spectral
from vqlab.lessons.exercise import Exercise, value_of

_random = torch.Generator().manual_seed(3)


def _complex(*shape: int) -> Tensor:
    return torch.complex(
        torch.randn(shape, generator=_random), torch.randn(shape, generator=_random)
    )


# --- 03-combine: two complex spectrograms -> magnitude of one, phase of the other -----------------

combine = Exercise(
    probe=value_of(_complex(3, 4), _complex(3, 4)),
    right=lambda a, b: torch.polar(a.abs(), b.angle()),
    mistakes=(
        (
            lambda a, b: torch.polar(b.abs(), a.angle()),
            "the roles are exchanged: the first one gives the magnitude, the second the phase.",
        ),
        (
            lambda a, b: a.abs() * b.angle(),
            "you multiply a length by an angle, which gives real numbers. An arrow is wanted: "
            "length times e^(i angle).",
        ),
        (
            lambda a, b: a.abs() * b,
            "b brings its own length along: divide it by `b.abs()`, or take only its angle.",
        ),
        (
            lambda a, b: torch.complex(a.abs(), b.angle()),
            "`torch.complex` takes the real and the imaginary part; `torch.polar` takes length and "
            "angle.",
        ),
        (
            lambda a, b: a.abs() * torch.exp(b.angle()),
            "the i is missing: e^(i angle) is `torch.exp(1j * angle)`.",
        ),
    ),
    hints=(
        "A complex number is an arrow: `z.abs()` is its length, `z.angle()` its direction.",
        "`torch.polar(length, angle)` builds the arrow again.",
    ),
)

# --- 03-spectral-convergence: two magnitudes (bins, frames) -> one number -------------------------

spectral_convergence = Exercise(
    probe=value_of(
        torch.tensor([[3.0, 1.0, 0.5], [2.0, 4.0, 1.0]]),
        torch.tensor([[2.0, 1.0, 1.0], [4.0, 2.0, 2.0]]),
    ),
    right=lambda found, target: (found - target).norm() / target.norm(),
    mistakes=(
        (
            lambda f, t: (f - t).pow(2).sum() / t.pow(2).sum(),
            "this is its square: the norm is the root of the sum of squares.",
        ),
        (
            lambda f, t: (f - t).norm() / f.norm(),
            "divide by the norm of the target; the other one changes with every estimate.",
        ),
        (lambda f, t: (f - t).norm(), "the error must be relative: divide by the target's norm."),
        (
            lambda f, t: ((f - t).abs() / t).mean(),
            "you average the relative error of each value, so that silence counts as much as "
            "sound. Take the two norms first, then divide once.",
        ),
        (
            lambda f, t: (f - t).abs().sum() / t.abs().sum(),
            "you add absolute values; the norm adds squares and takes the root.",
        ),
        (
            lambda f, t: (f.norm() - t.norm()).abs() / t.norm(),
            "you compare the two norms. Subtract the arrays first; then take the norm.",
        ),
        (
            lambda f, t: ((f - t).norm(dim=0) / t.norm(dim=0)).mean(),
            "this is the mean over frames; one norm over the whole array is wanted.",
        ),
    ),
    hints=(
        "Two norms and one division.",
        "`array.norm()` is the root of the sum of all squares, whatever the shape.",
    ),
)

# --- 03-griffin-lim-step: complex c, magnitude, config, length -> the next c ----------------------

_config = spectral.MelConfig(n_fft=16, hop_length=4, n_mels=2)
_LENGTH = 66  # 16 hops and 2 samples
_target = spectral.stft(torch.randn(_LENGTH, generator=_random), _config).abs()
_start = torch.polar(_target, 6.28 * torch.rand(_target.shape, generator=_random))


def _there_and_back(c: Tensor, config: spectral.MelConfig, length: int | None) -> Tensor:
    return spectral.stft(spectral.istft(c, config, length=length), config)


griffin_lim_step = Exercise(
    probe=value_of(_start, _target, _config, _LENGTH),
    right=lambda c, m, config, n: torch.polar(m, _there_and_back(c, config, n).angle()),
    mistakes=(
        (
            lambda c, m, config, n: torch.polar(m, c.angle()),
            "nothing has moved: the phase must come from the waveform's own spectrogram, after "
            "`istft` and `stft`.",
        ),
        (
            lambda c, m, config, n: _there_and_back(c, config, n),
            "the first half is right. Now give the result the magnitude that is wanted, and keep "
            "its phase.",
        ),
        (
            lambda c, m, config, n: m * _there_and_back(c, config, n),
            "you multiply the two magnitudes. Replace the magnitude: keep only the angle.",
        ),
        (
            lambda c, m, config, n: torch.polar(_there_and_back(c, config, n).abs(), c.angle()),
            "the roles are exchanged: new phase from the round trip, magnitude from `magnitude`.",
        ),
        (
            lambda c, m, config, n: torch.polar(m, _there_and_back(c, config, None).angle()),
            "`length` is missing in `istft`: without it the last samples are lost.",
        ),
        (
            lambda c, m, config, n: spectral.istft(
                torch.polar(m, _there_and_back(c, config, n).angle()), config, length=n
            ),
            "this is a waveform. One step goes from spectrogram to spectrogram; the waveform is "
            "made after the last one.",
        ),
    ),
    hints=(
        "To the nearest waveform and back: `istft`, then `stft`.",
        "Of what comes back only the angle is used; the length is `magnitude`.",
        "`torch.polar(magnitude, t.angle())`, where t is the STFT of the waveform.",
    ),
)

# --- 03-momentum-step: t, t_before, alpha -> where the next step begins ---------------------------

momentum_step = Exercise(
    probe=value_of(_complex(2, 3), _complex(2, 3), 0.9),
    right=lambda t, before, alpha: t + alpha * (t - before),
    mistakes=(
        (
            lambda t, b, alpha: t - alpha * (t - b),
            "this goes back towards the last place; the step goes on in the same direction.",
        ),
        (
            lambda t, b, alpha: b + alpha * (t - b),
            "this starts at the last place and stops short of the new one. Start at t.",
        ),
        (
            lambda t, b, alpha: alpha * (t - b),
            "this is the extra step alone; add it to t.",
        ),
        (
            lambda t, b, alpha: t + alpha * b,
            "you add the last place itself; add the way from it to t, times alpha.",
        ),
        (
            lambda t, b, alpha: t + (t - b),
            "alpha is missing: the extra step is alpha times the last one.",
        ),
        (lambda t, b, alpha: t, "without the extra step this is the plain algorithm."),
    ),
    hints=(
        "The last step led from t_before to t. What is it, as a difference?",
        "Add alpha times this difference to t.",
    ),
)

# --- 03-mel-to-magnitude: mel power (n_mels, frames), filters (n_mels, bins) -> (bins, frames) ----

_filters = torch.tensor([[1.0, 0.5, 0.0, 0.0], [0.0, 0.5, 1.0, 0.5], [0.0, 0.0, 0.3, 1.0]])
_mel = torch.tensor([[0.1, 2.0], [3.0, 0.4], [0.2, 1.0]])  # makes two negative powers

mel_to_magnitude = Exercise(
    probe=value_of(_mel, _filters),
    right=lambda mel, filters: (torch.linalg.pinv(filters) @ mel).clamp(min=0).sqrt(),
    mistakes=(
        (
            lambda mel, filters: (torch.linalg.pinv(filters) @ mel).sqrt(),
            "the root of a negative power is nan: cut it off at 0 before the root.",
        ),
        (
            lambda mel, filters: (torch.linalg.pinv(filters) @ mel).clamp(min=0),
            "this is power; a magnitude is wanted: take the root.",
        ),
        (
            lambda mel, filters: (torch.linalg.pinv(filters) @ mel).abs().sqrt(),
            "you turn negative powers into positive ones: sound where there should be none. "
            "Use `.clamp(min=0)`.",
        ),
        (
            lambda mel, filters: (filters.T @ mel).clamp(min=0).sqrt(),
            "the transposed filters smear each band over its bins, but do not undo the sum: use "
            "`torch.linalg.pinv(filters)`.",
        ),
        (
            lambda mel, filters: (torch.linalg.pinv(filters) @ mel.sqrt()).clamp(min=0),
            "the filters add powers, not magnitudes: first the pseudo-inverse, then the root.",
        ),
    ),
    hints=(
        "`torch.linalg.pinv(filters)` has shape (bins, n_mels).",
        "Three things in this order: multiply, cut off at 0, take the root.",
    ),
)

EXERCISES = {
    "combine": combine,
    "spectral-convergence": spectral_convergence,
    "griffin-lim-step": griffin_lim_step,
    "momentum-step": momentum_step,
    "mel-to-magnitude": mel_to_magnitude,
}
