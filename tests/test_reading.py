"""Files that are not what their headers say: each read rightly, or said in one sentence.

`sounds/` holds three that other programs wrote: `noxing.mp3` and `ff_pipe.flac` (ffmpeg, into a
pipe) and `concat.mp3` (two files of LAME, one after the other).
"""

import math
import os
import subprocess
import sys
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import vqlab
from vqlab import audio
from vqlab.audio.long import spool

RATE, SAMPLES = 16000, 32000
SOUNDS = Path(__file__).parent / "sounds"


def sound(samples=SAMPLES):
    noise = np.random.default_rng(0).standard_normal(samples)
    return 0.3 * np.sin(2 * np.pi * 440 / RATE * np.arange(samples)) + 0.01 * noise


def write(path, samples=None, **options):
    soundfile.write(path, sound() if samples is None else samples, RATE, **options)
    return path


def changed(path, *changes):
    """The file with bytes put in: pairs of a place, or of bytes to find and a distance, and new."""
    data = bytearray(path.read_bytes())
    for place, new in changes:
        at = place if isinstance(place, int) else data.find(place[0]) + place[1]
        data[at : at + len(new)] = new
    path.write_bytes(data)
    return path


def said(path):
    """The length that is read, and what is said about it."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        waveform, _ = audio.load(path)
        with spool(path, RATE) as spooled:
            assert len(spooled) > 0
    once = [str(warning.message) for warning in caught]
    assert once[: len(once) // 2] == once[len(once) // 2 :]  # spool says what load says
    assert all(str(path) in line and "\n" not in line for line in once)
    return len(waveform), once[: len(once) // 2]


# ---- the length that a header promises

CUT = [
    ("WAV", "PCM_16"), ("WAV", "PCM_24"), ("WAV", "FLOAT"), ("WAV", "ULAW"), ("WAV", "IMA_ADPCM"),
    ("WAV", "MS_ADPCM"), ("WAV", "GSM610"), ("WAV", "G721_32"), ("WAVEX", "PCM_16"),
    ("RF64", "PCM_16"), ("W64", "PCM_16"), ("W64", "IMA_ADPCM"), ("W64", "GSM610"),
    ("AIFF", "PCM_16"), ("AIFF", "FLOAT"), ("AIFF", "IMA_ADPCM"), ("AIFF", "GSM610"),
    ("AU", "PCM_16"), ("AU", "ULAW"), ("AU", "G721_32"),
    ("SVX", "PCM_16"), ("NIST", "PCM_16"), ("AVR", "PCM_16"), ("FLAC", "PCM_16"),
    ("MP3", "MPEG_LAYER_III"),
]  # fmt: skip


@pytest.mark.parametrize("format, subtype", CUT)
def test_what_a_cut_file_lacks_is_said(tmp_path, format, subtype):
    path = write(tmp_path / "a.bin", format=format, subtype=subtype)
    whole, nothing = said(path)
    assert whole == pytest.approx(SAMPLES, rel=0.02) and nothing == []
    path.write_bytes(path.read_bytes()[: round(0.6 * path.stat().st_size)])
    length, (line,) = said(path)
    assert 0.4 * SAMPLES < length < 0.65 * SAMPLES
    promised = int(line.partition("promises ")[2].split()[0])
    assert "is cut short" in line and promised == pytest.approx(whole, rel=0.015)
    if subtype.startswith(("PCM", "FLOAT", "ULAW")):
        assert promised == whole


@pytest.mark.parametrize("size", [0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7F000024])
def test_a_size_that_a_pipe_left_promises_nothing(tmp_path, size):
    for order, name, chunk in (("little", "a.wav", b"data"), ("big", "a.aiff", b"SSND")):
        path = write(tmp_path / name)
        place = path.read_bytes().find(chunk) + 4
        changed(path, (4, size.to_bytes(4, order)), (place, size.to_bytes(4, order)))
        assert said(path) == (SAMPLES, [])
        with audio.opened(path) as file:
            assert file.promise == ("unknown", 0)


def test_streams_of_other_programs_are_read_without_an_alarm():
    assert said(SOUNDS / "ff_pipe.flac") == (44555, [])
    assert said(SOUNDS / "noxing.mp3") == (124416, [])
    with audio.opened(SOUNDS / "noxing.mp3") as file:
        assert file.promise == ("estimated", 125246)


@pytest.mark.parametrize("name", ["a.wav", "a.rf64"])
def test_sizes_that_were_never_filled_in_are_no_reason_to_lose_the_sound(tmp_path, name):
    path = write(tmp_path / name, format=name[2:].upper())
    if name == "a.wav":
        changed(path, (4, bytes(4)), ((b"data", 4), bytes(4)))
    else:
        changed(path, ((b"ds64", 8), bytes(24)), ((b"data", 4), b"\xff" * 4))
    length, (line,) = said(path)
    assert length == SAMPLES and "never finished" in line
    with pytest.warns(UserWarning, match="never finished"):
        np.testing.assert_allclose(audio.load(path)[0], sound(), atol=1e-4)


def test_what_the_decoder_cannot_open_is_refused_in_one_sentence(tmp_path):
    path = write(tmp_path / "a.caf")
    path.write_bytes(path.read_bytes()[:40000])
    with pytest.raises(ValueError, match="a.caf cannot be read as sound .*malformed"):
        audio.load(path)


def test_a_file_that_is_empty_by_its_header_stays_so(tmp_path):
    path = write(tmp_path / "a.wav", np.zeros(0))
    data = path.read_bytes() + b"LIST" + (40).to_bytes(4, "little") + bytes(40)
    path.write_bytes(data[:4] + (len(data) - 8).to_bytes(4, "little") + data[8:])
    with pytest.raises(ValueError, match="no samples"):
        audio.load(path)


def test_headers_of_nothing_but_zeros_end(tmp_path):
    path = tmp_path / "a.wav"
    for start in (b"RIFF\0\0\0\0WAVE", b"riff" + bytes(36), b"ID3", b"caff\0\1\0\0", b".snd"):
        path.write_bytes(start + bytes(1 << 20))
        with pytest.raises(ValueError):
            audio.load(path)


# ---- what is in the file


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.au", "a.w64", "a.caf", "a.flac", "a.ogg"])
def test_of_joined_sounds_the_first_is_read_and_that_is_said(tmp_path, name):
    path = write(tmp_path / name)
    path.write_bytes(2 * path.read_bytes())
    length, (line,) = said(path)
    assert length == SAMPLES and "joined" in line


def test_of_joined_mp3s_the_first_is_read_and_that_is_said():
    length, (line,) = said(SOUNDS / "concat.mp3")
    assert length == 32001 and "joined" in line


def test_the_decoder_says_nothing_of_its_own(tmp_path):
    whole = write(tmp_path / "whole.mp3", format="MP3")
    data = bytearray(whole.read_bytes())
    data[3000:3300] = bytes(300)
    (tmp_path / "damaged.mp3").write_bytes(data)
    names = [whole, tmp_path / "damaged.mp3", SOUNDS / "concat.mp3"]
    code = (
        "import sys, warnings; from vqlab import audio; warnings.simplefilter('ignore')\n"
        "for name in sys.argv[1:]: audio.load(name)\n"
        "print('said', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *names], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "said\n")


def test_samples_without_a_header_get_the_command_that_helps(tmp_path):
    path = tmp_path / "a.raw"
    path.write_bytes((32767 * sound()).astype("<i2").tobytes())
    with pytest.raises(ValueError, match="ffmpeg -f s16le -ar 16000 -ac 1 -i INPUT output.wav"):
        audio.load(path)


@pytest.mark.skipif(os.name != "posix", reason="file names are bytes here only")
def test_a_name_need_not_be_text(tmp_path):
    write(tmp_path / "a.wav").rename(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav"))
    assert len(audio.load(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.wav"))[0]) == SAMPLES


def test_channels_that_cancel_and_an_offset_are_said(tmp_path):
    x = sound()
    path = write(tmp_path / "cancel.wav", np.stack([x, -x], 1))
    assert "cancel one another" in said(path)[1][0]
    path = write(tmp_path / "offset.wav", 0.1 * x + 0.4)
    assert "offset of +0.4" in said(path)[1][0]
    path = write(tmp_path / "fine.wav", np.stack([x + 0.05, np.zeros_like(x)], 1))
    assert said(path)[1] == []


def test_another_scale_is_refused_with_the_command_that_helps(tmp_path):
    path = write(tmp_path / "a.wav", 26510 * sound(), subtype="FLOAT")
    with pytest.raises(ValueError, match="divide by 32768.*volume=1/32768"):
        audio.load(path)
    write(path, 20 * sound(), subtype="FLOAT")
    assert audio.load(path)[0].abs().max() > 5


def test_a_limit_on_the_length_is_kept_before_anything_is_loaded(tmp_path):
    path = tmp_path / "hours.flac"
    with soundfile.SoundFile(path, "w", RATE, 1) as file:
        for _ in range(60):
            file.write(np.zeros(60 * RATE, np.int16))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="lasts 3600 s, taken are at most 60 s"):
            audio.load(path, longest=60)
        with pytest.raises(ValueError, match="at most 120 s"):
            vqlab.widgets.recorder(clip=path)
        assert tracemalloc.get_traced_memory()[1] < 20_000_000  # bytes; the hour has 230 MB
    finally:
        tracemalloc.stop()
    with pytest.raises(ValueError, match="lasts longer"):
        audio.load(SOUNDS / "ff_pipe.flac", longest=1)
    assert len(audio.load(SOUNDS / "ff_pipe.flac", longest=3)[0]) == 44555


# ---- one sound in memory


@pytest.mark.parametrize(
    "waveform, words",
    [
        (np.zeros(100, np.int16), "the waveform holds int16.*divide 16-bit samples by 32768"),
        (torch.zeros(2, 100), r"shape \(2, 100\)"),
        (np.zeros(0), r"shape \(0,\)"),
        ([0.0, math.nan], "1 samples that are NaN"),
    ],
)
def test_what_is_no_sound_is_refused(waveform, words):
    with pytest.raises(ValueError, match=words):
        audio.one_sound(waveform)


def test_a_sound_keeps_its_precision():
    assert audio.one_sound([0.5]).dtype == torch.float32
    assert audio.one_sound(np.array([0.1])).item() == 0.1
    assert audio.one_sound(torch.tensor([0.5]).half()).dtype == torch.float32
