"""Notebook 12 does what the package does, her prior draws as it prices; its own tools are right."""

import math

import pytest
import torch
from _series import solutions, taught
from vqlab.lessons.prior import _draw

import vqlab
from vqlab import datasets, listen
from vqlab.codec import entropy

OURS = solutions("12")


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("share", [0.3, 0.8, 1.0])
def test_the_shipped_prior_throws_the_same_die(temperature, share):
    logits = torch.tensor([1.0, -0.5, 0.3, 2.0, -2.0])
    p = OURS.narrow(logits[None], temperature, share)[0]
    n = 20_000
    generator = torch.Generator().manual_seed(0)
    drawn = _draw(logits.expand(n, -1), temperature, share, generator)
    counted = drawn.bincount(minlength=5) / n
    assert torch.equal(counted > 0, p > 0)
    assert torch.allclose(counted.float(), p, atol=4 * 0.5 / math.sqrt(n))


def test_codes_are_drawn_as_often_as_the_prior_says():
    torch.manual_seed(0)
    prior, n = OURS.Prior(2, 1, width=16, layers=1).eval(), 20_000
    prior.head[0].weight.data *= 5  # some codes far more probable than others
    drawn = OURS.draw(prior, torch.ones(n, dtype=torch.int64), top_p=1.0)
    with torch.no_grad():
        rows = torch.zeros(OURS.CODES, OURS.STAGES, 1, dtype=torch.int64)
        rows[:, 0, 0] = torch.arange(OURS.CODES)
        p = prior(rows, torch.ones(OURS.CODES, dtype=torch.int64))[:, 0, 0].exp()
    counted = drawn[:, 0, 0].bincount(minlength=OURS.CODES) / n
    assert torch.allclose(counted, p, atol=4 * 0.5 / math.sqrt(n))


def test_guidance_overstates_what_the_word_makes_probable():
    torch.manual_seed(0)
    prior, n = OURS.Prior(2, 1, width=16, layers=1).eval(), 20_000
    rows = torch.zeros(OURS.CODES, OURS.STAGES, 1, dtype=torch.int64)
    rows[:, 0, 0] = torch.arange(OURS.CODES)
    with torch.no_grad():
        told, untold = (prior(rows, torch.full((OURS.CODES,), w))[:, 0, 0].double() for w in (1, 2))
    wanted = (2 * told - untold).softmax(dim=0)  # p(code | word)^2 / p(code)
    word = torch.ones(n, dtype=torch.int64)
    drawn = OURS.draw(prior, word, top_p=1.0, guidance=2.0)[:, 0, 0]
    counted = drawn.bincount(minlength=OURS.CODES) / n
    assert torch.allclose(counted.double(), wanted, atol=4 * 0.5 / math.sqrt(n))


def test_a_file_of_three_stages_comes_back_as_deep_as_its_first_codes_say():
    codec = vqlab.load_pretrained()
    names = {"codec": codec, "torch": torch, "listen": listen}
    packed = taught("12", "packed", **names)["packed"]
    clip = datasets.load("words", "test", words="right")[1].waveform
    codes, gain_db = codec.encode(clip, stages=3)
    found, samples, level = codec.from_bytes(packed(codes, gain_db))
    there = found >= 0
    assert samples == len(clip) and level == gain_db and not there[:, 3:].any()
    assert there[:, 0].all() and there[:, 2].any()
    assert torch.equal(found[:, :3][there[:, :3]], codes[there[:, :3]])


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


def test_the_pitch_is_that_of_one_period_where_the_harmonics_are_narrow():
    power = torch.zeros(257, 1)  # bins of 31.25 Hz, and a harmonic every eight
    power[8::8], power[7::8], power[9::8] = 1.0, 0.1, 0.1  # narrower than a window makes them
    assert float(taught("12", "pitch", torch=torch)["pitch"](power)[0]) == 250.0


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
