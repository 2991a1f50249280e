"""What notebook 10 says of files holds: lengths, budgets, the checksum's proofs; its whisper."""

import binascii
import math

import pytest
import torch
from _series import cells, solutions, sources, taught
from _support import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

import vqlab
from vqlab import audio, datasets, spectral
from vqlab.codec import packing
from vqlab.metrics import measures

SOLUTIONS = solutions("10")


# --- the exercises do what the package does -------------------------------------------------------


@given(st.integers(1, packing.MOST_SAMPLES))
def test_a_length_is_written_as_in_the_file(samples):
    assert bytes(SOLUTIONS.varint(samples)) == packing._varint(samples)


def test_16000_takes_the_two_bytes_that_the_notebook_shows():
    assert SOLUTIONS.varint(16_000) == [128, 125]
    assert SOLUTIONS.varint(127) == [127] and SOLUTIONS.varint(128) == [128, 1]


@given(st.integers(1, 10**9), st.sampled_from(packing.SAMPLE_RATES), st.floats(0.25, 64))
def test_what_a_budget_keeps_from_the_codes_is_the_overhead(samples, rate, kbps):
    whole, codes = SOLUTIONS.budget(samples, rate, kbps)
    assert whole - codes == packing.overhead(samples)
    bits = 1000 * kbps * samples / rate
    assert 8 * whole <= bits * (1 + 1e-12) and bits < 8 * (whole + 1) * (1 + 1e-12)


def test_a_compressed_file_keeps_to_the_budget():
    word = datasets.load("words", "test")[3].waveform
    data = vqlab.compress(word, kbps=0.75)
    whole, codes = SOLUTIONS.budget(len(word), 16_000, 0.75)
    assert len(data) <= whole and len(packing.unpack(data).payload) <= codes
    assert len(data) > 0.9 * whole


@settings(max_examples=25)
@given(st.floats(-83, 30))
def test_the_gain_byte_is_that_of_the_codec(level_db):
    codec = vqlab.load_pretrained()
    tone = torch.sin(2 * math.pi * 500 * torch.arange(8000, dtype=torch.float64) / 16_000)
    _, gain_db = codec.normalise((tone * math.sqrt(2) * 10 ** (level_db / 20)).float())
    assert abs(SOLUTIONS.gain_byte(level_db) - (round(2 * gain_db) + 127)) <= (
        1 if abs(2 * level_db % 1 - 0.5) < 1e-3 else 0  # where a rounding error decides
    )


def test_silence_gets_no_gain():
    assert vqlab.load_pretrained().normalise(torch.zeros(8000))[1] == 0.0
    assert SOLUTIONS.gain_byte(-math.inf) == 127


@given(st.binary(max_size=40))
def test_the_checksum_by_hand_is_that_of_the_file(data):
    assert SOLUTIONS.crc16(data) == binascii.crc_hqx(data, 0)


def test_the_checksum_of_the_traditional_text():
    assert SOLUTIONS.crc16(b"123456789") == 0x31C3


# --- what the notebook proves of the checksum -----------------------------------------------------


def remainder(error):
    """Of an error in the last bits of a file, as a number."""
    return binascii.crc_hqx(error.to_bytes(8, "big"), 0)


def test_every_burst_of_16_bits_is_noticed():
    assert all(remainder(burst << 3) for burst in range(1, 1 << 16))


def test_of_the_bursts_of_17_bits_exactly_the_generator_is_missed():
    inner = range(1 << 15)
    missed = [1 << 16 | bits << 1 | 1 for bits in inner if not remainder(1 << 16 | bits << 1 | 1)]
    assert missed == [0x11021]


@given(st.sets(st.integers(0, 63), min_size=1).filter(lambda bits: len(bits) % 2))
def test_an_odd_number_of_flipped_bits_is_noticed(bits):
    assert remainder(sum(1 << bit for bit in bits)) != 0


