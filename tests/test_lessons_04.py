"""Notebook 04 teaches what the package does: the VAE's bottleneck, slerp, PCA, log K."""

import math

import pytest
import torch
from _series import taught

from vqlab import lessons, models


@pytest.fixture(scope="module")
def by_hand():
    return taught("04", torch=torch, math=math)


@pytest.mark.parametrize("beta", [1.0, 0.3, 20.0])
def test_the_notebooks_bottleneck_equals_the_packages(by_hand, beta):
    torch.manual_seed(0)
    z_e = torch.randn(5, 8, 3, requires_grad=True)
    torch.manual_seed(1)
    expected = models.Gaussian(4, beta=beta).train()(z_e)
    torch.manual_seed(1)
    z, loss = by_hand["gaussian_layer"](z_e, torch.randn(5, 4, 3), beta)
    torch.testing.assert_close(z, expected.z)
    torch.testing.assert_close(loss, expected.loss)
    ours = torch.autograd.grad(z.pow(2).sum() + loss, z_e)
    theirs = torch.autograd.grad(expected.z.pow(2).sum() + expected.loss, z_e)
    torch.testing.assert_close(ours, theirs)


def test_the_divergence_of_the_exercise_is_the_packages():
    mean, log_variance = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(2))
    kl = lessons.find("04-gaussian-kl").right(mean, log_variance)
    z_e = torch.cat([mean, log_variance], dim=1)[:, :, None]
    torch.testing.assert_close(kl.mean(), models.Gaussian(3).eval()(z_e).stats["kl"])


def test_the_divergence_of_the_exercise_is_what_draws_say():
    mean, log_variance = torch.tensor([[0.7, -1.0]]), torch.tensor([[-0.5, 0.8]])
    noise = torch.randn(400_000, 2, generator=torch.Generator().manual_seed(3))
    z = lessons.find("04-reparametrise").right(mean, log_variance, noise)
    q = torch.distributions.Normal(mean, (0.5 * log_variance).exp()).log_prob(z)
    p = torch.distributions.Normal(0.0, 1.0).log_prob(z)
    kl = lessons.find("04-gaussian-kl").right(mean, log_variance)
    assert (q - p).sum(dim=1).mean().item() == pytest.approx(kl.item(), abs=0.01)


def test_pca_of_the_exercise_loses_the_smallest_eigenvalues():
    random = torch.Generator().manual_seed(4)
    x = torch.randn(300, 5, generator=random) @ torch.randn(5, 5, generator=random) + 2.0
    variances = torch.linalg.eigvalsh(torch.cov(x.T, correction=0))
    for D in (1, 3, 5):
        error = (lessons.find("04-pca").right(x, D) - x).pow(2).sum(dim=1).mean()
        expected = variances[: 5 - D].sum()
        torch.testing.assert_close(error, expected, rtol=1e-4, atol=1e-4)


def test_a_certain_choice_among_k_codes_costs_log_k():
    divergence = lessons.find("04-kl-to-uniform").right
    for K in (2, 17, 512):
        torch.testing.assert_close(divergence(torch.eye(K)), torch.full((K,), math.log(K)))
        even = divergence(torch.full((1, K), 1 / K))
        torch.testing.assert_close(even, torch.zeros(1), atol=1e-5, rtol=0)


def test_no_deviation_beats_the_water_line():
    """Section 5: ½ δ + β/2 log(λ/δ) is smallest at δ = β, or at λ where that is less."""
    for variance, beta in ((5.0, 1.0), (0.4, 1.0), (30.0, 20.0)):
        errors = torch.linspace(1e-3, variance, 200_001, dtype=torch.float64)
        cost = 0.5 * errors + 0.5 * beta * (variance / errors).log()
        assert float(errors[cost.argmin()]) == pytest.approx(min(variance, beta), abs=1e-3)
