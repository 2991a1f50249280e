"""What `mutants.py` tries an edited piece on besides its check: inputs drawn at random.

`AGAIN[name](fn, n)` is what the piece does with the n-th of them.
"""

import functools
import random
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vqlab.lessons import own_file

OURS = own_file.program({})


def noise(n: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1000 + n))


def seeded(n: int, action: Callable[[], Any]) -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1000 + n)
        return action()


@functools.cache
def codec(n: int) -> Any:
    """A whole codec of the reference after one step on noise, with tables."""

    def made() -> Any:
        model = OURS.Codec()
        _, codes, _ = model(decibels(n))
        model.frequencies.copy_(OURS.frequencies(codes))
        return model.eval()

    return seeded(n, made)


def decibels(n: int) -> Tensor:
    return OURS.MEAN_DB + OURS.SPREAD_DB * noise(n, 3, OURS.MELS, 20 + 2 * n)


def level(fn: Any, n: int) -> Any:
    sounds = [noise(n, 50 + n) * 10.0**-exponent for exponent in range(-3, 9)]
    return [(*fn(sound), type(fn(sound)[1]).__name__) for sound in (*sounds, noise(n, 1))]


def griffin_lim(fn: Any, n: int) -> Any:
    magnitude = noise(n, 2, OURS.N_FFT // 2 + 1, 9).abs()
    return [fn(magnitude, steps=n), fn(magnitude)[:, 500:600] if n == 0 else None]


def copied(fn: Any, n: int) -> Any:
    z_e, z_q = noise(n, 2, 5).requires_grad_(), noise(n + 9, 2, 5).requires_grad_()
    out = fn(z_e, z_q)
    (out * noise(n + 5, 2, 5)).sum().backward()
    return [out, z_e.grad, "none" if z_q.grad is None else z_q.grad]


def layer(fn: Any, n: int) -> Any:
    def run() -> Any:
        made, seen = fn(4, 8 + n, decay=0.8), []
        for step in range(8):
            z_e = (noise(10 * n + step, 3, 4, 30) * (1 + step)).requires_grad_()
            z_q, codes, loss = made.train(step < 6)(z_e)
            (loss + z_q.square().sum()).backward()
            seen += [z_q, codes, loss, z_e.grad]
        return [*seen, made.codebook, made.counts, made.sums, made.beta]

    return seeded(n, run)


def stages(fn: Any, n: int) -> Any:
    def run() -> Any:
        made, seen = fn(4, 8, 2 + n), []
        for step in range(5):
            z_e = noise(10 * n + step, 3, 4, 30).requires_grad_()
            z_q, codes, loss = made(z_e)
            (loss + z_q.square().sum()).backward()
            seen += [z_q, codes, loss, z_e.grad, made.lookup(codes)]
        return [*seen, *made.state_dict().values(), fn().layers[0].decay]

    return seeded(n, run)


def network(channels: int) -> Callable[[Any, int], Any]:
    """Any network will do that has the right shapes, so these are all that is compared."""

    def shapes(fn: Any, n: int) -> Any:
        out = fn()(noise(n, 1 + n, channels, 8 + 6 * n))
        return str(tuple(out.shape)) + str(bool(out.isfinite().all()))

    return shapes


def model(fn: Any, n: int) -> Any:
    made = fn()
    made.load_state_dict(codec(n).state_dict())
    output, codes, loss = made.eval()(decibels(n))
    (output.square().mean() + loss).backward()
    gradients = [p.grad for p in made.parameters()]
    return [output, codes, loss, made.decode(codes), *gradients]


class Toy(nn.Module):
    """One weight a band."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(0.3, 0.8, OURS.MELS)[:, None])

    def forward(self, mel: Tensor) -> tuple[Tensor, None, Tensor]:
        return mel * self.weight, None, self.weight.square().mean()


def step(fn: Any, n: int) -> Any:
    toy = Toy()
    optimizer = torch.optim.Adam(toy.parameters(), lr=0.01)
    return [[fn(toy, optimizer, decibels(n)) for _ in range(5)], toy.weight]


def loop(fn: Any, n: int) -> Any:
    def run() -> Any:
        toy = Toy()
        losses = [*fn(toy, decibels(n), 70 + n)]
        return [losses, toy.weight, toy.training]

    return seeded(n, run)


def codes(n: int, *shape: int) -> Tensor:
    return torch.randint(OURS.CODES, shape, generator=torch.Generator().manual_seed(n))


def message(n: int) -> tuple[list[int], list[list[int]]]:
    chance = random.Random(n)
    tables = [
        [chance.randint(1, 10 ** chance.randint(1, 5)) for _ in range(chance.randint(1, 90))]
        for _ in range(300 * n)
    ]
    return [chance.choices(range(len(t)), t)[0] for t in tables], tables


def reading(fn: Any, n: int) -> Any:
    codes, tables = message(n)
    data = OURS.range_encode(codes, tables)
    return [tuple(fn(data, tables)), tuple(fn(random.Random(n).randbytes(90), tables))]


def compress(fn: Any, n: int) -> Any:
    sounds = [noise(n, 1 + 977 * n) * 10.0**-exponent for exponent in (0, 2, 5)]
    refused = []
    for nothing in (torch.zeros(0), torch.zeros(1).expand(1 << 24)) if n == 0 else ():
        refused.append(refusal(lambda sound=nothing: fn(sound, codec(n))))
    return [fn(sound, codec(n)) for sound in sounds] + refused


def decompress(fn: Any, n: int) -> Any:
    data = OURS.compress(noise(n, 1 + 977 * n) * 10.0**-n, codec(n))
    bad = [data[:k] for k in range(9)] + [bytes(len(data)), data + b"\0"]
    return [fn(data, codec(n)), *(refusal(lambda data=data: fn(data, codec(n))) for data in bad)]


def refusal(action: Callable[[], Any]) -> str:
    try:
        return f"gives {type(action()).__name__}"
    except ValueError:
        return "ValueError"


AGAIN: dict[str, Callable[[Any, int], Any]] = {
    "01-level": level,
    "02-stft": lambda fn, n: fn(noise(n, 2, 1600 + 77 * n)),
    "02-mel-filters": lambda fn, n: fn(),
    "02-log-mel": lambda fn, n: fn(noise(n, 2, 1600 + 77 * n) * 10.0**-n),
    "03-istft": lambda fn, n: fn(torch.polar(noise(n, 2, 257, 7 + n), noise(n + 9, 2, 257, 7 + n))),
    "03-mel-to-linear": lambda fn, n: fn(noise(n, 2, OURS.MELS, 5).clamp(min=0)),
    "03-griffin-lim": griffin_lim,
    "05-nearest-code": lambda fn, n: fn(noise(n, 50, 3 + n), noise(n + 9, 7, 3 + n)),
    "05-straight-through": copied,
    "05-vq-layer": layer,
    "05-residual": stages,
    "06-block": network(OURS.WIDTH),
    "06-encoder": network(OURS.MELS),
    "06-decoder": network(OURS.DIM),
    "06-model": model,
    "06-step": step,
    "06-loop": loop,
    "09-frequencies": lambda fn, n: fn(codes(n, 3, OURS.STAGES, 20 + n)),
    "09-range-encode": lambda fn, n: fn(*message(n)),
    "09-range-decode": reading,
    "10-checksum": lambda fn, n: fn(random.Random(n).randbytes(99 * n)),
    "10-compress": compress,
    "10-decompress": decompress,
}
