"""What a spectrogram keeps, before anything is compressed: one table of ways back to sound.

    python benchmarks/inversion.py [--clips 24] [--folder DIR] [--threads 1]

Clips are peak-normalised and one second long: those of a folder; or else test words of Speech
Commands where `VQLAB_DATA` or the download folder holds them; or else the bundled words.
Columns: PESQ wide-band against the clip; SC, the spectral convergence on 512/128 whatever the
method's own window is (both are means over clips); and milliseconds of computing per second of
sound, which depend on the machine and what else it does: compare them within one table only.
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Callable

import torch
from torch import Tensor
from tqdm import tqdm

from vqlab import datasets, inversion, metrics, spectral
from vqlab.metrics import measures
from vqlab.spectral import MelConfig

RULER = MelConfig()  # spectral convergence is measured with this one for all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=24, help="how many (default 24)")
    parser.add_argument("--folder", help="a folder of sound files to use instead")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default 1)")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    name, clips = find_clips(options.clips, options.folder)
    print(f"{len(clips)} clips of {name}, {options.threads} thread(s), torch {torch.__version__}\n")
    print("| from | window/hop | method | PESQ-wb | SC | ms |")
    print("|---|---|---|--:|--:|--:|")
    for source, config, method, invert in methods():
        pesq, convergence, milliseconds, left_out = measure(clips, config, invert)
        note = f" ({left_out} left out)" if left_out else ""
        print(
            f"| {source} | {config.n_fft}/{config.hop_length} | {method} | {pesq:.2f}{note} | "
            f"{convergence:.3f} | {milliseconds:.0f} |",
            flush=True,
        )


def find_clips(count: int, folder: str | None) -> tuple[str, list[Tensor]]:
    """The name of the material and peak-normalised clips of one second."""
    if folder is not None:
        found = datasets.load("folder", "all", root=folder, limit=count)
        name = "the given folder"
    else:
        try:
            found = datasets.load("speech_commands", "test", words="all", limit=count)
            name = "Speech Commands, test split"
        except FileNotFoundError:
            found = datasets.load("words", "test", limit=count)
            name = "the bundled words, test split"
    sounds = [item.waveform for item in found]
    return name, [sound / sound.abs().max() for sound in sounds if sound.any()]


def methods() -> list[tuple[str, MelConfig, str, Callable[[Tensor, MelConfig], Tensor]]]:
    """(from what, its settings, name, clip -> clip) for each row."""

    def from_magnitude(**how) -> Callable[[Tensor, MelConfig], Tensor]:
        def invert(clip: Tensor, config: MelConfig) -> Tensor:
            magnitude = spectral.stft(clip, config).abs()
            return inversion.griffin_lim(magnitude, config, length=len(clip), **how)

        return invert

    def nnls(clip: Tensor, config: MelConfig) -> Tensor:
        return inversion.mel_to_audio(spectral.mel(clip, config), config, length=len(clip))

    def pinv(clip: Tensor, config: MelConfig) -> Tensor:
        back = torch.linalg.pinv(spectral.filter_bank(config))
        magnitude = (back @ spectral.mel(clip, config)).clamp(min=0.0).sqrt()
        return inversion.griffin_lim(magnitude, config, length=len(clip))

    def refined(clip: Tensor, config: MelConfig) -> Tensor:
        start = nnls(clip, config)
        target = spectral.log_mel(clip, config)
        return inversion.gradient(target, config, kind="log_mel", n_iter=60, init=start)

    def descended(**how) -> Callable[[Tensor, MelConfig], Tensor]:
        def invert(clip: Tensor, config: MelConfig) -> Tensor:
            magnitude = spectral.stft(clip, config).abs()
            return inversion.gradient(magnitude, config, length=len(clip), **how)

        return invert

    def geometry(n_fft: int, hop: int, n_mels: int = 80, **other) -> MelConfig:
        return MelConfig(n_fft=n_fft, hop_length=hop, n_mels=n_mels, **other)

    plain, fast = from_magnitude(momentum=0.0), from_magnitude()
    tutorial = geometry(1024, 512, 128, scale="htk", norm=None)
    return [
        ("magnitude", geometry(1024, 512), "Griffin-Lim, 32", plain),
        ("magnitude", geometry(1024, 256), "fast GL, 32", fast),
        ("magnitude", geometry(512, 128), "Griffin-Lim, 32", plain),
        ("magnitude", geometry(512, 128), "fast GL, 32", fast),
        ("magnitude", geometry(512, 128), "fast GL, 100", from_magnitude(n_iter=100)),
        ("magnitude", geometry(400, 160), "fast GL, 32", fast),
        ("magnitude", geometry(512, 128), "L-BFGS, 100, from noise", descended()),
        ("magnitude", geometry(512, 128), "L-BFGS, 100, normalised", descended(normalize=True)),
        ("128 mels, HTK", tutorial, "NNLS + fast GL, 32", nnls),
        ("80 mels", geometry(1024, 256), "NNLS + fast GL, 32", nnls),
        ("80 mels", geometry(512, 128), "pinv + fast GL, 32", pinv),
        ("80 mels", geometry(512, 128), "NNLS + fast GL, 32", nnls),
        ("80 mels", geometry(512, 128), "the same, then L-BFGS 60 on log-mel", refined),
        ("80 mels", geometry(512, 160), "NNLS + fast GL, 32", nnls),
        ("128 mels", geometry(512, 128, 128), "NNLS + fast GL, 32", nnls),
    ]


def measure(
    clips: list[Tensor], config: MelConfig, invert: Callable[[Tensor, MelConfig], Tensor]
) -> tuple[float, float, float, int]:
    """Mean PESQ, mean spectral convergence, median ms per second of sound, clips without PESQ."""
    scores, convergences, times = [], [], []
    invert(clips[0], config)  # not timed: the first call fills caches
    for clip in tqdm(clips, delay=2, leave=False):
        start = time.perf_counter()
        found = invert(clip, config)
        times.append((time.perf_counter() - start) * 1000 * config.sample_rate / len(clip))
        target = spectral.stft(clip, RULER).abs()
        convergences.append(metrics.spectral_convergence(found, target, RULER))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # "no utterance" is counted below
            scores.append(measures.pesq_wb(clip, found, config.sample_rate))
    heard = [score for score in scores if score is not None]
    pesq = sum(heard) / len(heard) if heard else math.nan
    times.sort()
    return pesq, sum(convergences) / len(clips), times[len(times) // 2], len(scores) - len(heard)


if __name__ == "__main__":
    main()
