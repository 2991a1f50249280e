"""Solutions of the exercises in notebook 08. Run this file to check them all."""

import torch
import torch.nn.functional as F

from vqlab import lessons, quantize


def gradient_is_copied(layer, values):
    z_e = values.clone().requires_grad_()
    z = layer(z_e)
    if not z.requires_grad:
        return False
    sent = torch.randn_like(z)
    z.backward(sent)
    return z_e.grad is not None and torch.allclose(sent, z_e.grad)


def each_for_itself(layer, z_e):
    z = layer(z_e)
    for b in range(z_e.shape[0]):
        for t in range(z_e.shape[2]):
            other = z_e.clone()
            other[b, :, t] = -other[b, :, t]
            moved = (layer(other) != z).any(dim=1)
            moved[b, t] = False
            if moved.any():
                return False
    return True


def mended(z_e, codebook, beta=0.25):
    rows = z_e.mT.reshape(-1, z_e.shape[1])
    codes = quantize.nearest_codes(rows.detach(), codebook.detach())
    z_q = codebook[codes].reshape(z_e.mT.shape).mT
    loss = F.mse_loss(z_q, z_e.detach()) + beta * F.mse_loss(z_e, z_q.detach())
    z = z_e + (z_q - z_e).detach()
    return z, codes.reshape(len(z_e), -1), loss


def clinic():
    return {"A": "no copy", "B": "count from zero", "C": "healthy", "D": "no commitment"}


if __name__ == "__main__":
    for name in lessons.exercise_names("08"):
        verdict = lessons.check(name, globals()[name[3:].replace("-", "_")])
        print(verdict)
        assert verdict