def test_two_flipped_bits_are_missed_from_32767_places_apart_on():
    power, places = 2, 1  # x, then x squared, …, modulo the generator
    while power != 1:
        power = power << 1 ^ (0x11021 if power & 0x8000 else 0)
        places += 1
    assert places == 32_767
    assert 32_767 // 8 < 4096


def test_damage_is_judged_by_the_error_alone():
    dice = torch.Generator().manual_seed(0)
    file, error = (
        bytes(torch.randint(256, (50,), generator=dice, dtype=torch.uint8)) for _ in "ab"
    )
    both = bytes(x ^ y for x, y in zip(file, error, strict=True))
    assert binascii.crc_hqx(both, 0) == binascii.crc_hqx(file, 0) ^ binascii.crc_hqx(error, 0)
    no_error = binascii.crc32(bytes(50))
    assert binascii.crc32(both) ^ binascii.crc32(file) == binascii.crc32(error) ^ no_error


# --- the notebook's other claims ------------------------------------------------------------------


def test_12_db_softer_changes_the_gain_and_the_checksum_only():
    voice, _ = audio.load(ROOT / "data" / "voices" / "en" / "welcome.flac")
    one = vqlab.compress(voice, kbps=1.0)
    other = vqlab.compress(voice * 10 ** (-12 / 20), kbps=1.0)
    places = [i for i, (x, y) in enumerate(zip(one, other, strict=True)) if x != y]
    assert set(places) <= {7, len(one) - 2, len(one) - 1} and 7 in places


def repetition(waveform, start, length=1024):
    """The highest peak of the normalised autocorrelation between 80 and 330 Hz."""
    piece = waveform[start : start + length].double()
    power = torch.fft.rfft(piece * torch.hann_window(length, dtype=torch.double), 2 * length)
    correlation = torch.fft.irfft(power.abs().square())
    return float(correlation[48:200].max() / correlation[0])


def test_the_notebooks_whisper_keeps_the_loudness_and_loses_the_pitch():
    whisper = taught("10", "whisper", torch=torch, spectral=spectral)["whisper"]
    time = torch.arange(16_000) / 16_000
    hum = 0.05 * sum(torch.sin(2 * math.pi * k * 150 * time + k * k) for k in range(1, 20))
    breath = whisper(hum)
    assert repetition(hum, 6000) > 0.7 and repetition(breath, 6000) < 0.35
    assert audio.level(breath) == pytest.approx(audio.level(hum), abs=0.01)
    coarse = spectral.MelConfig(n_mels=12)
    mean = [spectral.to_db(spectral.mel(x, coarse).mean(dim=-1)) for x in (hum, breath)]
    loud = mean[0] > mean[0].max() - 20
    assert (mean[0] - mean[1])[loud].abs().max() < 4


def test_a_measure_of_spectrograms_likes_noise_better_than_an_organ():
    codec = vqlab.load_pretrained()
    organs = datasets.load("notes", "test", families="organ")
    noise = 0.1 * torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    organ = organs[len(organs) // 2].waveform
    lost = [measures.log_mel_distance(x, codec.reconstruct(x, kbps=1.0)) for x in (noise, organ)]
    assert lost[0] < 4 < 8 < lost[1]


# --- how the notebook is made ---------------------------------------------------------------------


def test_the_recorder_comes_after_a_player_and_saves_nothing():
    ids = [cell["id"] for cell in cells("10")]
    recorder = cells("10")[ids.index("nb10-recorder")]
    assert recorder["outputs"] == []
    assert ids.index("nb10-hear-player") < ids.index("nb10-recorder")


def test_it_says_where_a_recording_stays():
    prose = "".join(sources("10", "markdown"))
    assert "stays on your machine" in prose and "clear its outputs" in prose


def test_one_switch_takes_it_to_a_file_and_one_to_more_of_everything():
    lines = [line for text in sources("10") for line in text.splitlines()]
    assert sum(line.startswith("FILE = ") for line in lines) == 1
    assert sum("if FAST else" in line for line in lines) >= 3
