"""The pieces of notebook 06: the network, the training step, the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from vqlab.lessons.edits import noise, piece, seeded

from vqlab.lessons.exercise import Probe
from vqlab.lessons.own_file import program

_ours = program({})


def _network(channels: int, frames: Callable[[int], int]) -> Probe:
    """What every such network has to do, whatever its layers: any that does it passes."""

    def probe(fn: Callable[..., Any]) -> dict[str, Any]:
        def run() -> dict[str, Any]:
            network, x = fn(), noise(2, channels, 40)
            out = network(x)
            out.square().mean().backward()
            idle = [n for n, p in network.named_parameters() if p.grad is None]
            x[0, :, 20] += 5  # one frame of the first item
            changed = (network(x) - out).abs().amax(dim=1) > 1e-6  # (2, frames)
            there = changed[0].nonzero().flatten()
            return {
                "the shape of the output for 40 frames": str(tuple(out.shape)),
                "the shape of the output for 62": str(tuple(network(noise(1, channels, 62)).shape)),
                "parameters without a gradient": ", ".join(idle),
                "whether a frame has a say in its neighbours": len(there) > 1,
                "whether the output stands where the input does": frames(20) in there.tolist(),
                "whether one sound has a say in another": bool(changed[1].any()),
                "whether it is all the same twice": bool((network(x) == network(x)).all()),
            }

        return seeded(run)

    return probe


_settings = _ours.__dict__
_width, _mels, _dim, _stride = (_settings[n] for n in ("WIDTH", "MELS", "DIM", "STRIDE"))

block = piece(
    "06-block",
    _network(_width, lambda frame: frame),
    (
        ", padding=3",
        "",
        "the output is shorter than the input: a kernel of 7 needs 3 frames of padding on each "
        "side.",
    ),
    (
        ", 7, padding=3",
        ", 1",
        "a kernel of 1 sees one frame only: the block should look along time.",
    ),
    (
        "return x + (self.network(self.norm(self.along_time(x).mT)) * self.scale).mT",
        "return x + (self.network(self.norm(x.mT)) * self.scale).mT",
        "the filter along time is made and never used.",
    ),
    (
        "* self.scale).mT",
        ").mT",
        "`scale` is made and never used: the correction starts small, times 0.1.",
    ),
    (
        "* self.scale).mT",
        "* self.scale)",
        "LayerNorm and Linear want the channels last, the block gives them back second: `.mT` at "
        "the end.",
    ),
    (
        ".along_time(x).mT",
        ".along_time(x)",
        "LayerNorm and Linear want the channels last: `.mT` after the filter.",
    ),
    hints=(
        "`nn.Conv1d(WIDTH, WIDTH, 7, padding=3, groups=WIDTH)` filters each channel by itself.",
        "`.mT` turns (batch, channels, frames) into (batch, frames, channels) and back.",
    ),
)

encoder = piece(
    "06-encoder",
    _network(_mels, lambda frame: frame // _stride),
    (
        "STRIDE, stride=STRIDE",
        "STRIDE",
        "nothing is made shorter: the convolution in the middle wants `stride=STRIDE`.",
    ),
    (
        "nn.Conv1d(WIDTH, DIM, 1)",
        "nn.Conv1d(WIDTH, WIDTH, 1)",
        "the output has WIDTH channels; the quantiser wants DIM.",
    ),
    (
        "nn.Conv1d(MELS, WIDTH, 7, padding=3)",
        "nn.Conv1d(MELS, WIDTH, 7)",
        "frames are lost at the ends: a kernel of 7 needs `padding=3`.",
    ),
    (
        "            nn.Conv1d(WIDTH, WIDTH, STRIDE, stride=STRIDE),\n",
        "",
        "there is no convolution with a stride: the output has as many frames as the input.",
    ),
    ("nn.Conv1d(MELS, WIDTH", "nn.Conv1d(WIDTH, WIDTH", "MELS channels come in."),
    hints=(
        "A convolution widens MELS to WIDTH, one with a stride shortens, blocks think, one "
        "narrows.",
        "`nn.Conv1d(WIDTH, WIDTH, STRIDE, stride=STRIDE)` joins STRIDE frames to one.",
    ),
)

decoder = piece(
    "06-decoder",
    _network(_dim, lambda frame: frame * _stride),
    (
        "nn.ConvTranspose1d(WIDTH, WIDTH, STRIDE, stride=STRIDE)",
        "nn.Conv1d(WIDTH, WIDTH, STRIDE, stride=STRIDE)",
        "this shortens once more; `nn.ConvTranspose1d` makes it longer.",
    ),
    (
        "            nn.ConvTranspose1d(WIDTH, WIDTH, STRIDE, stride=STRIDE),\n",
        "",
        "nothing makes it longer: STRIDE frames for each position (`nn.ConvTranspose1d`).",
    ),
    (
        "nn.Conv1d(WIDTH, MELS, 7, padding=3)",
        "nn.Conv1d(WIDTH, WIDTH, 7, padding=3)",
        "MELS channels should come out.",
    ),
    (
        "nn.Conv1d(WIDTH, MELS, 7, padding=3)",
        "nn.Conv1d(WIDTH, MELS, 7)",
        "frames are lost at the ends: a kernel of 7 needs `padding=3`.",
    ),
    (
        "nn.Conv1d(DIM, WIDTH, 7, padding=3)",
        "nn.Conv1d(DIM, WIDTH, 7)",
        "positions are lost at the ends: a kernel of 7 needs `padding=3`.",
    ),
    ("nn.Conv1d(DIM, WIDTH", "nn.Conv1d(MELS, WIDTH", "DIM channels come in."),
    hints=(
        "The mirror of the encoder: widen, think, lengthen, narrow to MELS.",
        "`nn.ConvTranspose1d(WIDTH, WIDTH, STRIDE, stride=STRIDE)` makes STRIDE frames of one.",
    ),
)


_decibels = _ours.MEAN_DB + _ours.SPREAD_DB * noise(4, _mels, 40)


def _started() -> torch.nn.Module:
    codec = _ours.Codec()
    codec(_decibels)
    return codec


def _model(fn: Callable[..., Any]) -> dict[str, Any]:
    """Her model with our weights, if its parts have our names; its own say what they are."""
    codec = fn()
    ours = seeded(_started)
    codec.load_state_dict(ours.state_dict(), strict=False)
    output, codes, loss = codec.eval()(_decibels)
    back = codec.decode(codes)
    return {
        "the output": output,
        "the codes": codes,
        "the loss": loss,
        "what `decode` makes of the codes": back,
        "whether that asks for gradients": back.requires_grad,
        "the frequencies at first": fn().frequencies,
        "the type of the frequencies": str(codec.frequencies.dtype),
        "whether they are saved with the weights": "frequencies" in codec.state_dict(),
    }


model = piece(
    "06-model",
    _model,
    (
        "(mel - MEAN_DB) / SPREAD_DB",
        "mel",
        "the decibels go into the encoder as they are: bring them to mean 0 and spread 1 first.",
    ),
    (
        "return self.decoder(z_q) * SPREAD_DB + MEAN_DB, codes",
        "return self.decoder(z_q), codes",
        "the output is not in decibels: times SPREAD_DB, plus MEAN_DB.",
    ),
    (
        "self.decoder(z_q) * SPREAD_DB",
        "self.decoder(self.encoder((mel - MEAN_DB) / SPREAD_DB)) * SPREAD_DB",
        "the decoder hears the encoder itself, without quantiser.",
    ),
    (
        "(mel - MEAN_DB) / SPREAD_DB",
        "mel - MEAN_DB / SPREAD_DB",
        "parentheses: the mean is taken off first, then divided.",
    ),
    (
        "return self.decoder(self.quantizer.lookup(codes)) * SPREAD_DB + MEAN_DB",
        "return self.decoder(self.quantizer.lookup(codes))",
        "`decode` does not come back to decibels: times SPREAD_DB, plus MEAN_DB.",
    ),
    (
        "torch.ones(STAGES, CODES, dtype=torch.int64)",
        "torch.zeros(STAGES, CODES, dtype=torch.int64)",
        "a frequency of 0 means *never*: begin with 1 for each code.",
    ),
    (
        "STAGES, CODES, dtype=torch.int64",
        "STAGES, CODES",
        "the frequencies have to be whole numbers (int64), equal on every machine.",
    ),
    hints=(
        "forward: normalise, encoder, quantiser, decoder, and back to decibels.",
        "A buffer (`register_buffer`) is saved with the weights and gets no gradient.",
    ),
)


class _Toy(torch.nn.Module):
    """As simple as a codec can be: one weight a band."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(0.2, 0.9, _mels)[:, None])

    def forward(self, mel: Tensor) -> tuple[Tensor, None, Tensor]:
        return mel * self.weight, None, 100 * self.weight.square().mean()


