"""Solutions of the exercises in notebook 04. Run this file to check them all."""

import torch

from vqlab import lessons


def pca(x, D):
    mean = x.mean(dim=0)
    centred = x - mean
    U = torch.linalg.eigh(centred.T @ centred / len(x)).eigenvectors[:, -D:]
    return centred @ U @ U.T + mean


def gaussian_kl(mean, log_variance):
    return 0.5 * (mean**2 + log_variance.exp() - 1 - log_variance).sum(dim=1)


def reparametrise(mean, log_variance, noise):
    return mean + (0.5 * log_variance).exp() * noise


def slerp(a, b, t):
    omega = torch.arccos(a @ b / (a.norm() * b.norm()))
    return (((1 - t) * omega).sin() * a + (t * omega).sin() * b) / omega.sin()


def kl_to_uniform(q):
    K = q.shape[1]
    return torch.xlogy(q, K * q).sum(dim=1)


if __name__ == "__main__":
    for name in lessons.exercise_names("04"):
        verdict = lessons.check(name, globals()[name[3:].replace("-", "_")])
        print(verdict)
        assert verdict
