"""Notebook 04 teaches what the package does: the VAE's bottleneck and loss, slerp, PCA, log K."""

import math

import pytest
import torch
from _series import solutions, sources

from vqlab import lessons, models

SOLUTIONS = solutions("04")


@pytest.mark.parametrize("beta", [1.0, 0.3, 20.0])
def test_the_bottleneck_and_its_loss_are_the_packages(beta):
    torch.manual_seed(0)
    z_e = torch.randn(5, 8, 3, requires_grad=True)
    torch.manual_seed(1)
    expected = models.Gaussian(4, beta=beta).train()(z_e)
    torch.manual_seed(1)
    z, kl = SOLUTIONS.Gaussian().train()(z_e)
    loss = SOLUTIONS.vae_loss(torch.zeros(5, 2), torch.zeros(5, 2), kl, beta)
    torch.testing.assert_close(z, expected.z)
    torch.testing.assert_close(loss, expected.loss)
    ours = torch.autograd.grad(z.pow(2).sum() + loss, z_e)
    theirs = torch.autograd.grad(expected.z.pow(2).sum() + expected.loss, z_e)
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("which", [lessons.find("04-gaussian").right, SOLUTIONS.Gaussian])
def test_the_divergence_of_the_exercise_is_what_draws_say(which):
    mean, log_variance = torch.tensor([[0.7, -1.0]]), torch.tensor([[-0.5, 0.8]])
    z_e = torch.cat([mean, log_variance], dim=1)[:, :, None].expand(400_000, -1, -1)
    torch.manual_seed(3)
    z, kl = which().train()(z_e)
    q = torch.distributions.Normal(mean, (0.5 * log_variance).exp()).log_prob(z[:, :, 0])
    p = torch.distributions.Normal(0.0, 1.0).log_prob(z[:, :, 0])
    torch.testing.assert_close((q - p).mean(dim=0), kl[0, :, 0], atol=0.01, rtol=0)
    torch.testing.assert_close(which().eval()(z_e)[0][0, :, 0], mean[0])


def other_spellings():
    """Right answers that draw and add in other ways than the solution."""

    class Distribution(torch.nn.Module):
        def forward(self, z_e):
            D = z_e.shape[1] // 2
            q = torch.distributions.Normal(z_e[:, :D], z_e[:, D:].exp().sqrt())
            p = torch.distributions.Normal(0.0, 1.0)
            z = q.rsample() if self.training else z_e[:, :D]
            return z, torch.distributions.kl_divergence(q, p)

    class Unlike(torch.nn.Module):
        def forward(self, z_e):
            m, v = torch.split(z_e, z_e.shape[1] // 2, dim=1)
            kl = -0.5 * (1 + v - m.pow(2) - v.exp())
            torch.rand(1)  # other noise than the solution's
            return torch.addcmul(
                m, torch.exp(v / 2), torch.randn(m.shape)
            ) if self.training else m, kl

    return Distribution, Unlike


@pytest.mark.parametrize("right", other_spellings())
def test_other_right_spellings_of_the_bottleneck_pass(right):
    verdict = lessons.check("04-gaussian", right)
    assert verdict, verdict


def test_pca_by_the_covariance_passes_as_well():
    def pca(x, D):
        U = torch.linalg.eigh(torch.cov(x.T)).eigenvectors.flip(1)
        return x.mean(dim=0), -U[:, :D]  # the sign of a direction is free

    assert lessons.check("04-pca", pca)


def test_pca_of_the_exercise_loses_the_smallest_eigenvalues():
    random = torch.Generator().manual_seed(4)
    x = torch.randn(300, 5, generator=random) @ torch.randn(5, 5, generator=random) + 2.0
    variances = torch.linalg.eigvalsh(torch.cov(x.T, correction=0))
    for D in (1, 3, 5):
        mean, U = SOLUTIONS.pca(x, D)
        error = ((x - mean) @ U @ U.T + mean - x).pow(2).sum(dim=1).mean()
        torch.testing.assert_close(error, variances[: 5 - D].sum(), rtol=1e-4, atol=1e-4)


def test_a_certain_choice_among_k_codes_costs_log_k():
    """What section 8 derives: log K minus the entropy of the choice."""
    scores = torch.randn(512, generator=torch.Generator().manual_seed(0))
    for sharpness in (0.0, 1.0, 1e6):
        q = (sharpness * scores).softmax(dim=0)
        entropy = -torch.xlogy(q, q).sum()
        divergence = torch.xlogy(q, 512 * q).sum()
        torch.testing.assert_close(divergence, math.log(512) - entropy, atol=1e-4, rtol=1e-4)
    assert "math.log2(K) - entropy" in "\n".join(sources("04"))


def test_no_error_beats_the_water_line():
    """Section 5: ½ δ + β/2 log(λ/δ) is smallest at δ = β, or at λ where that is less."""
    for variance, beta in ((5.0, 1.0), (0.4, 1.0), (30.0, 20.0)):
        errors = torch.linspace(1e-3, variance, 200_001, dtype=torch.float64)
        cost = 0.5 * errors + 0.5 * beta * (variance / errors).log()
        assert float(errors[cost.argmin()]) == pytest.approx(min(variance, beta), abs=1e-3)
