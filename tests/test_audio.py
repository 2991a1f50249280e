"""Sound files: what is read, what is refused and in which words, and what levels and lengths do."""

import errno
import io
import math
import os
import struct
import tracemalloc
import warnings

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vqlab import audio

RATE = 16000


def tone(samples=RATE, hz=440.0, rate=RATE, amplitude=0.5):
    return amplitude * torch.sin(2 * math.pi * hz * torch.arange(samples) / rate)


def write(path, samples, rate=RATE, **options):
    soundfile.write(path, np.asarray(samples), rate, **options)
    return path


# ---- load


def test_a_16_bit_file_survives_load_and_save_bit_for_bit(tmp_path):
    integers = np.concatenate([np.arange(-32768, 32768, 7), [32767]]).astype(np.int16)
    write(tmp_path / "a.wav", integers)
    waveform, rate = audio.load(tmp_path / "a.wav")
    assert (waveform.dtype, waveform.ndim, rate) == (torch.float32, 1, RATE)
    for name in ("b.wav", "b.flac"):
        audio.save(tmp_path / name, waveform, rate)
        np.testing.assert_array_equal(soundfile.read(tmp_path / name, dtype="int16")[0], integers)
        assert soundfile.info(tmp_path / name).subtype == "PCM_16"


def test_stereo_at_44100_becomes_mono_and_is_resampled_on_request(tmp_path):
    left, right = tone(44100, 440.0, 44100), tone(44100, 1000.0, 44100)
    path = write(tmp_path / "s.wav", torch.stack([left, right], 1), 44100, subtype="FLOAT")
    waveform, rate = audio.load(path)
    assert rate == 44100
    torch.testing.assert_close(waveform, (left + right) / 2)
    waveform, rate = audio.load(path, sample_rate=RATE)
    assert (rate, len(waveform)) == (RATE, RATE)
    expected = (tone(hz=440.0) + tone(hz=1000.0)) / 2
    assert (waveform - expected)[500:-500].abs().max() < 2e-3


def test_eight_bits_zeros_and_fifty_samples_are_sounds_too(tmp_path):
    eight, _ = audio.load(write(tmp_path / "8.wav", tone(), subtype="PCM_U8"))
    assert (eight - tone()).abs().max() <= 1 / 128
    zeros, _ = audio.load(write(tmp_path / "0.wav", np.zeros(100)))
    assert len(zeros) == 100 and not zeros.any()
    short, rate = audio.load(write(tmp_path / "50.wav", tone(50), 44100), sample_rate=RATE)
    assert rate == RATE and len(short) == math.ceil(50 * 16000 / 44100)


def test_a_wav_that_ends_early_is_read_as_far_as_it_goes_with_a_warning(tmp_path):
    path = write(tmp_path / "cut.wav", tone())
    whole = path.read_bytes()
    path.write_bytes(whole[: 44 + 2 * 1000])
    with pytest.warns(UserWarning, match="promises 16000 samples, 1000"):
        waveform, _ = audio.load(path)
    assert len(waveform) == 1000 and (waveform - tone()[:1000]).abs().max() < 1e-4
    path.write_bytes(whole[:44])
    with pytest.raises(ValueError, match="no samples"):
        audio.load(path)


def test_a_flac_that_ends_early_gives_a_warning_or_a_sentence(tmp_path):
    generator = torch.Generator().manual_seed(0)
    path = write(tmp_path / "cut.flac", torch.randn(60000, generator=generator) * 0.1)
    path.write_bytes(path.read_bytes()[:60000])
    with pytest.warns(UserWarning, match="cut short"):
        waveform, _ = audio.load(path)
    assert 0 < len(waveform) < 60000


