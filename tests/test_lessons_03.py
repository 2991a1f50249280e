"""Notebook 03: what it says of the codec's way back to sound, and of librosa's, holds."""

import librosa
import numpy as np
import pytest
import torch

from vqlab import inversion, spectral
from vqlab.lessons import own_file

ours = own_file.program({})
CONFIG = spectral.MelConfig()


@pytest.fixture(scope="module")
def sound():
    """0.3 s that glides from 200 to 900 Hz with two harmonics, and a little noise."""
    seconds = torch.arange(4800) / 16000
    turns = 200 * seconds + 1200 * seconds**2
    clean = sum(torch.sin(2 * torch.pi * k * turns) / k for k in (1, 2, 3))
    noise = torch.randn(4800, generator=torch.Generator().manual_seed(0))
    return 0.1 * clean + 0.002 * noise


def convergence(waveform, magnitude):
    return float((ours.stft(waveform).abs() - magnitude).norm() / magnitude.norm())


def test_the_way_back_gives_the_waveform_whose_spectrum_is_nearest():
    """At the least sum of squares its derivative is 0; all N bins of the transform count."""
    random = torch.Generator().manual_seed(1)
    parts = torch.randn(2, 1, 257, 20, generator=random, dtype=torch.float64)
    wanted = torch.complex(*parts).to(torch.complex64)
    wanted[:, [0, -1]] = wanted[:, [0, -1]].real.to(wanted.dtype)  # as those of real frames are
    twins = torch.full((257, 1), 2.0)
    twins[0] = twins[-1] = 1.0
    found = ours.istft(wanted).requires_grad_()
    (twins * (ours.stft(found) - wanted).abs().square()).sum().backward()
    elsewhere = torch.zeros_like(found).requires_grad_()
    (twins * (ours.stft(elsewhere) - wanted).abs().square()).sum().backward()
    assert float(found.grad.norm()) < 1e-4 * float(elsewhere.grad.norm())


def test_the_error_of_the_plain_algorithm_never_rises(sound):
    magnitude = ours.stft(sound[None]).abs()
    errors = [
        convergence(ours.griffin_lim(magnitude, steps=n, momentum=0.0), magnitude)
        for n in range(12)
    ]
    assert all(later <= earlier + 1e-4 for earlier, later in zip(errors, errors[1:], strict=False))
    assert errors[-1] < 0.7 * errors[0]


def test_librosas_griffin_lim_is_one_hop_shorter(sound):
    magnitude = ours.stft(sound[None]).abs()
    theirs = librosa.griffinlim(magnitude[0].numpy(), n_iter=4, hop_length=ours.HOP, n_fft=512)
    assert len(theirs) == len(sound) - ours.HOP == ours.griffin_lim(magnitude).shape[1] - ours.HOP


def test_the_divergence_falls_from_the_smooth_start_and_least_squares_has_teeth(sound):
    filters = ours.mel_filters()
    mel = filters @ ours.stft(sound[None]).abs().square()

    def divergence(power):
        back = filters @ power
        return float((mel * (mel / back).log() - mel + back).sum())

    spread = filters / filters.sum(dim=0).clamp(min=1e-9)
    start = spread.T @ (mel / filters.sum(dim=1, keepdim=True))
    assert divergence(ours.mel_to_linear(mel).square()) < 0.1 * divergence(start)
    theirs = librosa.feature.inverse.mel_to_stft(mel[0].numpy(), sr=ours.RATE, n_fft=512)
    magnitude = ours.stft(sound[None]).abs()[0].numpy()
    smooth = ours.mel_to_linear(mel)[0].numpy()
    assert np.linalg.norm(smooth - magnitude) < 0.6 * np.linalg.norm(theirs - magnitude)


def test_a_gradient_step_of_the_size_named_is_a_griffin_lim_step(sound):
    magnitude = spectral.stft(sound, CONFIG).abs()
    start = inversion.griffin_lim(magnitude, CONFIG, n_iter=0, length=4800)
    twins = torch.full((257, 1), 2.0)
    twins[0] = twins[-1] = 1.0
    x = start.clone().requires_grad_()
    (0.5 * twins * (spectral.stft(x, CONFIG).abs() - magnitude).pow(2)).sum().backward()
    by_gradient = start - x.grad / (1.5 * 512)
    c = torch.polar(magnitude, spectral.stft(start, CONFIG).angle())
    by_griffin_lim = spectral.istft(c, CONFIG, length=4800)
    inside = slice(512, -512)
    torch.testing.assert_close(by_gradient[inside], by_griffin_lim[inside], rtol=1e-3, atol=1e-5)
