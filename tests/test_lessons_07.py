"""Notebook 07 computes rates, p-values and levels as the package and brute force do."""

import itertools
import math

import pytest
import torch
from _series import solutions, sources, taught
from hypothesis import given
from hypothesis import strategies as st

from vqlab import models, networks, quantize, training
from vqlab.listen import blind

D = 3
SOLUTIONS = solutions("07")
SPACE = taught(
    "07", "s1-network", "s3-rates", "s4-held", torch=torch, math=math, models=models,
    networks=networks, quantize=quantize, training=training, FAST=True, STEPS=4,
)  # fmt: skip


class Fixed(torch.nn.Module):
    """A model whose encoder gives back its input."""

    def __init__(self, bottleneck):
        super().__init__()
        self.encoder = torch.nn.Identity()
        self.bottleneck = bottleneck

    def codes(self, z_e):
        return self.bottleneck(z_e).codes


@pytest.mark.parametrize("seed", range(5))
def test_the_kl_rate_is_the_bottlenecks_loss_in_bits(seed):
    z_e = torch.randn(4, 2 * D, 7, generator=torch.Generator().manual_seed(seed))
    layer = models.Gaussian(D, beta=1.0).eval()
    bits = float(layer(z_e).loss) / math.log(2)
    assert SPACE["vae_rate"](Fixed(layer), z_e) == pytest.approx(bits, rel=1e-5)
    mean, log_variance = z_e.chunk(2, dim=1)
    clips = [float(SOLUTIONS.kl_bits(m, v, 1.0)) for m, v in zip(mean, log_variance, strict=True)]
    assert sum(clips) / 4 == pytest.approx(bits, rel=1e-5)
    assert float(SOLUTIONS.kl_bits(mean[0], log_variance[0], 0.5)) == pytest.approx(2 * clips[0])


def test_the_kl_rate_is_what_bits_back_pays():
    """log2 q(z) / p(z), averaged over many draws from q."""
    mean, deviation = torch.tensor([[1.2], [-0.4]]), torch.tensor([[0.3], [1.1]])
    z = mean + deviation * torch.randn(2, 200_000, generator=torch.Generator().manual_seed(0))
    normal = torch.distributions.Normal
    price = normal(mean, deviation).log_prob(z) - normal(0.0, 1.0).log_prob(z)
    bits = float(price.sum(dim=0).mean()) / math.log(2)
    found = float(SOLUTIONS.kl_bits(mean, 2 * deviation.log(), 1.0))
    assert found == pytest.approx(bits, rel=0.01)


def test_the_vq_rates_are_log2_k_and_the_entropy_times_the_positions():
    layer = quantize.VectorQuantizer(1, 4, kmeans_start=False).eval()
    layer.codebook.copy_(torch.tensor([[0.0], [1.0], [2.0], [3.0]]))
    z_e = torch.tensor([[[0.1, 0.0, 1.1, 2.2]]])  # codes 0, 0, 1, 2: entropy 1.5 bits
    nominal, entropy = SPACE["vq_rates"](Fixed(layer), z_e)
    assert (nominal, entropy) == pytest.approx((50 * 2, 50 * 1.5))
    assert SOLUTIONS.three_rates(50, 1, 0.0, 4)[2] == nominal


def test_the_held_beta_rises_when_the_rate_is_too_high_and_falls_when_it_is_too_low():
    z_e = torch.randn(4, 2 * D, 7, generator=torch.Generator().manual_seed(1))
    kl = float(models.Gaussian(D)(z_e).stats["kl"])
    for nats, direction in ((kl / 5, 1), (5 * kl, -1)):
        layer = SPACE["HeldGaussian"](D, nats).train()
        before = layer.beta
        layer(z_e)
        assert (layer.beta - before) * direction > 0
        assert abs(layer.beta / before - 1) < 0.0301
        layer.eval()(z_e)  # in evaluation it stays
        after = layer.beta
        layer(z_e)
        assert layer.beta == after
    steady = SPACE["HeldGaussian"](D, kl).train()
    before = steady.beta
    steady(z_e)
    assert steady.beta == pytest.approx(before)


def test_the_three_networks_begin_with_the_same_decoder():
    network = SPACE["network"]
    width, dim = 8, SPACE["D"]
    made = [
        network(layer, width=width)
        for layer in (
            models.Identity(dim),
            models.Gaussian(dim),
            quantize.VectorQuantizer(dim, 16),
        )
    ]
    for model in made[1:]:
        for a, b in zip(made[0].decoder.parameters(), model.decoder.parameters(), strict=True):
            assert a.equal(b)
    x = torch.randn(2, 80, 100)
    assert all(model(x)[0].shape == x.shape for model in made)


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_the_p_value_counts_the_rows_of_coin_tosses(n):
    rows = [sum(row) for row in itertools.product((0, 1), repeat=n)]
    for right in range(n + 1):
        share = sum(total >= right for total in rows) / 2**n
        assert SOLUTIONS.p_value(right, n) == share == float(blind.chance(right, n))


def test_twelve_of_sixteen_is_the_number_in_the_prose():
    text = "\n".join(sources("07", "markdown"))
    assert "(1820 + 560 + 120 + 16 + 1) / 65536 = 0.0384" in text
    assert [math.comb(16, k) for k in range(12, 17)] == [1820, 560, 120, 16, 1]
    assert SOLUTIONS.p_value(12, 16) == 2517 / 65536
    assert round(100 * SOLUTIONS.p_value(12, 16), 1) == 3.8


@given(st.integers(1, 200))
def test_the_fewest_right_answers_are_few_enough_and_not_fewer(trials):
    right = SOLUTIONS.fewest(trials)
    if right is None:
        assert trials < 5
    else:
        assert SOLUTIONS.p_value(right, trials) < 0.05 <= SOLUTIONS.p_value(right - 1, trials)