def test_a_whole_file_and_a_piped_one_do_not_warn(tmp_path):
    path = write(tmp_path / "pipe.wav", tone())
    data = bytearray(path.read_bytes())
    data[40:44] = b"\xff\xff\xff\xff"  # a program that writes to a pipe cannot know the size
    (tmp_path / "whole.flac").write_bytes(b"")
    write(tmp_path / "whole.flac", tone())
    write(tmp_path / "odd.wav", np.zeros(101), subtype="PCM_U8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name in ("pipe.wav", "whole.flac", "odd.wav"):
            audio.load(tmp_path / name)
        path.write_bytes(data)
        assert len(audio.load(path)[0]) == RATE


def test_a_header_that_claims_terabytes_costs_no_memory(tmp_path):
    path = write(tmp_path / "huge.flac", tone(2000))
    data = bytearray(path.read_bytes())
    # STREAMINFO: total samples are the low 36 bits of the 8 bytes at 18 of the file.
    (word,) = struct.unpack(">Q", data[18:26])
    data[18:26] = struct.pack(">Q", word | (1 << 36) - 1)
    path.write_bytes(data)
    assert soundfile.info(path).frames > 10**10  # the claim is believed by the library
    tracemalloc.start()
    try:
        with pytest.warns(UserWarning, match="cut short"):
            waveform, _ = audio.load(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000  # bytes
    finally:
        tracemalloc.stop()
    assert len(waveform) == 2000


def test_numbers_that_are_no_samples_are_refused(tmp_path):
    for value in (np.nan, np.inf, 1e30):
        bad = tone().numpy().copy()
        bad[77] = value
        with pytest.raises(ValueError, match="NaN or infinite|scale of integers"):
            audio.load(write(tmp_path / "bad.wav", bad, subtype="FLOAT"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"just some words, no sound at all\n" * 20, "cannot be read as sound"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "cannot be read as sound"),
        (b"\x00" * 5000, "cannot be read as sound"),
    ],
)
def test_files_that_hold_no_sound_are_refused_in_one_sentence(tmp_path, content, words):
    path = tmp_path / "word.wav"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        audio.load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_missing_files_folders_and_devices_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file"):
        audio.load(tmp_path / "none.wav")
    with pytest.raises(FileNotFoundError, match="no file"):
        audio.load(write(tmp_path / "a.wav", tone()) / "b.wav")
    with pytest.raises(ValueError, match="folder"):
        audio.load(tmp_path)
    if os.path.exists("/dev/zero"):
        with pytest.raises(ValueError, match="device"):
            audio.load("/dev/zero")


def test_a_file_without_permission_is_refused(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", tone())
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read everything
    with pytest.raises(ValueError, match="permissions"):
        audio.load(path)


# ---- save


def test_saving_too_loud_a_sound_warns_with_the_peak_and_does_not_wrap(tmp_path):
    with pytest.warns(UserWarning, match=r"1\.500"):
        audio.save(tmp_path / "loud.wav", torch.tensor([0.0, 1.5, -1.5]), RATE)
    np.testing.assert_array_equal(
        soundfile.read(tmp_path / "loud.wav", dtype="int16")[0], [0, 32767, -32768]
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        audio.save(tmp_path / "full.wav", torch.tensor([1.0, -1.0]), RATE)


def test_what_cannot_be_saved_is_refused(tmp_path):
    with pytest.raises(ValueError, match="mp3"):
        audio.save(tmp_path / "a.mp3", tone(), RATE)
    with pytest.raises(FileNotFoundError, match="folder"):
        audio.save(tmp_path / "no" / "a.wav", tone(), RATE)
    with pytest.raises(ValueError, match="mono"):
        audio.save(tmp_path / "a.wav", torch.zeros(2, 100), RATE)
    with pytest.raises(ValueError, match="NaN"):
        audio.save(tmp_path / "a.wav", torch.tensor([0.0, math.nan]), RATE)
    with pytest.raises(ValueError, match="sample rate"):
        audio.save(tmp_path / "a.wav", tone(), 0)
    assert not list(tmp_path.iterdir())


# ---- resample


@pytest.mark.parametrize(("a", "b"), [(8000, 16000), (44100, 16000), (16000, 8000)])
def test_resampling_keeps_a_tone(a, b):
    x = torch.stack([tone(a, 700.0, a), tone(a, 1500.0, a)])
    y = audio.resample(x, a, b)
    assert y.shape == (2, b)
    expected = torch.stack([tone(b, 700.0, b), tone(b, 1500.0, b)])
    assert (y - expected)[:, 300:-300].abs().max() < 2e-3


@given(st.integers(1, 500), st.sampled_from([8000, 11025, 16000, 22050, 44100, 48000]))
def test_resampled_length_is_exact(samples, rate):
    assert len(audio.resample(torch.ones(samples), rate, 16000)) == -(-samples * 16000 // rate)


def test_resampling_refuses_rates_that_are_none():
    for rate in (0, -8000, 1, 16000.0, "16000", 10**9):
        with pytest.raises(ValueError, match="sample rate"):
            audio.resample(tone(), rate, RATE)


# ---- level

sounds = hnp.arrays(np.float32, st.integers(1, 400), elements=st.floats(-1, 1, width=32)).map(
    torch.from_numpy
)


def test_levels_of_known_sounds():
    assert audio.level(torch.ones(100)) == pytest.approx(0.0)
    assert audio.level(tone(amplitude=1.0)) == pytest.approx(-3.01, abs=0.01)
    assert audio.level(torch.full((10,), 0.1)) == pytest.approx(-20.0)
    assert audio.level(torch.zeros(10)) == -math.inf


def test_set_level_reaches_the_level_or_stops_at_full_scale():
    quiet, gain = audio.set_level(tone(amplitude=0.9), -30.0)
    assert audio.level(quiet) == pytest.approx(-30.0, abs=1e-3)
    loud, gain = audio.set_level(tone(amplitude=0.5), 0.0)
    assert gain == pytest.approx(6.02, abs=0.01)
    assert 0.999 < loud.abs().max() <= 1.0
    silence, gain = audio.set_level(torch.zeros(5), -20.0)
    assert gain == 0.0 and not silence.any()
    assert audio.set_level(torch.tensor([1e-44]), 0.0) == (torch.tensor([1e-44]), 0.0)


@given(sounds, st.floats(-60, 0))
def test_set_level_never_clips_and_can_be_undone(waveform, target):
    scaled, gain_db = audio.set_level(waveform, target)
    assert scaled.abs().max() <= 1.0
    back = scaled / 10 ** (gain_db / 20)
    torch.testing.assert_close(back, waveform, rtol=1e-4, atol=1e-30)


# ---- fit_length


@given(sounds, st.integers(1, 500))
def test_fit_length_gives_the_length_and_keeps_the_best_window(waveform, length):
    fitted = audio.fit_length(waveform, length)
    assert len(fitted) == length
    power = waveform.double().square()
    if len(waveform) <= length:
        best = power.sum()
    else:
        best = power.unfold(0, length, 1).sum(1).max()
    assert fitted.double().square().sum() >= best * (1 - 1.01e-4) - 1e-12


def test_padding_is_even_at_both_ends():
    torch.testing.assert_close(
        audio.fit_length(torch.ones(3), 8), torch.tensor([0, 0, 1, 1, 1, 0, 0, 0.0])
    )


@pytest.mark.parametrize("start", [0, 300, 7000, 19000])
def test_a_word_is_not_cut_and_stands_in_the_middle_where_it_can(start):
    sound = torch.zeros(20000)
    sound[start : start + 1000] = tone(1000)
    fitted = audio.fit_length(sound, 4000)
    inside = torch.nonzero(fitted).squeeze(1)
    assert fitted.square().sum() == pytest.approx(float(sound.square().sum()), rel=2e-4)
    if 3000 <= start <= 16000:
        assert abs(int(inside[0]) - 1500) < 20


def test_a_batch_is_cut_at_one_place_and_silence_in_the_middle():
    batch = torch.zeros(2, 10)
    batch[0, 6], batch[1, 7] = 1.0, 1.0
    torch.testing.assert_close(audio.fit_length(batch, 2), torch.eye(2))
    assert audio.fit_length(torch.zeros(10), 4).shape == (4,)
    for length in (0, -1, 2.0):
        with pytest.raises(ValueError, match="length"):
            audio.fit_length(torch.ones(3), length)


def test_a_length_may_be_numpys():
    assert audio.fit_length(torch.ones(5), np.int64(3)).shape == (3,)


def test_an_impossible_rate_in_a_header_is_named_with_the_file(tmp_path):
    soundfile.write(tmp_path / "slow.wav", np.zeros(100), 16000)
    data = bytearray((tmp_path / "slow.wav").read_bytes())
    data[24:28] = (8).to_bytes(4, "little")
    (tmp_path / "slow.wav").write_bytes(data)
    for wanted in (None, 16000):
        with pytest.raises(ValueError, match="slow.wav.* 8 Hz"):
            audio.load(tmp_path / "slow.wav", sample_rate=wanted)


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("full_after", [0, 44, 1000, 30_000])
def test_a_full_disk_is_never_called_done(tmp_path, monkeypatch, suffix, full_after):
    """At whatever byte the disk is full, in the sound or when the library ends the file."""

    class Full(io.FileIO):
        written = 0

        def write(self, data):
            if self.written + len(data) > full_after:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.written += len(data)
            return super().write(data)

    def fdopen(descriptor, mode):
        return Full(descriptor, "w+b")

    monkeypatch.setattr("vqlab.files.os.fdopen", fdopen)
    place = tmp_path / f"a.{suffix}"
    place.write_bytes(b"the old one")
    with pytest.raises(OSError, match="the disk is full; make room there") as error:
        audio.save(place, 0.1 * torch.randn(20_000), 16000)
    assert error.value.filename == str(place) and list(tmp_path.iterdir()) == [place]
    assert place.read_bytes() == b"the old one"


def test_a_link_is_written_through_and_said(tmp_path):
    (tmp_path / "there").mkdir()
    target = tmp_path / "there" / "real.wav"
    audio.save(target, torch.zeros(100), 16000)
    (tmp_path / "link.wav").symlink_to(target)
    with pytest.warns(UserWarning, match="link.wav is a link"):
        audio.save(tmp_path / "link.wav", torch.zeros(200), 16000)
    assert (tmp_path / "link.wav").is_symlink() and len(audio.load(target)[0]) == 200
