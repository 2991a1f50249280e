"""Notebook 00 counts as the package counts: its table of bytes, its solutions, its map."""

import binascii
import math

import pytest
import torch
from _series import NOTEBOOKS, solutions, sources, taught
from hypothesis import given, settings
from hypothesis import strategies as st

import vqlab
from vqlab import datasets, lessons
from vqlab.codec import packing
from vqlab.lessons import nb00

packed_files = st.builds(
    packing.Packed,
    sample_rate=st.sampled_from(packing.SAMPLE_RATES),
    identity=st.binary(min_size=2, max_size=2),
    quality=st.integers(0, 255),
    gain_db=st.integers(-127, 127).map(lambda half: half / 2),
    samples=st.integers(1, packing.MOST_SAMPLES),
    payload=st.binary(max_size=400),
).map(packing.pack)


@settings(max_examples=200)
@given(data=packed_files)
def test_the_byte_table_of_the_notebook_says_what_packing_says(data):
    rows = taught("00")["byte_table"](data)
    values = {meaning: value for _, _, meaning, value in rows}
    packed = packing.unpack(data)
    assert values["what kind of file"] == packing.MAGIC.decode()
    assert values["sample rate, version"] == f"{packed.sample_rate} Hz, version {packing.VERSION}"
    assert values["which network made it"] == packed.identity.hex()
    assert values["quality"] == packed.quality
    assert values["gain in dB"] == packed.gain_db
    assert values["length in samples"] == packed.samples
    assert values["codes"] == packed.payload
    assert int(values["checksum"], 16) == binascii.crc_hqx(data[:-2], 0)


@settings(max_examples=50)
@given(data=packed_files)
def test_in_the_byte_table_each_byte_belongs_to_one_row(data):
    rows = taught("00")["byte_table"](data)
    starts, ends = [row[0] for row in rows], [row[1] for row in rows]
    assert starts == [0, *ends[:-1]] and ends[-1] == len(data)


def test_the_byte_table_opens_a_file_that_compress_wrote():
    data = vqlab.compress(torch.sin(torch.arange(16_000) * 0.05) * 0.1, kbps=1.0)
    values = {meaning: value for _, _, meaning, value in taught("00")["byte_table"](data)}
    assert values["length in samples"] == 16_000
    assert values["sample rate, version"].startswith("16000 Hz")
    assert values["which network made it"] == vqlab.load_pretrained().identity().hex()


@settings(max_examples=100)
@given(count=st.integers(0, 400), bits=st.integers(1, 14))
def test_the_solutions_size_is_that_of_a_plain_file(count, bits):
    assert solutions("00").file_bytes(count, bits) == len(nb00.plain_file([0] * count, bits))


def test_a_plain_file_has_the_packages_header_and_checksum_around_the_codes_bits():
    codes = [469, 229, 682, 20, 1023]
    packed = packing.unpack(nb00.plain_file(codes, 10))
    assert (packed.sample_rate, packed.samples) == (16_000, 16_000)
    assert nb00.unpack_bits_of(packed.payload, 5, 10) == codes
    real = packing.overhead(16_000)  # of a file of the codec
    assert len(nb00.plain_file(codes, 10)) == real + 7 and real == 10 + packing.CHECKSUM_BYTES


@pytest.fixture(scope="module")
def opened():
    """For some words of the bundled test part: (rate, file, codes in it, their prices in bits)."""
    codec, words = vqlab.load_pretrained(), datasets.load("words", "test")
    found = []
    for i in range(0, len(words), 30):
        for kbps in (0.5, 1.0, 1.5):
            data = vqlab.compress(words[i].waveform, kbps=kbps)
            codes = codec.from_bytes(data)[0][0]
            found.append((kbps, data, codes, torch.from_numpy(codec.tables.cost(codes.numpy()))))
    return found


def test_files_keep_their_rate_and_are_smaller_than_plain_ones(opened):
    for kbps, data, codes, _ in opened:
        assert 8 * len(data) <= 1000 * kbps
        assert len(data) < len(nb00.plain_file(codes[codes >= 0].tolist(), 10))


def test_the_notebooks_word_takes_fewer_bits_at_the_highest_rate_than_its_nominal_rate():
    codec, word = vqlab.load_pretrained(), datasets.load("words", "test", words="right")[8]
    data = vqlab.compress(word.waveform, kbps=1.5)
    assert 8 * len(data) < 10 * int((codec.from_bytes(data)[0] >= 0).sum())


