"""The packed file: every byte has its place, and nothing else is accepted."""

import dataclasses
import json
import time

import pytest
import torch
from _support import ROOT
from hypothesis import given
from hypothesis import strategies as st

import vqlab
from vqlab import audio, datasets
from vqlab.codec import packing
from vqlab.codec.packing import Packed, pack, unpack

files = st.builds(
    Packed,
    st.sampled_from(packing.SAMPLE_RATES),
    st.binary(min_size=2, max_size=2),
    st.integers(0, 255),
    st.integers(-127, 127).map(lambda half_db: half_db / 2),
    st.integers(1, packing.MOST_SAMPLES),
    st.binary(max_size=60),
    st.sampled_from([2, 3]),
)


@given(files)
def test_packing_is_undone_exactly(packed):
    data = pack(packed)
    assert unpack(data) == packed
    assert len(data) == packing.overhead(packed.samples, packed.version) + len(packed.payload)
    assert packing.overhead(packed.samples, packed.version) <= 16


def test_a_file_by_hand():
    data = pack(Packed(16000, b"\xab\xcd", 70, -3.5, 16000, b"codes"))
    # 16,000 Hz is the fourth rate: 3 << 4 | 2. -3.5 dB: 127 - 7. 16,000 is 125 * 128 + 0.
    head = b"VQL" + bytes([0x32]) + b"\xab\xcd" + bytes([70, 120]) + bytes([0x80, 125])
    assert data[:-2] == head + b"codes"
    assert data[-2:] == crc16(data[:-2]).to_bytes(2, "big")
    short = pack(Packed(16000, b"\xab\xcd", 70, -3.5, 16000, b"codes", version=3))
    assert short[:-2] == b"V" + bytes([0x33]) + head[4:] + b"codes"


def crc16(data):
    """CRC-16/XMODEM bit by bit: polynomial x**16 + x**12 + x**5 + 1, beginning with 0."""
    crc = 0
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x1021) & 0xFFFF if crc & 0x8000 else crc << 1
    return crc


@given(files, st.data())
def test_any_change_of_one_byte_is_noticed(packed, data):
    whole = bytearray(pack(packed))
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError):
        unpack(bytes(whole))


def checked(body):
    return body + packing.binascii.crc_hqx(body, 0).to_bytes(2, "big")


@pytest.mark.parametrize(
    "body, said",
    [
        (b"RIFF____WAVEfmt ", "does not begin like one"),
        (b"VQL\x33ab\x08\x7f\x10data", "format version 3, not 2 or 3"),
        (b"V\x34ab\x08\x7f\x10data", "format version 4, not 2 or 3: update vqlab"),
        (b"VQL\x01ab\x08\x7f\x10data", "format version 1, not 2 or 3: compress the sound again"),
        (b"V\xf3ab\x08\x7f\x10data", "header is not valid"),
        (b"V\x33ab\x08\x7f", "damaged or cut off"),
        (b"V\x32ab\x08\x7f\x10data", "does not begin like one"),
        (b"VQL\xf2ab\x08\x7f\x10data", "header is not valid"),  # sample rate 15
        (b"VQL\x32ab\x08\x7f\x00data", "header is not valid"),  # no samples
        (b"VQL\x32ab\x08\x7f\x90\x00data", "header is not valid"),  # 16 in two bytes
        (b"VQL\x32ab\x08\x7f" + b"\xff" * 9, "length field"),  # 2**63 samples
        (b"VQL\x32ab\x08\x7f", "damaged or cut off"),
    ],
)
def test_what_pack_does_not_write_is_refused(body, said):
    with pytest.raises(ValueError, match=said):
        unpack(checked(body))


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_in_one_sentence(data):
    for prefix in (b"", b"VQL\0", b"VQL\x32", b"V\x33"):
        with pytest.raises(ValueError) as caught:
            unpack(prefix + data)
        assert "\n" not in str(caught.value)


def test_another_sample_rate_and_more_samples_than_fit_are_refused():
    with pytest.raises(ValueError, match="no place for the sample rate 11000"):
        pack(Packed(11000, b"ab", 0, 0.0, 100, b""))
    with pytest.raises(ValueError, match="cut it into parts"):
        pack(Packed(16000, b"ab", 0, 0.0, 2**35, b""))


@pytest.fixture(scope="module")
def word():
    return datasets.load("words", "test", words="right")[0].waveform


def test_every_damaged_byte_of_a_real_file_is_noticed(word):
    data = vqlab.compress(word, kbps=0.5)
    for place in range(len(data)):
        for change in (1, 0x10, 0xFF):
            broken = bytearray(data)
            broken[place] ^= change
            with pytest.raises(ValueError):
                vqlab.decompress(bytes(broken))


def test_every_cut_of_a_real_file_is_noticed(word):
    data = vqlab.compress(word, kbps=0.5)
    for length in range(len(data)):
        with pytest.raises(ValueError):
            vqlab.decompress(data[:length])


def test_a_file_that_claims_days_of_sound_is_refused_at_once(word):
    """With a right checksum, so that only the claim is wrong."""
    packed = unpack(vqlab.compress(word, kbps=0.5))
    for samples in (2**34, 10**9, 10**7):
        data = pack(dataclasses.replace(packed, quality=40, samples=samples))
        started = time.process_time()
        with pytest.raises(ValueError, match="cannot hold"):
            vqlab.decompress(data)
        assert time.process_time() - started < 1


def test_the_shipped_codecs_files_are_hardly_more_than_their_ideal_length(word):
    codec = vqlab.load_pretrained()
    for kbps in (0.3, 0.5, 1.0, 2.0):
        data = vqlab.compress(word, kbps=kbps)
        codes, samples, _ = codec.from_bytes(data)
        ideal = codec.tables.cost(codes[0].numpy()).sum() / 8
        rest = len(data) - packing.overhead(samples, 3)
        assert ideal <= rest + 1 and rest <= 1.02 * ideal + 4


def test_silence_takes_less_than_half_of_the_bits_of_its_codes():
    data = vqlab.compress(torch.zeros(160000), kbps=1.0)
    assert vqlab.decompress(data)[0].abs().max() < 1e-3
    codec = vqlab.load_pretrained()
    codes, gain_db = codec.encode(torch.zeros(160000), quality=0)
    assert len(codec.to_bytes(codes, 160000, gain_db, 0)) < 13 + 250 * 10 / 8 / 2


def test_saving_replaces_a_file_only_when_the_new_one_is_whole(word, tmp_path, monkeypatch):
    audio.save(tmp_path / "in.wav", word, 16000)
    (tmp_path / "x.vql").write_bytes(b"old")

    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        vqlab.compress(tmp_path / "in.wav", tmp_path / "x.vql")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.wav", "x.vql"]
    assert (tmp_path / "x.vql").read_bytes() == b"old"


STORED = sorted((ROOT / "tests" / "golden").glob("*/*.vql"))


@pytest.mark.parametrize("version", packing.MAGIC)
def test_there_are_stored_files_of_this_version(version):
    assert len([path for path in STORED if path.parent.name == f"version{version}"]) >= 4


@pytest.mark.parametrize("path", STORED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_stored_file_of_an_earlier_day_decodes_to_its_codes(path):
    codec = vqlab.load_pretrained(str(path.with_name("codec.safetensors")))
    expected = json.loads(path.with_name("codes.json").read_text())[path.name]
    codes, samples, gain_db = codec.from_bytes(path.read_bytes())
    assert codes[0].tolist() == expected["codes"]
    assert (samples, gain_db) == (expected["samples"], expected["gain_db"])
    assert codec.decode(codes, samples, gain_db).isfinite().all()
