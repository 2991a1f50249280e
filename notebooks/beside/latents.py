"""Between two latents: a walk along the arc, on which vectors of one length keep it.

Notebook: 04
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def slerp(start: Tensor, end: Tensor, share: float | Tensor, *, dim: int = 1) -> Tensor:
    """Spherical interpolation: the point at `share` of the arc from `start` to `end`.

    The vectors lie along axis `dim` (1 in `z (batch, dim, *positions)`); `share` goes from 0
    to 1 and may be a tensor that broadcasts. Between vectors of one length the length stays, which
    on a straight line it does not (Shoemake 1985; between latents: White 2016, Hansen Vedal 2019).
    Where no single arc leads over, because a vector is zero or the two point the same or opposite
    ways, it is the straight line.
    """
    u, v = F.normalize(start, dim=dim), F.normalize(end, dim=dim)
    lengths = (u - v).norm(dim=dim, keepdim=True), (u + v).norm(dim=dim, keepdim=True)
    angle = 2 * torch.atan2(*lengths)  # in radians; unlike arccos, exact for small angles too
    sine = angle.sin()
    zero = (start.norm(dim=dim, keepdim=True) == 0) | (end.norm(dim=dim, keepdim=True) == 0)
    straight = zero | (sine.abs() < 1e-4)
    safe = torch.where(straight, torch.ones_like(sine), sine)
    a = torch.where(straight, 1 - share + 0 * sine, ((1 - share) * angle).sin() / safe)
    b = torch.where(straight, share + 0 * sine, (share * angle).sin() / safe)
    return a * start + b * end
