"""Solutions to the exercises of notebook 03. Each function is named like its stub."""

import torch

from vqlab import spectral


def combine(magnitude_of, phase_of):
    """Arrows with the lengths of one spectrogram and the directions of the other."""
    return torch.polar(magnitude_of.abs(), phase_of.angle())


def spectral_convergence(found, target):
    """Norm of the difference over norm of the target: 0 is perfect."""
    return (found - target).norm() / target.norm()


def griffin_lim_step(c, magnitude, config, length):
    """To the nearest waveform, back to its spectrogram; keep the phase, put the magnitude back."""
    waveform = spectral.istft(c, config, length=length)
    t = spectral.stft(waveform, config)
    return torch.polar(magnitude, t.angle())


def momentum_step(t, t_before, alpha):
    """Go on a little in the direction of the last step."""
    return t + alpha * (t - t_before)


def mel_to_magnitude(mel_power, filters):
    """(n_mels, frames), (n_mels, bins) -> magnitude (bins, frames)."""
    power = torch.linalg.pinv(filters) @ mel_power  # some of it below 0
    return power.clamp(min=0).sqrt()
