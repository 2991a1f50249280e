"""Other people's speech codecs as functions: Codec2, Opus and Speex through their own programs.

The one idea: every codec is one call, `code(clip) -> Coded`, so that whoever scores them needs to
know nothing else. Each clip gets half a second of digital silence on both sides, goes through the
encoder and decoder as 16-bit sound, and comes back at 16 kHz, still late by the codec's delay; two
rates stand beside it, of the payload and of the stored file. `delay_of` measures the delay.
Formats read here: Ogg pages (RFC 3533), Opus packets (RFC 6716, section 3.1, and RFC 7845).

Used by benchmarks/codecs.py.
"""

from __future__ import annotations

import functools
import hashlib
import math
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from vqlab import audio, spectral

RATE = 16_000  # Hz, of every clip that comes in and every sound that goes out
PAD = RATE // 2  # samples of silence before and after a clip
LONGEST_DELAY = 100  # ms
ENVELOPE = spectral.MelConfig(RATE, n_fft=512, hop_length=RATE // 1000, n_mels=40, f_max=4000)
PACKAGES = {  # Debian package -> codec, its programs, the package of its library
    "codec2": ("Codec2", ("c2enc", "c2dec"), "libcodec2-[0-9]*"),
    "opus-tools": ("Opus", ("opusenc", "opusdec"), "libopus0"),
    "speex": ("Speex", ("speexenc", "speexdec"), "libspeex1"),
}


@dataclass(frozen=True)
class Coded:
    """A clip that went through a codec."""

    waveform: Tensor  # (samples,), 16 kHz: the clip with PAD on both sides, late by the delay
    payload_kbps: float | None  # without containers and headers; None: no bits were made
    stored_bits: int | None  # of the file of the bare clip, without PAD
    group: str = ""  # clips of different groups may have different delays


class Coder(Protocol):
    """What can be scored. `delay` in samples where it is known, None where it is measured."""

    name: str
    family: str
    band: str  # "nb": up to 4 kHz; "wb": up to 8 kHz
    version: str
    delay: int | None

    def code(self, clip: Tensor) -> Coded:
        """`clip (samples,)` at 16 kHz, coded and decoded."""
        ...


class Codec2:
    """Codec2 (Rowe): a parametric vocoder for the radio, 450 to 3200 bit/s."""

    family, delay = "Codec2", None

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.band = "wb (made up)" if mode == "450PWB" else "nb"
        self.name = f"Codec2 {mode}"
        self.kbps = int(mode.rstrip("CPWB")) / 1000
        self.out_rate = RATE if mode == "450PWB" else RATE // 2
        self.version = version_of("codec2")

    def code(self, clip: Tensor) -> Coded:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            stored = self._encode(clip, folder)
            self._encode(padded(clip), folder)
            run("c2dec", self.mode, folder / "bits", folder / "out.raw")
            samples = np.fromfile(folder / "out.raw", "<i2")
        waveform = audio.resample(torch.from_numpy(samples / 32768.0).float(), self.out_rate, RATE)
        return Coded(waveform, self.kbps, 8 * stored)

    def _encode(self, sound: Tensor, folder: Path) -> int:
        narrow = audio.resample(sound, RATE, RATE // 2)
        (folder / "in.raw").write_bytes(pcm(narrow).tobytes())
        run("c2enc", self.mode, folder / "in.raw", folder / "bits")
        return (folder / "bits").stat().st_size


class Opus:
    """Opus (RFC 6716), which chooses its band from the bit rate: narrow up to 8 kbit/s."""

    family, delay = "Opus", None

    def __init__(self, kbps: int, frame_ms: int, mode: str) -> None:
        self.name = f"Opus {kbps} {frame_ms} ms {mode}"
        self.band = "nb" if kbps <= 8 else "wb"
        switch = {"cbr": "--hard-cbr", "vbr": "--vbr"}[mode]
        self.options = ["--speech", "--padding", "0", "--bitrate", str(kbps)]
        self.options += ["--framesize", str(frame_ms), switch]
        self.version = version_of("opus-tools")

    def code(self, clip: Tensor) -> Coded:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            stored = len(self._encode(clip, folder))
            data = self._encode(padded(clip), folder)
            wav = folder / "out.wav"
            run("opusdec", "--quiet", "--no-dither", "--rate", RATE, folder / "coded.opus", wav)
            waveform, _ = audio.load(wav, sample_rate=RATE)
        start = PAD / RATE
        payload = opus_kbps(data, start, start + len(clip) / RATE)
        return Coded(waveform, payload, 8 * stored)

    def _encode(self, sound: Tensor, folder: Path) -> bytes:
        save(folder / "in.wav", sound, RATE)
        coded = folder / "coded.opus"
        run("opusenc", "--quiet", *self.options, folder / "in.wav", coded)
        return coded.read_bytes()


class Speex:
    """Speex (Valin): CELP, the predecessor of Opus."""

    family, delay = "Speex", None
    KBPS = {"nb": (2.15, 3.95, 5.95), "wb": (3.95, 5.75, 7.75)}

    def __init__(self, band: str, quality: int) -> None:
        self.name, self.band = f"Speex {band} q{quality}", band
        self.kbps = self.KBPS[band][quality]
        self.rate = RATE // 2 if band == "nb" else RATE
        self.options = ["-n" if band == "nb" else "-w", "--quality", str(quality)]
        self.version = version_of("speex")

    def code(self, clip: Tensor) -> Coded:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            stored = len(self._encode(clip, folder))
            data = self._encode(padded(clip), folder)
            run("speexdec", folder / "coded.spx", folder / "out.wav")
            waveform, _ = audio.load(folder / "out.wav", sample_rate=RATE)
        # speexdec removes the look-ahead from a file of several pages and leaves it in one page
        # (255 packets, 5.1 s), so these are two delays. The first two pages are headers.
        pages = sum(1 for _ in ogg_pages(data)) - 2
        group = "one page" if pages == 1 else "several pages"
        return Coded(waveform, self.kbps, 8 * stored, group)

    def _encode(self, sound: Tensor, folder: Path) -> bytes:
        save(folder / "in.wav", audio.resample(sound, RATE, self.rate), self.rate)
        run("speexenc", *self.options, folder / "in.wav", folder / "coded.spx")
        return (folder / "coded.spx").read_bytes()


def installed() -> tuple[list[Coder], dict[str, str]]:
    """The codecs that can run here, and for each family that cannot, a sentence that says so."""
    coders: list[Coder] = []
    absent = {}
    for package, (family, programs, _) in PACKAGES.items():
        lost = [program for program in programs if shutil.which(program) is None]
        if lost:
            absent[family] = (
                f"{family} is skipped: no program {' and '.join(lost)} here (Debian package "
                f"{package})."
            )
        elif family == "Codec2":
            coders += map(Codec2, "3200 2400 1600 1300 1200 700C 450 450PWB".split())
        elif family == "Opus":
            coders += [Opus(6, 20, "cbr"), Opus(6, 60, "cbr")]
            coders += [Opus(kbps, 60, "vbr") for kbps in (6, 8, 9, 12, 16)]
        else:
            coders += [Speex(band, quality) for band in ("nb", "wb") for quality in range(3)]
    return coders, absent


def padded(clip: Tensor) -> Tensor:
    """`clip (samples,)` with half a second of digital silence before and after it."""
    return F.pad(clip, (PAD, PAD))


def pcm(waveform: Tensor) -> np.ndarray:
    """16-bit samples; what the resampling filter pushed beyond full scale is cut."""
    return (waveform * 32768).round().clamp(-32768, 32767).numpy().astype("<i2")


def save(path: Path, waveform: Tensor, rate: int) -> None:
    """Write a 16-bit WAV, cut to full scale without a warning."""
    audio.save(path, waveform.clamp(-1, 1), rate)


def run(program: str, *arguments: object) -> None:
    """Run a program quietly. Raises ValueError with what it said if it fails."""
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise ValueError(f"{program} failed ({done.returncode}): {said[-1] if said else 'silent'}")


@functools.cache
def version_of(package: str) -> str:
    """Versions of a Debian package and its library; elsewhere, part of its first program's hash."""
    _, programs, library = PACKAGES[package]
    try:
        command = ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", package, library]
        found = subprocess.run(command, capture_output=True, text=True).stdout.split("\n")
    except OSError:
        found = []
    versions = [line for line in found if len(line.split()) == 2]
    if versions:
        return ", ".join(versions)
    program = shutil.which(programs[0])
    assert program is not None  # installed() asked
    return f"{package} sha256:{hashlib.sha256(Path(program).read_bytes()).hexdigest()[:12]}"


class Page(NamedTuple):
    """One Ogg page: its packets' pieces, and whether the first and the last are whole."""

    pieces: list[bytes]
    continued: bool  # the first piece goes on from the page before
    open: bool  # the last piece goes on in the next page


def ogg_pages(data: bytes) -> Iterator[Page]:
    """The pages of an Ogg file. Raises ValueError where the bytes are not one."""
    place = 0
    while place < len(data):
        head = data[place : place + 27]
        if len(head) < 27 or head[:4] != b"OggS":
            raise ValueError(f"there is no Ogg page at byte {place} of {len(data)}")
        lacing = data[place + 27 : place + 27 + head[26]]
        place += 27 + head[26]
        if place + sum(lacing) > len(data):
            raise ValueError(f"the Ogg page before byte {place} is cut off")
        pieces, piece = [], b""
        for size in lacing:
            piece += data[place : place + size]
            place += size
            if size < 255:  # a segment of 255 bytes goes on in the next one
                pieces.append(piece)
                piece = b""
        is_open = bool(lacing) and lacing[-1] == 255
        yield Page(pieces + [piece] * is_open, bool(head[5] & 1), is_open)


def ogg_packets(data: bytes) -> list[bytes]:
    """The packets of an Ogg file with one stream, headers included, put together across pages."""
    packets: list[bytes] = []
    rest = b""
    for page in ogg_pages(data):
        for n, piece in enumerate(page.pieces):
            whole = (rest if n == 0 and page.continued else b"") + piece
            if page.open and n == len(page.pieces) - 1:
                rest = whole
            else:
                packets.append(whole)
                rest = b""
    return packets


def opus_seconds(packet: bytes) -> float:
    """How long the sound of one Opus packet is, from its first two bytes (RFC 6716, 3.1)."""
    config, code = packet[0] >> 3, packet[0] & 3
    if config < 12:
        frame = (10, 20, 40, 60)[config % 4]
    elif config < 16:
        frame = (10, 20)[config % 2]
    else:
        frame = (2.5, 5, 10, 20)[config % 4]
    frames = packet[1] & 63 if code == 3 else (1, 2, 2)[code]
    return frame * frames / 1000


def opus_kbps(data: bytes, start: float, end: float) -> float:
    """Rate of the packets that cover `start` to `end` seconds of an Opus file's sound.

    A packet that reaches over an edge counts by its share within.
    """
    head, _, *packets = ogg_packets(data)
    time = -int.from_bytes(head[10:12], "little") / 48_000  # pre-skip: decoded, then thrown away
    bits = 0.0
    for packet in packets:
        seconds = opus_seconds(packet)
        inside = max(0.0, min(time + seconds, end) - max(time, start))
        bits += 8 * len(packet) * inside / seconds
        time += seconds
    return bits / (end - start) / 1000


def delay_of(originals: Sequence[Tensor], decoded: Sequence[Tensor]) -> int:
    """By how many samples the decoded sounds are late (negative: early), one figure for all.

    The lag, within 100 ms, at which the mel envelopes (in dB, one frame a millisecond, up to
    4 kHz) fit best, on average over the pairs. A codec that draws the waveform anew keeps the
    envelope but not the phase, and the waveform's own correlation would land on a wrong pitch
    period; where that correlation is above 0.5 all the same, it decides within 3 ms of the
    envelope's lag, to the sample.

    originals, decoded : sounds (samples,) at 16 kHz, with silence of 100 ms or more at both ends
    """
    hop, fits = ENVELOPE.hop_length, torch.zeros(2 * LONGEST_DELAY + 1)
    pairs = [
        (x, F.pad(y, (0, max(0, len(x) - len(y))))[: len(x)])
        for x, y in zip(originals, decoded, strict=True)
    ]
    for x, y in pairs:
        fits += _correlation(_envelope(x), _envelope(y), LONGEST_DELAY)
    coarse = (int(fits.argmax()) - LONGEST_DELAY) * hop
    near = 3 * hop
    most = abs(coarse) + near
    waves = sum(_correlation(x[None], y[None], most) for x, y in pairs) / len(pairs)
    window = waves[most + coarse - near : most + coarse + near + 1]
    return coarse - near + int(window.argmax()) if float(window.max()) > 0.5 else coarse


def _envelope(waveform: Tensor) -> Tensor:
    """Mel decibels (bands, milliseconds) above the floor, 60 dB under the loudest; silence is 0."""
    db = spectral.log_mel(waveform, ENVELOPE)
    return (db - (db.max() - 60)).clamp(min=0)


def _correlation(x: Tensor, y: Tensor, most: int) -> Tensor:
    """Fit of `x` and `y (rows, n)`, moved by -most … most steps, 1 where they are alike."""
    n = x.shape[-1]
    size = 2 ** math.ceil(math.log2(2 * n))
    product = torch.fft.rfft(x, size).conj() * torch.fft.rfft(y, size)
    fit = torch.fft.irfft(product, size).sum(0) / (x.norm() * y.norm()).clamp(min=1e-9)
    return torch.cat([fit[-most:], fit[: most + 1]])
