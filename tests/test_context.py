"""Networks that price codes: whole numbers, alike in any order, and nothing else is read."""

import dataclasses

import golden
import numpy as np
import pytest
import torch
from _support import ROOT
from hypothesis import given, settings
from hypothesis import strategies as st

import vqlab
from vqlab.codec import Codec, context, entropy, packing

SIZE = 40
NETS = golden.nets(3, SIZE)
TABLES = dataclasses.replace(entropy.uniform([SIZE] * 4), nets=NETS)


@st.composite
def codes(draw):
    """Codes (4, positions) of drawn depths."""
    positions = draw(st.integers(1, 30))
    noise = np.random.default_rng(draw(st.integers(0, 2**32)))
    found = noise.integers(0, SIZE, (4, positions))
    return np.where(np.arange(4)[:, None] < noise.integers(1, 5, positions), found, -1)


def by_hand(net, codes, position):
    """Weights as docs/file-format.md has them, in Python's whole numbers."""
    total = [int(b) for b in net.bias]
    for (row, first, last), table in zip(net.windows.tolist(), net.tables.tolist(), strict=True):
        there = range(max(position + first, 0), min(position + last + 1, codes.shape[1]))
        seen = [int(codes[row, q]) for q in there if codes[row, q] >= 0]
        for i in range(len(total)):
            total[i] += sum(table[code][i] for code in seen) // max(len(seen), 1)
    hidden = [max(0, x) for x in total]
    logits = [
        (sum(o * h for o, h in zip(row, hidden, strict=True)) + b) >> int(net.shift)
        for row, b in zip(net.out.tolist(), net.out_bias.tolist(), strict=True)
    ]
    below = [max(logits) - logit for logit in logits]
    halved = [int(context.HALVINGS[d % 32]) >> min(d // 32, 31) for d in below]
    return [weight + 2**18 // len(halved) for weight in halved]


@settings(max_examples=20)
@given(codes())
def test_weights_are_those_of_the_page_on_the_format(found):
    for stage, net in enumerate(NETS):
        at = np.flatnonzero(found[stage] >= 0)
        weights = net.weights(found, at)
        assert weights.tolist() == [by_hand(net, found, position) for position in at]
        one_by_one = [net.weights(found, at[n : n + 1])[0] for n in range(len(at))]
        assert np.array_equal(weights.reshape(-1, SIZE), np.reshape(one_by_one, (-1, SIZE)))


def test_the_largest_numbers_are_exact_in_any_order_of_summing():
    rng = np.random.default_rng(1)
    tables = rng.choice([-128, 127], (1, SIZE, 1024))
    bias, out = rng.integers(0, 2**31, 1024), rng.choice([-128, 127], (SIZE, 1024))
    net = context.Net(np.array([(0, -1, -1)]), tables, bias, out, np.zeros(SIZE, int), np.array(20))
    found = rng.integers(0, SIZE, (1, 9))
    expected = [by_hand(net, found, position) for position in range(9)]
    for order in (np.arange(1024), rng.permutation(1024)):
        other = dataclasses.replace(
            net, tables=tables[..., order], bias=bias[order], out=out[:, order]
        )
        assert other.weights(found, np.arange(9)).tolist() == expected


@settings(max_examples=20)
@given(codes())
def test_coding_with_networks_is_undone_and_as_short_as_its_price(found):
    depth = (found >= 0).sum(axis=0)
    data = TABLES.encode(found)
    assert np.array_equal(TABLES.decode(data, found.shape[1], lambda first: depth), found)
    assert abs(8 * len(data) - TABLES.cost(found).sum()) < 32
    assert TABLES.cost(found)[found >= 0].min() > context.LEAST_BITS


def test_long_rows_are_coded_in_chunks():
    found = np.random.default_rng(0).integers(0, SIZE, (4, 3 * 64 + 1))
    data = TABLES.encode(found)
    depth = np.full(found.shape[1], 4)
    assert np.array_equal(TABLES.decode(data, found.shape[1], lambda first: depth), found)


def test_a_codec_with_networks_writes_version_3_and_reads_no_other(tmp_path):
    plain = Codec.load(ROOT / "tests/golden/version2/codec.safetensors")
    path = ROOT / "tests/golden/version3/codec.safetensors"
    codec = Codec.load(path)
    codec.save(tmp_path / "again.safetensors")
    assert Codec.load(tmp_path / "again.safetensors").identity() == codec.identity()
    assert codec.identity() != plain.identity()
    sound = golden.sound(1.0, 0)
    data = vqlab.compress(sound, model=path)
    packed = packing.unpack(data)
    assert packed.version == 3 and data[:2] == b"V\x33"
    assert len(data) == len(packed.payload) + 10 == codec.overhead(len(sound)) + len(packed.payload)
    assert packing.unpack(vqlab.compress(sound, model=path.parents[1] / "version2")).version == 2
    old = packing.pack(dataclasses.replace(packed, version=2))
    with pytest.raises(ValueError, match="other weights"):
        codec.from_bytes(old)


@pytest.mark.parametrize(
    "name, value",
    [
        ("net_0.windows", [[0, -1, 0], [0, -9, -2]]),  # sees the code itself
        ("net_1.windows", [[1, -1, -1], [0, -9, -2], [0, 0, 0], [0, -4, 4]]),  # its own row
        ("net_1.windows", [[3, -1, -1], [0, -9, -2], [0, 0, 0], [0, -4, 4]]),
        ("net_1.windows", [[0, -1, -1], [0, -9, -2], [0, 0, 0], [0, -4, 999]]),
        ("net_1.windows", [[0, -1, -1]]),
        ("net_1.out_bias", [0, 0]),
        ("net_2.bias", [0] * 9),
        ("net_2.bias", []),
        ("net_2.shift", [1]),
        ("net_2.shift", 99),
    ],
)
def test_networks_that_do_not_fit_are_refused(name, value):
    tensors = context.to_tensors(NETS)
    tensors[name] = torch.tensor(value).to(tensors[name].dtype)
    with pytest.raises(ValueError, match="do not fit"):
        context.taken_from(dict(tensors), "", [SIZE] * 4)
