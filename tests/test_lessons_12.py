"""Notebook 12 does what the package does: crossing, aligning, drawing; its own tools are right."""

import itertools
import math
from collections import Counter

import pytest
import torch
from _series import solutions, taught
from hypothesis import given, settings
from hypothesis import strategies as st
from vqlab.lessons.prior import _draw

import vqlab
from vqlab import edit
from vqlab.codec import entropy

SOLUTIONS = solutions("12")


@st.composite
def ragged(draw, stages=4, positions=5):
    depths = draw(st.lists(st.integers(1, stages), min_size=positions, max_size=positions))
    codes = torch.tensor(draw(st.lists(st.integers(0, 9), min_size=20, max_size=20)))
    there = torch.arange(stages)[:, None] < torch.tensor(depths)
    return codes.reshape(stages, positions).where(there, -1)[None]


@settings(max_examples=100)
@given(a=ragged(), b=ragged(), stages=st.integers(0, 4))
def test_the_solution_crosses_as_the_package_does(a, b, stages):
    assert SOLUTIONS.cross(a, b, stages).equal(edit.cross(a, b, stages))


def every_way(n, m):
    """All ways from the first cell to the last, as lists of cells."""
    if (n, m) == (1, 1):
        yield [(0, 0)]
    for down, right in ((1, 1), (1, 0), (0, 1)):
        if n > down and m > right:
            yield from ([*way, (n - 1, m - 1)] for way in every_way(n - down, m - right))


@settings(max_examples=30)
@given(n=st.integers(1, 5), m=st.integers(1, 5), seed=st.integers(0, 1000))
def test_the_cheapest_way_is_the_cheapest_of_all_ways(n, m, seed):
    cost = torch.rand(n, m, generator=torch.Generator().manual_seed(seed))
    least = min(sum(float(cost[cell]) for cell in way) for way in every_way(n, m))
    assert float(SOLUTIONS.cheapest_way(cost)) == pytest.approx(least, rel=1e-5)


def test_the_cheapest_way_is_the_one_that_align_takes():
    librosa = pytest.importorskip("librosa")
    cost = torch.rand(13, 9, generator=torch.Generator().manual_seed(0))
    total, _ = librosa.sequence.dtw(C=cost.numpy())
    assert float(SOLUTIONS.cheapest_way(cost)) == pytest.approx(float(total[-1, -1]), rel=1e-5)


def bits(things):
    counts = Counter(things)
    return -sum(n / len(things) * math.log2(n / len(things)) for n in counts.values())


@settings(max_examples=100)
@given(st.lists(st.integers(0, 4), min_size=2, max_size=60))
def test_a_code_given_the_one_before_costs_what_the_pair_costs_more(codes):
    found = SOLUTIONS.bits_given_before(codes)
    pairs = list(itertools.pairwise(codes))
    assert found == pytest.approx(bits(pairs) - bits(codes[:-1]), abs=1e-9)
    assert found <= bits(codes[1:]) + 1e-9  # knowing more does not hurt


def test_a_list_that_repeats_itself_costs_nothing_once_the_code_before_is_known():
    assert SOLUTIONS.bits_given_before([4, 1, 7] * 5) == pytest.approx(0)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("share", [0.3, 0.8, 1.0])
def test_the_prior_draws_as_the_solutions_say(temperature, share):
    logits = torch.tensor([1.0, -0.5, 0.3, 2.0, -2.0])
    p = SOLUTIONS.top_p(SOLUTIONS.cool(logits, temperature), share)
    n = 20_000
    generator = torch.Generator().manual_seed(0)
    drawn = _draw(logits.expand(n, -1), temperature, share, generator)
    counted = drawn.bincount(minlength=5) / n
    assert torch.equal(counted > 0, p > 0)
    assert torch.allclose(counted.float(), p, atol=4 * 0.5 / math.sqrt(n))


def test_how_often_comes_to_rest_where_a_chain_of_two_codes_does():
    first = torch.tensor([[0.9, 0.1], [0.3, 0.7]], dtype=torch.float64)
    share = taught("12", "how-often", torch=torch)["how_often"](first, torch.tensor([0, 1]))
    assert share.tolist() == pytest.approx([0.75, 0.25])  # 0.1 of 3/4 leaves, 0.3 of 1/4 comes


def test_how_often_agrees_with_the_keyboards_order():
    keys = pytest.importorskip("vqlab.widgets.keys")
    codec = vqlab.load_pretrained()
    first = torch.from_numpy(entropy.frequencies(codec.tables.first) / entropy.TOTAL)
    context = torch.from_numpy(codec.tables.context).long()
    share = taught("12", "how-often", torch=torch)["how_often"](first, context)
    assert float(share.sum()) == pytest.approx(1)
    assert share.numpy() == pytest.approx(keys.shares(codec), abs=1e-5)


@pytest.mark.parametrize("n_fft", [512, 1024])
@pytest.mark.parametrize("hz", [130.0, 180.0, 240.0, 330.0])
def test_the_notebooks_pitch_is_that_of_a_hum(hz, n_fft):
    time = torch.arange(n_fft) / 16_000
    hum = sum(torch.sin(2 * math.pi * k * hz * time + k) / k for k in range(1, 12))
    power = torch.fft.rfft(hum * torch.hann_window(n_fft)).abs().square()[:, None]
    found, repeats = taught("12", "pitch", torch=torch)["pitch"](power)
    assert float(found) == pytest.approx(hz, rel=0.03) and float(repeats) > 0.7


def test_noise_has_no_pitch():
    noise = torch.randn(512, 200, generator=torch.Generator().manual_seed(0))
    power = torch.fft.rfft(noise * torch.hann_window(512)[:, None], dim=0).abs().square()
    _, repeats = taught("12", "pitch", torch=torch)["pitch"](power.mean(dim=1, keepdim=True))
    assert float(repeats) < 0.2


def test_the_interval_of_a_share_is_wilsons():
    between = taught("12", "interval", math=math, share_heard={})["between"]
    assert between(0, 10) == pytest.approx((0, 27.75), abs=0.01)
    low, high = between(50, 100)
    assert (low, high) == pytest.approx((40.38, 59.62), abs=0.01)
