"""Entropy coding: whole numbers, the ideal length, and a reader written from the documentation."""

from bisect import bisect_right

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vqlab.codec import entropy


def random_tables(seed, size=16, stages=3, groups=4):
    generator = np.random.default_rng(seed)
    weights = generator.integers(1, entropy.LARGEST_WEIGHT, (groups + stages - 1, size))
    weights = np.maximum(1, weights // generator.integers(1, 2000, weights.shape))
    context = np.concatenate([np.arange(groups), generator.integers(0, groups, size - groups)])
    return entropy.Tables(context, weights[:groups], list(weights[groups:]))


def random_codes(seed, positions, size=16, stages=3):
    """Codes (stages, positions) that end, at each position, at a random depth."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(0, size, (stages, positions))
    depth = 1 + generator.integers(0, stages, positions)
    codes[np.arange(stages)[:, None] >= depth] = -1
    return codes, depth


def read_by_the_book(data, tables, depth):
    """The decoder of docs/file-format.md in whole numbers, without the package's coder."""
    later = iter(data)
    point = 0
    for _ in range(8):
        point = point << 8 | next(later, 0)
    low, width = 0, 2**64 - 1

    def one(frequencies):
        nonlocal low, width, point
        starts = np.concatenate([[0], np.cumsum(frequencies)]).tolist()
        step = width >> 24
        code = bisect_right(starts, ((point - low) % 2**64) // step) - 1
        low, width = (low + step * starts[code]) % 2**64, step * int(frequencies[code])
        if width < 2**32:
            low, width = (low << 32) % 2**64, width << 32
            for _ in range(4):
                point = (point << 8 | next(later, 0)) % 2**64
        return code

    first = entropy.frequencies(tables.first)
    codes = np.full((1 + len(tables.later), len(depth)), -1)
    group = 0
    for position in range(len(depth)):
        codes[0, position] = one(first[group])
        group = tables.context[codes[0, position]]
    for stage, weights in enumerate(tables.later, start=1):
        for position in np.flatnonzero(depth > stage):
            codes[stage, position] = one(entropy.frequencies(weights))
    return codes


@given(st.integers(0, 1000), st.integers(1, 200))
def test_codes_come_back_from_their_bytes(seed, positions):
    tables, (codes, depth) = random_tables(seed), random_codes(seed, positions)
    data = tables.encode(codes)
    assert np.array_equal(tables.decode(data, positions, lambda _: depth), codes)


@settings(max_examples=50)
@given(st.integers(0, 1000), st.integers(1, 100))
def test_a_reader_written_from_the_documentation_finds_the_same_codes(seed, positions):
    tables, (codes, depth) = random_tables(seed), random_codes(seed, positions)
    assert np.array_equal(read_by_the_book(tables.encode(codes), tables, depth), codes)


@given(st.integers(0, 1000), st.integers(1, 400))
def test_the_bytes_are_hardly_more_than_the_ideal_length(seed, positions):
    tables, (codes, _) = random_tables(seed), random_codes(seed, positions)
    ideal = tables.cost(codes).sum() / 8
    assert len(tables.encode(codes)) <= 1.001 * ideal + 2


def test_the_ideal_length_is_the_sum_of_minus_log2_of_the_shares():
    tables = entropy.Tables(np.array([0, 1]), np.array([[3, 1], [1, 1]]), [np.array([1, 7])])
    codes = np.array([[0, 1, 0], [1, -1, 0]])
    # 3 of 4; then, after code 0 (group 0), 1 of 4; after code 1 (group 1), 1 of 2. Stage 2: 7 and 1
    # of 8.
    share = [[3 / 4, 1 / 4, 1 / 2], [7 / 8, 1, 1 / 8]]
    assert tables.cost(codes) == pytest.approx(-np.log2(share), abs=1e-5)


@given(st.lists(st.integers(1, entropy.LARGEST_WEIGHT), min_size=1, max_size=300))
def test_frequencies_sum_to_the_total_and_none_is_zero(weights):
    table = entropy.frequencies(np.array(weights))
    assert table.sum() == entropy.TOTAL and table.min() >= 1
    more = np.array(weights)[:, None] > np.array(weights)
    assert (table[:, None] >= table)[more].all()


def test_frequencies_by_hand():
    # 2**24 - 3 = 16,777,213 to share as 1 : 2 : 4, rounded down, and 1 each; what is left over
    # (two of the three roundings lose something) goes to the heaviest.
    expected = [1 + 16777213 * w // 7 for w in (1, 2, 4)]
    expected[2] += 2**24 - sum(expected)
    assert entropy.frequencies(np.array([1, 2, 4])).tolist() == expected
    assert expected == [2396745, 4793490, 9586981]


def test_uniform_tables_cost_log2_of_the_codebook():
    codes, _ = random_codes(0, 50)
    tables = entropy.uniform([16] * 3)
    assert tables.cost(codes)[codes >= 0] == pytest.approx(4, abs=1e-5)
    assert len(tables.encode(codes)) == pytest.approx((codes >= 0).sum() / 2, abs=1.01)


@pytest.mark.parametrize("size", [2, 3, 1000, 4096])
def test_any_size_of_codebook(size):
    tables = entropy.uniform([size])
    codes = np.arange(100)[None] % size
    data = tables.encode(codes)
    assert np.array_equal(tables.decode(data, 100, lambda f: np.ones(len(f))), codes)


def test_what_was_counted_gets_cheap_and_what_was_not_stays_possible():
    seen = [np.array([[3, 3, 3, 5] * 50, [2] * 200])]
    tables = entropy.fit(seen, [8, 8], np.arange(8))
    cheap, dear = np.array([[3, 3], [2, 2]]), np.array([[7, 7], [6, 6]])
    assert tables.cost(cheap).sum() < 4 < 20 < tables.cost(dear).sum()
    data = tables.encode(dear)
    assert np.array_equal(tables.decode(data, 2, lambda f: np.full(len(f), 2)), dear)


def test_the_code_before_makes_the_next_one_cheaper():
    """0 and 1 alternate: each is half of all codes, and certain once the one before is known."""
    seen = [np.array([[0, 1] * 2000])]
    known = entropy.fit(seen, [2], np.arange(2)).cost(seen[0])[0, 1:].mean()
    unknown = entropy.fit(seen, [2], np.zeros(2, int)).cost(seen[0])[0, 1:].mean()
    assert unknown == pytest.approx(1, abs=0.01) and known < 0.1


def test_similar_codes_share_a_group():
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    codebook = centres.repeat_interleave(20, dim=0) + 0.1 * torch.randn(60, 2)
    groups = entropy.group_codes(codebook, 3).reshape(3, 20)
    assert (groups == groups[:, :1]).all() and len(set(groups[:, 0])) == 3
    assert entropy.group_codes(codebook[:3], 3).tolist() == [0, 1, 2]


def test_grouping_does_not_move_the_random_state():
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    entropy.group_codes(torch.randn(50, 4, generator=torch.Generator().manual_seed(0)), 5)
    assert torch.equal(torch.rand(1), expected)


def test_bytes_too_few_for_the_positions_are_refused_before_memory_is_taken():
    tables = entropy.uniform([16])
    with pytest.raises(ValueError, match="cannot hold 1152921504606846976 positions"):
        tables.decode(b"1234", 2**60, lambda f: np.ones(len(f)))


@given(st.binary(max_size=60), st.integers(1, 60))
def test_other_bytes_give_other_codes_or_are_refused(data, positions):
    """Whatever decodes is what these codes are written as: no two files mean the same."""
    tables = random_tables(1, stages=1)
    try:
        codes = tables.decode(data, positions, lambda f: np.ones(len(f)))
    except ValueError as error:
        assert "not valid" in str(error)
    else:
        assert tables.encode(codes) == data


def test_bytes_that_nobody_reads_are_noticed():
    tables, (codes, depth) = random_tables(0), random_codes(0, 100)
    data = tables.encode(codes)
    for wrong in (data + b"\0", data + b"\1", data + b"12345678"):
        with pytest.raises(ValueError, match="not valid"):
            tables.decode(wrong, 100, lambda _: depth)


def test_a_long_row_of_the_first_code_takes_its_bits_like_any_other():
    """Its number is 0, and a reader takes zeros for what is missing: still it is not left out."""
    codes = np.zeros((1, 800), int)
    assert len(entropy.uniform([16]).encode(codes)) == pytest.approx(400, abs=1)


def test_the_rarest_code_costs_15_bits_beside_one_frequent_code():
    tables = entropy.Tables(np.array([0, 0]), np.array([[entropy.LARGEST_WEIGHT, 1]]), [])
    assert tables.cost(np.array([[1]]))[0, 0] == pytest.approx(15, abs=0.01)
    data = tables.encode(np.ones((1, 1000), int))
    assert len(data) in (1875, 1876)
    assert len(tables.encode(np.zeros((1, 1000), int))) <= 1
