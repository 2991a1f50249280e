"""Solutions of the exercises in notebook 04. Run this file to check them all."""

import torch
from torch import nn

from vqlab import lessons


def pca(x, D):
    mean = x.mean(dim=0)
    directions = torch.linalg.svd(x - mean, full_matrices=False).Vh  # rows, the strongest first
    return mean, directions[:D].T


class Gaussian(nn.Module):
    def forward(self, z_e):
        mean, log_variance = z_e.chunk(2, dim=1)
        kl = 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance)
        if not self.training:
            return mean, kl
        return mean + (0.5 * log_variance).exp() * torch.randn_like(mean), kl


def vae_loss(output, x, kl, beta):
    squares = (output - x).square().flatten(1).sum(dim=1)
    return (0.5 * squares + beta * kl.flatten(1).sum(dim=1)).mean()


def slerp(a, b, share):
    omega = torch.arccos(a @ b / (a.norm() * b.norm()))
    return (((1 - share) * omega).sin() * a + (share * omega).sin() * b) / omega.sin()


if __name__ == "__main__":
    for name, answer in zip(
        ("04-pca", "04-gaussian", "04-vae-loss", "04-slerp"),
        (pca, Gaussian, vae_loss, slerp),
        strict=True,
    ):
        verdict = lessons.check(name, answer)
        print(verdict)
        assert verdict
