"""The codec of the page (web/codec.js) beside the package: same bytes, same sound, how fast.

    python benchmarks/page.py [--clips 80] [--codec FILE] [--plain]

Files are made by Python and by codec.js from the same samples, at four rates: of words, voices,
silence and noise, of 6 ms, 10 s and 14 s. Then both decode Python's file of 1 kbit/s, with the
weights as they are and with the decoder at 8 bits. codec.js runs in a Chromium without a window,
from a file and from a server, and in Firefox and WebKit where they are installed; `--plain` denies
Chromium's page WebAssembly. Times are sums over all clips, and Python computes with one thread.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from browsers import WEB, in_browser, in_program, pages, programs, served
from torch import Tensor

from vqlab import audio, spectral
from vqlab.codec import Codec

ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "data/weights/speech.safetensors"
RATES = (0.5, 0.8, 1.0, 1.5)
"""kbit/s of the files; the third is decoded."""


@dataclass(frozen=True)
class Clip:
    """A sound and what Python makes of it."""

    name: str
    samples: Tensor
    files: list[bytes]
    sound: Tensor


def sounds(count: int) -> Iterator[tuple[str, Tensor]]:
    """`count` sounds by name, of whole numbers of 16 bits: the odd ones first, then recordings."""
    voices = sorted((ROOT / "data/voices").glob("*/*.flac"))
    words = sorted((ROOT / "data/words").glob("*/*.flac"))
    noise = torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    several = torch.cat([audio.load(path, sample_rate=16_000)[0] for path in voices[:12]])
    odd = {
        "silence": torch.zeros(16_000),
        "noise": 0.1 * noise,
        "soft noise": 0.001 * noise,
        "6 ms": 0.1 * noise[:96],
        "1 sample": 0.1 * noise[:1],
        "10 s": several[:160_000],
        "14 s": several[:224_000],
    }
    for name, waveform in list(odd.items())[:count]:
        yield name, whole(waveform)
    paths = [
        path for pair in zip(voices, words[:: len(words) // 60], strict=False) for path in pair
    ]
    paths += words[1 :: len(words) // 60]
    for path in paths[: max(0, count - len(odd))]:
        yield f"{path.parent.name}/{path.stem}", whole(audio.load(path, sample_rate=16_000)[0])


def whole(waveform: Tensor) -> Tensor:
    """The waveform in steps of 1 / 32768."""
    return (waveform * 32768).round().clamp(-32768, 32767) / 32768


def prepare(
    folder: Path, codec: Codec, named: Sequence[tuple[str, Tensor]]
) -> tuple[list[Clip], dict[str, float]]:
    """Write the page's clips into `folder`; what Python makes of them, and its seconds."""
    clips, seconds = [], {"encoding": 0.0, "decoding": 0.0}
    for name, waveform in named:
        start = time.perf_counter()
        found = codec.analysis(waveform)
        files = [found.compress(kbps) for kbps in reversed(RATES)][::-1]  # one search serves all
        middle = time.perf_counter()
        sound = codec.decode(*codec.from_bytes(files[2]))
        seconds["encoding"] += middle - start
        seconds["decoding"] += time.perf_counter() - middle
        clips.append(Clip(name, waveform, files, sound))
    given = [
        {
            "samples": text((clip.samples * 32768).numpy().astype("<i2").tobytes()),
            "rates": RATES,
            "heard": text(clip.files[2]),
        }
        for clip in clips
    ]
    (folder / "clips.js").write_text(f"self.vqlabClips = {json.dumps(given)};\n", encoding="ascii")
    return clips, seconds


def text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def different(clips: Sequence[Clip], found: Sequence[dict[str, Any]]) -> list[str]:
    """Clips and rates whose files are not Python's, or do not come back as they were."""
    wrong = []
    for clip, mine in zip(clips, found, strict=True):
        for kbps, file, other in zip(RATES, clip.files, mine["files"], strict=True):
            if text(file) != other or not mine["again"]:
                wrong.append(f"{clip.name} at {kbps:g} kbit/s")
    return wrong


def apart_db(clip: Clip, found: dict[str, Any], codec: Codec) -> float:
    """Mean difference in dB between the log-mel spectrograms of both decoded sounds."""
    sound = torch.from_numpy(np.frombuffer(base64.b64decode(found["sound"]), "<f4").copy())
    if len(sound) != len(clip.sound):
        raise ValueError(f"{clip.name}: {len(sound)} samples, not {len(clip.sound)}")
    mels = [spectral.log_mel(x, codec.features.config) for x in (sound, clip.sound)]
    return float((mels[0] - mels[1]).abs().mean())


def report(
    title: str,
    clips: Sequence[Clip],
    found: Sequence[dict[str, Any]],
    codec: Codec,
    python: dict[str, float],
) -> None:
    """Print how far what a browser made is from Python's, and the times of both."""
    seconds = sum(len(clip.samples) for clip in clips) / codec.sample_rate
    wrong = different(clips, found)
    apart = [apart_db(*pair, codec) for pair in zip(clips, found, strict=True)]
    print(
        f"{title}: {len(wrong)} files differ {wrong or ''}; sound {np.mean(apart):.4f} dB apart, "
        f"at most {max(apart):.4f}"
    )
    for work in ("encoding", "decoding"):
        mine = sum(one[work] for one in found)
        print(
            f"  {work}: {mine / seconds:.3f} s for a second, Python "
            f"{python[work] / seconds:.3f}, ratio {mine / python[work]:.2f}"
        )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=80)
    parser.add_argument("--codec", type=Path, default=WEIGHTS)
    parser.add_argument("--plain", action="store_true", help="without WebAssembly")
    options = parser.parse_args(arguments)
    sys.path[:0] = [str(WEB), str(ROOT / "tests")]
    from _lab import chromium
    from export import export
    from playwright.sync_api import sync_playwright

    torch.set_num_threads(1)
    codec = Codec.load(options.codec)
    with tempfile.TemporaryDirectory() as place, sync_playwright() as running:
        folder, browser = Path(place), chromium(running.chromium)
        clips, python = prepare(folder, codec, list(sounds(options.clips)))
        pages(folder)
        page = "plain.html" if options.plain else "fast.html"
        seconds = sum(len(clip.samples) for clip in clips) / codec.sample_rate
        print(f"{len(clips)} sounds, {seconds:.0f} s, {len(clips) * len(RATES)} files")
        with served(folder) as address:
            for bits, base in ((16, folder.as_uri()), (16, address), (8, address)):
                export(options.codec, folder, bits=bits)
                report(
                    f"{base.partition(':')[0]}, decoder at {bits} bits",
                    clips,
                    in_browser(browser, f"{base}/{page}"),
                    codec,
                    python,
                )
            profile = folder / "profile"
            profile.mkdir()
            for name, command in programs(profile).items():
                found = in_program(command, folder)
                report(f"{name}, decoder at 8 bits", clips, found, codec, python)
    return 0


if __name__ == "__main__":
    sys.exit(main())
