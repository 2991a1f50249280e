"""Solutions to the exercises of notebook 02. Each function is named like its stub."""

import torch


def frames(waveform, frame_length, hop_length):
    """(samples,) -> (n, frame_length): frame i begins at sample i * hop_length."""
    n = (len(waveform) - frame_length) // hop_length + 1
    starts = [i * hop_length for i in range(n)]
    return torch.stack([waveform[s : s + frame_length] for s in starts])


def rms(pieces):
    """(n, frame_length) -> (n,): square, mean, root."""
    return pieces.square().mean(dim=1).sqrt()


def to_db(power, floor_db=-80.0):
    """10 log10 of the power; what is under the floor is raised to it first."""
    return 10 * power.clamp(min=10 ** (floor_db / 10)).log10()


def hz_to_mel(hz):
    """HTK's formula."""
    return 2595 * torch.log10(1 + hz / 700)


def mel_power(power, filters):
    """(n_mels, bins) @ (bins, frames): each band is a weighted sum of bins."""
    return filters @ power
