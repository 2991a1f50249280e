"""Notebook 07 computes rates, p-values and levels as the package and brute force do."""

import itertools
import math

import pytest
import torch
from _series import solutions, sources, taught
from hypothesis import given
from hypothesis import strategies as st

from vqlab import lessons, models, networks, quantize, training
from vqlab.widgets import blind

D = 3
SOLUTIONS = solutions("07")
SPACE = taught(
    "07", "s1-network", "s1-rebuild", "s3-rates", torch=torch, math=math, models=models,
    networks=networks, quantize=quantize, training=training, bits_back=SOLUTIONS.bits_back, STEPS=4,
)  # fmt: skip


class Fixed(torch.nn.Module):
    """A model whose encoder gives back its input."""

    def __init__(self, bottleneck):
        super().__init__()
        self.encoder = torch.nn.Identity()
        self.bottleneck = bottleneck

    def codes(self, z_e):
        return self.bottleneck(z_e).codes


@pytest.mark.parametrize("which", [SOLUTIONS.bits_back, lessons.find("07-bits-back").right])
def test_the_net_bits_of_a_draw_are_the_ratio_of_the_densities(which):
    mean, log_variance = torch.randn(2, 4, D, 7, generator=torch.Generator().manual_seed(0))
    spread = (0.5 * log_variance).exp()
    z = mean + spread * torch.randn(4, D, 7, generator=torch.Generator().manual_seed(1))
    normal = torch.distributions.Normal
    nats = normal(mean, spread).log_prob(z) - normal(0.0, 1.0).log_prob(z)
    expected = nats.sum(dim=(1, 2)) / math.log(2)
    torch.testing.assert_close(which(z, mean, log_variance), expected, rtol=1e-4, atol=1e-4)


def test_the_rate_of_many_draws_is_the_bottlenecks_loss_in_bits():
    z_e = torch.randn(1, 2 * D, 7, generator=torch.Generator().manual_seed(0))
    layer = models.Gaussian(D, beta=1.0).eval()
    bits = float(layer(z_e).loss) / math.log(2)
    many = z_e.expand(100_000, -1, -1)
    assert SPACE["vae_rate"](Fixed(layer), many) == pytest.approx(bits, rel=0.01)
    assert SPACE["vae_rate"](Fixed(layer), many, 0.5) == pytest.approx(2 * bits, rel=0.01)


def test_the_vq_rates_are_log2_k_and_the_entropy_times_the_positions():
    layer = quantize.VectorQuantizer(1, 4, kmeans_start=False).eval()
    layer.codebook.copy_(torch.tensor([[0.0], [1.0], [2.0], [3.0]]))
    z_e = torch.tensor([[[0.1, 0.0, 1.1, 2.2]]])  # codes 0, 0, 1, 2: entropy 1.5 bits
    nominal, entropy = SPACE["vq_rates"](Fixed(layer), z_e)
    assert (nominal, entropy) == pytest.approx((50 * 2, 50 * 1.5))


HELD = [SOLUTIONS.HeldGaussian, lessons.find("07-held-gaussian").right]


@pytest.mark.parametrize("held", HELD)
def test_ours_begins_with_the_beta_of_section_1(held):
    assert held(D, 1.0).beta == 2 / SPACE["CELLS"]


@pytest.mark.parametrize("held", HELD)
def test_the_held_beta_rises_when_the_rate_is_too_high_and_falls_when_it_is_too_low(held):
    z_e = torch.randn(4, 2 * D, 7, generator=torch.Generator().manual_seed(1))
    kl = float(models.Gaussian(D)(z_e).stats["kl"])
    for nats, direction in ((kl / 5, 1), (5 * kl, -1)):
        layer = held(D, nats).train()
        before = layer.beta
        layer(z_e)
        assert (layer.beta - before) * direction > 0
        assert abs(layer.beta / before - 1) < 0.0301
        layer.eval()(z_e)  # in evaluation it stays
        after = layer.beta
        layer(z_e)
        assert layer.beta == after
    steady = held(D, kl).train()
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


@pytest.mark.parametrize("which", [SOLUTIONS.align, lessons.find("07-align").right])
@given(st.integers(-30, 30), st.integers(0, 1000), st.floats(0.1, 3))
def test_a_moved_copy_comes_back_to_its_place(which, shift, seed, gain):
    sound = torch.randn(200, generator=torch.Generator().manual_seed(seed))
    torch.testing.assert_close(which(sound, gain * sound.roll(shift), 30), gain * sound)


def test_align_by_the_correlation_of_fourier_passes_as_well():
    def align(original, copy, most):
        spectra = torch.fft.rfft(original), torch.fft.rfft(copy)
        product = torch.fft.irfft(spectra[0] * spectra[1].conj(), n=len(copy))
        shifts = torch.arange(-most, most + 1)
        return copy.roll(int(shifts[product[shifts].argmax()]))

    assert lessons.check("07-align", align)
