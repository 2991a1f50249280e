"""The Griffin-Lim rows of ``speed.py``: ours beside torchaudio's and librosa's, same settings."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

from vqlab import inversion, spectral
from vqlab.spectral import MelConfig

SECONDS, STEPS, MOMENTUM = 10, 32, 0.99


def rows(repeat: int = 3) -> list[tuple[str, float | None, float | None, float | None]]:
    """(work, ours in ms, the peer in ms, None), one row for each peer that is installed.

    The candidates take turns, after one round that is not counted; the median counts.
    """
    config = MelConfig()
    generator = torch.Generator().manual_seed(0)
    waveform = 0.1 * torch.randn(SECONDS * config.sample_rate, generator=generator)
    candidates = _candidates(spectral.stft(waveform, config).abs(), config)
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(repeat + 1):
        for name, run in candidates.items():
            start = time.perf_counter()
            run()
            if turn:
                times[name].append(1000 * (time.perf_counter() - start))
    median = {name: statistics.median(values) for name, values in times.items()}
    ours = median.pop("vqlab")
    work = f"fast Griffin-Lim, {STEPS} steps, {SECONDS} s, {config.n_fft}/{config.hop_length}"
    if not median:
        return [(work, ours, None, None)]
    return [(f"{work}; peer {name}", ours, peer, None) for name, peer in median.items()]


def _candidates(magnitude: torch.Tensor, config: MelConfig) -> dict[str, Callable[[], object]]:
    n_fft, hop = config.n_fft, config.hop_length
    window = torch.hann_window(n_fft)
    found: dict[str, Callable[[], object]] = {
        "vqlab": lambda: inversion.griffin_lim(magnitude, config, n_iter=STEPS, momentum=MOMENTUM)
    }
    try:
        from torchaudio.functional import griffinlim

        found["torchaudio"] = lambda: griffinlim(
            magnitude, window, n_fft, hop, n_fft, 1.0, STEPS, MOMENTUM, None, True
        )
    except (ImportError, OSError):
        pass
    try:
        import librosa

        array = magnitude.numpy()
        found["librosa"] = lambda: librosa.griffinlim(
            array, n_iter=STEPS, hop_length=hop, n_fft=n_fft, momentum=MOMENTUM, random_state=0
        )
    except ImportError:
        pass
    return found


if __name__ == "__main__":
    for work, ours, peer, _ in rows():
        beside = "" if peer is None else f", {peer:.0f} ms, ratio {ours / peer:.2f}"
        print(f"{work}: {ours:.0f} ms{beside}")