def test_the_range_coder_stays_within_a_byte_of_the_ideal(opened):
    over = [len(packing.unpack(data).payload) - float(p.sum()) / 8 for _, data, _, p in opened]
    assert max(over) < 1 and min(over) > -1


def test_codes_of_the_first_stage_cost_less_than_those_of_later_stages(opened):
    first = torch.cat([prices[0] for *_, prices in opened])
    later = torch.cat([prices[1:][codes[1:] >= 0] for _, _, codes, prices in opened])
    assert first.mean() < later.mean() - 1
    assert 9 < later.mean() < 10  # "nearly their full 10 bits"


def test_where_the_sound_goes_on_codes_of_the_first_stage_are_cheap(opened):
    codec = vqlab.load_pretrained()
    same, new = [], []
    for _, _, codes, prices in opened:
        group = torch.from_numpy(codec.tables.context)[codes[0].long()]
        stays = group[1:] == group[:-1]
        same.append(prices[0, 1:][stays])
        new.append(prices[0, 1:][~stays])
    assert torch.cat(same).mean() < torch.cat(new).mean() - 1


def test_codes_drawn_at_random_cost_more_than_in_a_plain_file():
    codes = torch.randint(1024, (15, 400), generator=torch.Generator().manual_seed(0))
    prices = torch.from_numpy(vqlab.load_pretrained().tables.cost(codes.numpy()))
    assert (prices.mean(dim=1) > 10).all()


def test_the_solutions_rate_is_the_codecs():
    codec, solved = vqlab.load_pretrained(), solutions("00")
    positions = math.prod(codec.grid(16_000))
    (size,) = set(codec.model.bottleneck.codebook_sizes)
    for stages, rate in enumerate(codec.rates, start=1):
        assert solved.bits_per_second(positions * stages, size, 1.0) == pytest.approx(rate)


def word_like():
    """Noise that swells and fades within a second of near silence."""
    swell = torch.hann_window(16_000, periodic=False) ** 4
    return 0.1 * swell * torch.randn(16_000, generator=torch.Generator().manual_seed(0))


def test_what_is_loud_gets_more_codes_as_the_notebook_says():
    codec = vqlab.load_pretrained()
    quality = codec.quality_for(word_like(), 1.0)
    depth = (codec.encode(word_like(), quality=quality)[0][0] >= 0).sum(dim=0).float()
    fifth = len(depth) // 5
    middle, ends = depth[2 * fifth : 3 * fifth], torch.cat([depth[:fifth], depth[-fifth:]])
    assert middle.mean() > 1.5 * ends.mean()


@settings(max_examples=100)
@given(codes=st.lists(st.integers(0, 4095), min_size=1, max_size=40), bits=st.integers(12, 14))
def test_the_solution_unpacks_what_a_plain_file_packs(codes, bits):
    data = nb00.pack_bits(codes, bits)
    assert solutions("00").unpack_bits(data, len(codes), bits) == codes


def test_an_integer_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="3 bits hold 0 to 7"):
        nb00.pack_bits([5, 8], 3)


# What learners may write that is none of the listed mistakes: an answer all the same, or a pass.


def test_a_loop_with_shifts_unpacks_as_well():
    def unpack_bits(data, count, bits):
        number = int.from_bytes(data, "big") >> (8 * len(data) - count * bits)
        return [(number >> (bits * (count - 1 - i))) & (2**bits - 1) for i in range(count)]

    assert lessons.check("00-unpack-bits", unpack_bits)


def test_half_a_second_too_much_is_told_by_its_value():
    verdict = lessons.check("00-seconds", lambda samples, rate: samples / rate + 0.5)
    assert verdict.state == "wrong" and "is 2; it should be 1.5" in verdict.sentence


def test_whole_bytes_for_each_code_and_a_missing_checksum_get_different_hints():
    whole = lessons.check("00-file-bytes", lambda count, bits: 12 + 2 * count)
    missing = lessons.check("00-file-bytes", lambda count, bits: 10 + math.ceil(count * bits / 8))
    assert "bit by bit" in whole.sentence and "checksum" in missing.sentence


def test_the_map_names_thirteen_notebooks_and_links_those_that_exist():
    (series,) = [text for text in sources("00", "markdown") if text.startswith("## The series")]
    rows = [line for line in series.splitlines() if line[:4].strip("| ").isdigit()]
    assert [row[2:4] for row in rows] == [f"{n:02}" for n in range(13)]
    for row in rows[1:]:
        written = sorted(path.name for path in NOTEBOOKS.glob(f"{row[2:4]}_*.ipynb"))
        assert ("not written yet" in row) == (not written)
        assert all(f"]({name})" in row for name in written)
