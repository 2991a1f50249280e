"""What notebook 10 says of files holds: header, the checksum's proofs, figures; its whisper."""

import binascii
import math

import pytest
import torch
from _series import cells, solutions, sources, taught
from _support import ROOT
from hypothesis import given
from hypothesis import strategies as st

import vqlab
from vqlab import audio, datasets, features, spectral
from vqlab.codec import packing
from vqlab.files import bundled
from vqlab.lessons import own_file
from vqlab.metrics import measures

SOLUTIONS = solutions("10")
OURS = own_file.program({})


# --- the exercises do what the package does -------------------------------------------------------


@given(st.integers(1, packing.MOST_SAMPLES))
def test_a_length_is_written_as_in_the_file(samples):
    assert bytes(SOLUTIONS.varint(samples)) == packing._varint(samples)


def test_16000_takes_the_two_bytes_that_the_notebook_shows():
    assert SOLUTIONS.varint(16_000) == [128, 125]
    assert SOLUTIONS.varint(127) == [127] and SOLUTIONS.varint(128) == [128, 1]


@given(st.binary(max_size=40))
def test_the_checksum_by_hand_is_the_one_that_python_has(data):
    assert OURS.checksum(data) == binascii.crc_hqx(data, 0).to_bytes(2, "big")


def test_the_checksum_of_the_traditional_text():
    assert OURS.checksum(b"123456789").hex() == "31c3"


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
    model = OURS.load_codec(bundled("weights", "own", "my_codec.npz"))
    voice, _ = audio.load(ROOT / "data" / "voices" / "en" / "welcome.flac")
    one, other = (OURS.compress(voice * gain, model) for gain in (1, 10 ** (-12 / 20)))
    places = [i for i, (x, y) in enumerate(zip(one, other, strict=True)) if x != y]
    assert set(places) <= {0, len(one) - 2, len(one) - 1} and 0 in places


def test_the_header_and_the_checksum_of_a_word_are_6_of_156_bytes():
    assert OURS.RATE // (OURS.HOP * OURS.STRIDE) * OURS.STAGES * math.log2(OURS.CODES) / 8 == 150
    assert "6 bytes, 4 % of a file of a second" in "".join(sources("10", "markdown"))


def test_the_figures_of_other_codecs_are_those_of_the_table():
    heading, _, *lines = (ROOT / "docs/results/codecs/table.md").read_text("utf-8").splitlines()
    names = [cell.strip() for cell in heading.strip("|").split("|")]
    rows = [
        dict(zip(names, (c.strip() for c in line.strip("|").split("|")), strict=True))
        for line in lines
        if line.startswith("|")
    ]
    by_name = {row["codec"].strip("*"): row for row in rows}
    said = "".join(sources("10", "markdown"))
    for name, sentence in (
        ("Codec2 3200", "Codec2 at {kbps:g} kbit/s has {stoi:.2f} and {pesq:.2f}"),
        ("vqlab 1", "the shipped codec at {kbps:g} kbit/s {stoi:.2f} and {pesq:.2f}"),
    ):
        row = by_name[name]
        stoi, pesq = (float(row[measure].split()[0]) for measure in ("STOI", "PESQ-wb"))
        kbps = float(row["stored kbit/s"])
        assert sentence.format(kbps=kbps, stoi=stoi, pesq=pesq) in said
    card = (ROOT / "data/weights/own/README.md").read_text("utf-8")
    assert "| 1.22 | 0.828 [" in card and "| 2.11 [" in card
    assert "STOI 0.83 and PESQ 2.1 at 1.22 kbit/s" in said


def test_a_block_sees_as_much_context_as_the_notebook_says():
    assert features.CONTEXT_SECONDS == 2.5 and features.BLOCK_SECONDS == 10


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


def test_two_noises_are_as_far_from_each_other_as_the_notebook_says():
    one, other = 0.1 * torch.randn(2, 20_000, generator=torch.Generator().manual_seed(0))
    assert measures.log_mel_distance(one, other) == pytest.approx(2.6, abs=0.1)
    assert "are 2.6 dB from each other" in "".join(sources("10", "markdown"))


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
