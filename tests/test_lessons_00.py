"""Notebook 00 counts as the package counts: its table of bytes, its solutions, its map."""

import binascii
import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import vqlab
from vqlab import lessons, packing

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
NOTEBOOK = NOTEBOOKS / "00_start_here.ipynb"
CELLS = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]


@pytest.fixture(autouse=True)
def fresh_page():
    lessons.forget()


def taught():
    """What the notebook's cells with the tag "defines" bring forth."""
    space = {}
    for cell in CELLS:
        if "defines" in cell["metadata"].get("tags", []):
            exec("".join(cell["source"]), space)  # the notebook's own text
    return space


def solutions():
    spec = importlib.util.spec_from_file_location(
        "solutions_00", NOTEBOOKS / "solutions" / "00_start_here.py"
    )
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


packed_files = st.builds(
    lambda identity, quality, half_db, samples, count, bits, seed: packing.pack(
        identity,
        quality,
        half_db / 2,
        samples,
        np.random.default_rng(seed).integers(0, 2**bits, count),
        bits,
    ),
    st.binary(min_size=2, max_size=2),
    st.integers(0, 255),
    st.integers(-127, 127),
    st.integers(1, packing.MOST_SAMPLES),
    st.integers(1, 400),
    st.integers(1, 12),
    st.integers(0, 1000),
)


@settings(deadline=None, max_examples=200)
@given(data=packed_files)
def test_the_byte_table_of_the_notebook_says_what_packing_says(data):
    rows = taught()["byte_table"](data)
    values = {meaning: value for _, _, meaning, value in rows}
    packed = packing.unpack(data)
    assert values["what kind of file"] == packing.MAGIC.decode()
    assert values["version of the format"] == packing.VERSION
    assert values["which network made it"] == packed.identity.hex()
    assert values["quality"] == packed.quality
    assert values["gain in dB"] == packed.gain_db
    assert values["length in samples"] == packed.samples
    assert values["codes"] == packed.payload
    assert int(values["checksum"], 16) == binascii.crc_hqx(data[:-2], 0)


@settings(deadline=None, max_examples=50)
@given(data=packed_files)
def test_in_the_byte_table_each_byte_belongs_to_one_row(data):
    rows = taught()["byte_table"](data)
    starts, ends = [row[0] for row in rows], [row[1] for row in rows]
    assert starts == [0, *ends[:-1]] and ends[-1] == len(data)


def test_the_byte_table_opens_a_file_that_compress_wrote():
    data = vqlab.compress(torch.sin(torch.arange(16_000) * 0.05) * 0.1, kbps=1.0)
    values = {meaning: value for _, _, meaning, value in taught()["byte_table"](data)}
    assert values["length in samples"] == 16_000
    assert values["which network made it"] == vqlab.load_pretrained().identity().hex()


@pytest.mark.parametrize("kbps", [0.5, 1.0, 1.5])
def test_the_solutions_size_is_that_of_a_file_of_the_codec(kbps):
    codec = vqlab.load_pretrained()
    data = vqlab.compress(word_like(), kbps=kbps)
    codes, _ = codec.encode(word_like(), quality=packing.unpack(data).quality)
    count = int((codes >= 0).sum())
    assert len(data) == solutions().file_bytes(count, codec.bits_per_code)
    assert 8 * len(data) <= 1000 * kbps
    assert count >= math.prod(codec.grid(16_000))  # the first stage is everywhere


def test_the_solutions_rate_is_the_codecs():
    codec, solved = vqlab.load_pretrained(), solutions()
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


@settings(deadline=None, max_examples=100)
@given(codes=st.lists(st.integers(0, 4095), min_size=1, max_size=40), bits=st.integers(12, 14))
def test_the_solution_unpacks_what_packing_packs(codes, bits):
    data = packing.pack_bits(np.array(codes), bits)
    assert solutions().unpack_bits(data, len(codes), bits) == codes


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
    (series,) = [
        text for cell in CELLS if (text := "".join(cell["source"])).startswith("## The series")
    ]
    rows = [line for line in series.splitlines() if line[:4].strip("| ").isdigit()]
    assert [row[2:4] for row in rows] == [f"{n:02}" for n in range(13)]
    for row in rows[1:]:
        written = sorted(path.name for path in NOTEBOOKS.glob(f"{row[2:4]}_*.ipynb"))
        assert ("not written yet" in row) == (not written)
        assert all(f"]({name})" in row for name in written)