def _step(fn: Callable[..., Any]) -> dict[str, Any]:
    codec = _Toy()
    codec(_decibels)[0].sum().backward()  # a gradient left over from before
    optimizer = torch.optim.SGD(codec.parameters(), lr=0.1)
    losses = [fn(codec, optimizer, _decibels) for _ in range(2)]
    if any(isinstance(loss, Tensor) for loss in losses):
        losses = [loss.item() for loss in losses]
    return {
        "the losses of two steps": losses,
        "the weights after two steps": codec.weight,
        "the gradient of the last step": codec.weight.grad,
    }


step = piece(
    "06-step",
    _step,
    (
        "    optimizer.zero_grad()\n",
        "",
        "the gradients of the step before are still there: `optimizer.zero_grad()` first.",
    ),
    ("    loss.backward()\n", "", "no gradient is computed: `loss.backward()`."),
    ("    optimizer.step()\n", "", "the weights never move: `optimizer.step()`."),
    (
        "    nn.utils.clip_grad_norm_(codec.parameters(), 1.0)\n",
        "",
        "the gradient is not cut to length 1 (`nn.utils.clip_grad_norm_`).",
    ),
    (" + quantizer_loss", "", "the quantiser's loss is missing in the sum."),
    (" + edges", "", "the differences along time and frequency are missing in the loss."),
    (
        " + error.diff(dim=-2).abs().mean()",
        "",
        "the differences along frequency (dim=-2) are missing.",
    ),
    ("error.diff(dim=-1).abs().mean() + ", "", "the differences along time (dim=-1) are missing."),
    ("error.abs().mean()", "error.square().mean()", "you square; the loss takes absolute values."),
    (
        " / SPREAD_DB",
        "",
        "the error is in decibels; divide it by SPREAD_DB, or it drowns the quantiser's loss.",
    ),
    (
        "loss = error.abs().mean() + edges",
        "loss = edges",
        "the error of the values themselves is missing.",
    ),
    hints=(
        "Output, error, three means of absolute values, the quantiser's loss; then the gradient.",
        "`optimizer.zero_grad()`, `loss.backward()`, cut, `optimizer.step()`, in this order.",
    ),
)


