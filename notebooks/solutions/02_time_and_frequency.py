"""Solutions to the optional exercises of notebook 02. Each function is named like its stub.

The core exercises are sections `02-stft`, `02-mel-filters` and `02-log-mel` of `my_codec.py`.
"""

import math

import torch


def fourier(frame):
    """(N,) -> complex (N // 2 + 1,): the discrete Fourier transform, from cosines and sines."""
    N = len(frame)
    n, k = torch.arange(N), torch.arange(N // 2 + 1)
    angle = 2 * math.pi * (k[:, None] * n % N) / N  # (bins, N); whole turns taken away
    return torch.complex(torch.cos(angle) @ frame, -torch.sin(angle) @ frame)


def cosines(n_mfcc, n_mels):
    """(n_mfcc, n_mels): row q holds q half turns of a cosine, scaled to length 1."""
    q, m = torch.arange(n_mfcc)[:, None], torch.arange(n_mels)
    rows = torch.cos(math.pi * q * (m + 0.5) / n_mels) * math.sqrt(2 / n_mels)
    rows[0] /= math.sqrt(2)
    return rows
