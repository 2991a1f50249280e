"""The page of the codec, as tools/website.py puts it into the site: codec.html and folder codec.

Everything that it loads is made here from the weights and recordings of the project, and nothing of
it is kept in the repository; so the page always has the codec that ships.
"""

from __future__ import annotations

import base64
import html
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from export import export

from vqlab import audio
from vqlab.codec import Codec

HERE = Path(__file__).resolve().parent
RATES = (0.5, 1, 1.5)
"""kbit/s of the files of bundled sounds; page/sounds.js has the same."""
SOUNDS = {
    "Hello world": "voices/en/hello",
    "Thank you": "voices/en/thank_you",
    "Try again": "voices/en/try_again",
    "Gracias": "voices/es/thank_you",
    "Merci": "voices/fr/thank_you",
    "Grazie": "voices/it/thank_you",
    "Спасибо": "voices/ru/thank_you",
    "yes": "words/yes",
    "no": "words/no",
    "stop": "words/stop",
    "right": "words/right",
}
"""Bundled sounds by their labels: a file of data/, or a folder whose first file is taken."""
PARTS = ("common", "work", "pictures", "player", "wav")
PARTS += ("sounds", "microphone", "integers", "bytes", "link")
SCRIPTS = ("codec.js", *(f"page/{part}.js" for part in PARTS))
"""What the page runs, in this order."""
POLICY = {
    "connect-src": "'self'",
    "worker-src": "blob:",
    "script-src": "'self' file: data: blob: 'unsafe-inline' 'wasm-unsafe-eval'",
}
"""What the page's policy allows beyond that of the other pages."""


@dataclass(frozen=True)
class Clip:
    """A bundled sound: its samples as the codec takes them, and its files at `RATES`."""

    label: str
    key: str
    samples: torch.Tensor
    files: list[bytes]


def clips(codec: Codec, data: Path) -> list[Clip]:
    """The bundled sounds, compressed."""
    found = []
    for label, name in SOUNDS.items():
        path = data / name
        path = min(path.glob("*.flac")) if path.is_dir() else path.with_suffix(".flac")
        samples = audio.load(path, sample_rate=codec.sample_rate)[0]
        samples = (samples * 32768).round().clamp(-32768, 32767) / 32768  # as the page gets it
        files = [codec.compress(samples, kbps) for kbps in RATES if 1000 * kbps >= codec.rates[0]]
        found.append(Clip(label, name.replace("/", "_"), samples, files))
    return found


def write(weights: Path, data: Path, out: Path) -> tuple[str, list[Clip], Codec]:
    """Write the folder `codec` into the site ``out``; body of codec.html, its sounds, the codec.

    Raises ValueError for weights of another kind than the page can compute.
    """
    folder = out / "codec"
    export(weights, folder)
    (folder / "page").mkdir()
    for name in (*SCRIPTS, "page.css"):
        shutil.copyfile(HERE / name, folder / name)
    codec = Codec.load(weights)
    sounds = clips(codec, data)
    (folder / "clips").mkdir()
    for clip in sounds:
        samples = (clip.samples * 32768).numpy().astype("<i2").tobytes()
        files = [[kbps, text(file)] for kbps, file in zip(RATES, clip.files, strict=False)]
        entry = json.dumps({"samples": text(samples), "files": files})
        line = f"(self.vqlabClips = self.vqlabClips || {{}}).{clip.key} = {entry};\n"
        (folder / "clips" / f"{clip.key}.js").write_text(line, encoding="ascii")
    filled = {
        "SOUND": megabytes(folder / "sound.bin"),
        "VOICE": megabytes(folder / "voice.bin"),
        "RATE": str(codec.sample_rate),
        "CLIPS": "".join(
            f'<button type="button" data-clip="{clip.key}">{html.escape(clip.label)}</button>'
            for clip in sounds
        ),
        "OPTIONS": "".join(
            f'<option value="{clip.key}">{html.escape(clip.label)}</option>' for clip in sounds
        ),
    }
    body = (HERE / "page.html").read_text(encoding="utf-8")
    for name, value in filled.items():
        body = body.replace(f"<!--{name}-->", value)
    scripts = "".join(f'<script src="codec/{name}" defer></script>' for name in SCRIPTS)
    return f'<link rel="stylesheet" href="codec/page.css">\n{body}{scripts}', sounds, codec


def megabytes(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:.1f}"


def text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