def _loop(fn: Callable[..., Any]) -> dict[str, Any]:
    """Sixty steps on the toy, with clips that are all alike, so that it cannot matter which."""
    modes: list[bool] = []
    sizes: list[str] = []

    class Watched(_Toy):
        def forward(self, mel: Tensor) -> tuple[Tensor, None, Tensor]:
            modes.append(self.training)
            sizes.append(str(tuple(mel.shape)))
            return super().forward(mel)

    codec = Watched().eval()
    before = codec.weight.detach().clone()
    losses = fn(codec, _decibels[:1, :, :1].expand(30, -1, 40), 60, highest=1e-3)
    return {
        "the number of losses": 0 if losses is None else len(list(losses)),
        "whether it trains in training mode": bool(modes) and all(modes),
        "whether it ends in evaluation mode": not codec.training,
        "the shape of a batch": sizes[0] if sizes else "none",
        "how far the weights went": codec.weight - before,
    }


loop = piece(
    "06-loop",
    _loop,
    (
        "    codec.train()\n",
        "",
        "the codec is not in training mode: the codebooks would not learn (`codec.train()`).",
    ),
    (
        "    codec.eval()",
        "    pass",
        "the codec stays in training mode: the codebooks would go on learning in use "
        "(`codec.eval()`).",
    ),
    (
        "highest * warm_up * fall",
        "highest * fall",
        "the warm-up is missing: the first 50 steps rise.",
    ),
    (
        "highest * warm_up * fall",
        "highest * warm_up",
        "the rate does not fall: half a cosine, from 1 to 0.",
    ),
    (
        "highest * warm_up * fall",
        "highest",
        "the rate is the same in every step: it should rise over 50 steps and fall along a cosine.",
    ),
    ("(step + 1) / 50", "step / 50", "step 0 gets a rate of 0 and is wasted: step + 1."),
    ("(1 + math.cos", "(2 * math.cos", "the cosine should run from 1 to 0: (1 + cos) / 2."),
    (
        "rows = torch.randint(len(mels), (batch,))",
        "rows = torch.arange(1)",
        "the batch has the wrong size: draw `batch` random rows.",
    ),
    (
        "yield training_step",
        "training_step",
        "nothing is yielded: `yield` gives each step's loss to whoever watches.",
    ),
    ("range(steps)", "range(steps - 1)", "one step is missing."),
    hints=(
        "An Adam, `codec.train()`, then for each step: the rate, a batch, `yield "
        "training_step(...)`.",
        '`optimizer.param_groups[0]["lr"] = ...` sets the rate.',
        "`mels[torch.randint(len(mels), (batch,))]` are random rows.",
    ),
)

PIECES = {
    "06-block": block,
    "06-encoder": encoder,
    "06-decoder": decoder,
    "06-model": model,
    "06-step": step,
    "06-loop": loop,
}
