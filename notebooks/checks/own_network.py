"""The pieces of notebook 06: the network, the training step, the loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from vqlab.lessons.edits import form, noise, piece, seeded

from vqlab.lessons.exercise import Probe
from vqlab.lessons.own_file import program

_ours = program({})


def _network(channels: int, frames: Callable[[int], int]) -> Probe:
    """What every such network has to do, whatever its layers: any that does it passes."""

    def probe(fn: Callable[..., Any]) -> dict[str, Any]:
        def run() -> dict[str, Any]:
            network, x = fn(), noise(2, channels, 40)
            out = network(x)
            if form(out).count(",") != 2:
                return {"the shape of the output for 40 frames": form(out)}
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
                "whether it gives the same twice": bool((network(x) == network(x)).all()),
            }

        return seeded(run)

    return probe


_PARTS = {
    "the shape of": "It is (batch, channels, frames): a kernel of k frames needs (k - 1) / 2 of "
    "padding at each side, and only a stride changes the number of frames.",
    "without a gradient": "They are made in `__init__` and not used in `forward`.",
    "a say in its neighbours": "Somewhere a kernel has to be longer than the stride, to hear along "
    "time.",
    "stands where": "What happens in a frame has to come out at its time: look at the padding.",
    "a say in another": "The items of a batch may not mix: the first axis is left alone.",
    "the same twice": "Nothing in the network may be left to chance.",
}

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
    parts=_PARTS,
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
    parts=_PARTS,
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
    parts=_PARTS,
)


_decibels = _ours.MEAN_DB + _ours.SPREAD_DB * noise(4, _mels, 40)


def _started() -> torch.nn.Module:
    codec = _ours.Codec()
    codec(_decibels)
    return codec


def _shapes(codec: torch.nn.Module) -> set[str]:
    """What the layers and buffers of a codec are called, with their shapes."""
    rows = codec.state_dict().items()
    return {f"{name} {tuple(x.shape)}" for name, x in rows if name != "frequencies"}


def _model(fn: Callable[..., Any]) -> dict[str, Any]:
    """Her model with our weights, if its parts have our names; its own say what they are."""
    codec = fn()
    ours = seeded(_started)
    if not hasattr(codec, "frequencies"):
        return {"whether it has frequencies": False}
    if missing := sorted(_shapes(ours) - _shapes(codec)):
        return {"what it lacks": ", ".join(missing)}
    codec.load_state_dict(ours.state_dict(), strict=False)
    returned = codec.eval()(_decibels)
    if form(returned) != form(ours(_decibels)):
        return {f"what comes back for {tuple(_decibels.shape)}": form(returned)}
    output, codes, loss = returned
    back = codec.decode(codes)
    if form(back) != form(output):
        return {"what `decode` gives": form(back)}
    return {
        "whether it has frequencies": True,
        "what it lacks": "",
        f"what comes back for {tuple(_decibels.shape)}": form(returned),
        "what `decode` gives": form(back),
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
    parts={
        "has frequencies": '`register_buffer("frequencies", ...)`: ones, (STAGES, CODES), int64.',
        "what it lacks": "Its parts are called `encoder`, `quantizer` and `decoder`, and are an "
        "`Encoder()`, a `ResidualQuantizer()` and a `Decoder()`.",
        "comes back": "Wanted are three: decibels of the shape that came in, the codes (batch, "
        "STAGES, positions), and the quantiser's loss.",
        "the output": "Decibels go in less MEAN_DB and divided by SPREAD_DB; encoder, quantiser, "
        "decoder; then times SPREAD_DB, plus MEAN_DB.",
        "the codes": "They are those of the quantiser, of (mel - MEAN_DB) / SPREAD_DB through the "
        "encoder.",
        "the loss": "It is the quantiser's.",
        "`decode`": "`self.quantizer.lookup(codes)`, then the decoder, then back to decibels as in "
        "`forward`.",
        "asks for gradients": "A receiver learns nothing: `@torch.no_grad()` above `decode`.",
        "the frequencies": "A 1 for each code of each stage, (STAGES, CODES), whole numbers.",
    },
)


class _Toy(torch.nn.Module):
    """As simple as a codec can be: one weight a band."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.linspace(0.2, 0.9, _mels)[:, None])

    def forward(self, mel: Tensor) -> tuple[Tensor, None, Tensor]:
        return mel * self.weight, None, 100 * self.weight.square().mean()


class _Off(_Toy):
    """A codec whose output is wrong by so much, whatever goes in."""

    def __init__(self, off: Tensor, quantizer_loss: float = 0.0) -> None:
        super().__init__()
        self.off, self.quantizer_loss = off, quantizer_loss

    def forward(self, mel: Tensor) -> tuple[Tensor, None, Tensor]:
        return mel + self.off + 0 * self.weight, None, self.weight.mean() * 0 + self.quantizer_loss


_zigzag = 10.0 * (torch.arange(40) % 2)
_errors = {
    "where all is 20 dB too loud": (torch.full((40,), 20.0), 0.0),
    "where every other frame is 10 dB too loud": (_zigzag, 0.0),
    "where every other band is 10 dB too loud": (10.0 * (torch.arange(_mels) % 2)[:, None], 0.0),
    "where nothing is wrong and the quantiser's loss is 5": (torch.zeros(40), 5.0),
}


def _step(fn: Callable[..., Any]) -> dict[str, Any]:
    seen = {}
    for name, (off, quantizer_loss) in _errors.items():
        toy = _Off(off, quantizer_loss)
        loss = fn(toy, torch.optim.SGD(toy.parameters(), lr=0.1), _decibels)
        seen[f"the loss {name}"] = loss.item() if isinstance(loss, Tensor) else loss
    codec = _Toy()
    codec(_decibels)[0].sum().backward()  # a gradient left over from before
    optimizer = torch.optim.SGD(codec.parameters(), lr=0.1)
    losses = [fn(codec, optimizer, _decibels) for _ in range(2)]
    losses = [loss.item() if isinstance(loss, Tensor) else loss for loss in losses]
    gradient = torch.zeros(()) if codec.weight.grad is None else codec.weight.grad
    return seen | {
        "the loss of the first step": losses[0],
        "how long the gradient of the last step is": gradient.norm(),
        "the loss of the second step": losses[1],
        "the weights after two steps": codec.weight,
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
    parts={
        "all is 20 dB": "Here the error is the same everywhere, so its differences are 0: what is "
        "left is the mean of |error|, in units of SPREAD_DB, 1.",
        "every other frame": "The error, in units of SPREAD_DB, is 0 and 0.5 in turn: |error| has "
        "the mean 0.25, the differences along time (dim=-1) 0.5, along frequency 0.",
        "every other band": "The error, in units of SPREAD_DB, is 0 and 0.5 in turn: |error| has "
        "the mean 0.25, the differences along frequency (dim=-2) 0.5, along time 0.",
        "nothing is wrong": "The quantiser's loss is added as it is.",
        "the first step": "The mean of |error|, those of its differences along time and along "
        "frequency, and the quantiser's loss, added up; returned before the weights move.",
        "gradient of the last": "The old gradients are set to 0, then the new ones computed, then "
        "cut to length 1 (`nn.utils.clip_grad_norm_`).",
        "the second step": "The loss of the first is right, so it is the gradient, or the step "
        "along it, that is not.",
        "the weights": "zero_grad, backward, cut to length 1, step, in this order.",
    },
)


def _loop(fn: Callable[..., Any]) -> dict[str, Any]:
    def run() -> dict[str, Any]:
        seen = _rates(fn)
        return seen | _batches(fn) if len(seen) > 2 else seen

    return seeded(run)


def _rates(fn: Callable[..., Any]) -> dict[str, Any]:
    """Sixty steps on the toy, with clips that are all alike, so that it cannot matter which."""
    modes: list[bool] = []
    sizes: list[str] = []
    weights: list[Tensor] = []

    class Watched(_Toy):
        def forward(self, mel: Tensor) -> tuple[Tensor, None, Tensor]:
            modes.append(self.training)
            sizes.append(form(mel))
            weights.append(self.weight.detach().mean())
            return super().forward(mel)

    codec = Watched().eval()
    losses = fn(codec, _decibels[:1, :, :1].expand(30, -1, 40), 60, highest=1e-3)
    count = 0 if losses is None else len(list(losses))
    if count != 60 or len(sizes) != 60:
        return {"the number of losses for 60 steps": count, "that of batches": len(sizes)}
    weights.append(codec.weight.detach().mean())
    went = 1e4 * torch.stack(weights).diff().abs()
    return {
        "the number of losses for 60 steps": count,
        "that of batches": len(sizes),
        "whether it trains in training mode": bool(modes) and all(modes),
        "whether it ends in evaluation mode": not codec.training,
        "the shape of a batch": sizes[0],
        "how far the weights go in step 0": went[0],
        "how far the weights go in steps 1 to 40": went[1:41],
        "how far the weights go in steps 41 to 59": went[41:],
    }


def _batches(fn: Callable[..., Any]) -> dict[str, Any]:
    """What it draws: each clip has a number, and each of its frames."""
    clips, starts = [], []

    class Watched(_Toy):
        def forward(self, mel: Tensor) -> tuple[Tensor, None, Tensor]:
            frames = mel[:, 0] % 1000
            clips.extend((mel[:, 0, 0] // 1000).tolist())
            starts.extend(frames[:, 0].tolist())
            steps = frames.diff(dim=-1)
            in_order.append(bool(((steps == 1) | (steps == -99)).all()))
            return super().forward(mel)

    in_order: list[bool] = []
    numbers = 1000.0 * torch.arange(30)[:, None, None] + torch.arange(100.0)
    codec = Watched()
    rates = []
    for _ in fn(codec, numbers.expand(-1, _mels, -1), 60):
        rates.append(codec.weight.detach().mean())
    return {
        "how many of 30 clips are drawn in 60 steps": len(set(clips)),
        "whether frames stay in order": all(in_order),
        "whether clips begin at many places": len(set(starts)) > 20,
        "whether they begin in each fifth": len({(s - 1) // 20 for s in starts if s}) == 5,
        "how far the weights go if `highest` is not given": 1e4 * (rates[20] - rates[0]).abs(),
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
    parts={
        "number of losses": "It is a generator: `yield` the loss of each of the `steps` steps.",
        "that of batches": "Each step is one `training_step`, with one batch.",
        "shape of a batch": "`batch` random rows of `mels`, 16 if nothing is said, each whole.",
        "in step 0": "That is the learning rate of the step (times 10,000): 1/50 of the highest.",
        "in steps 1 to 40": "That is about the learning rate (times 10,000), with Adam: highest * "
        "warm-up * fall. Warm-up is (step + 1) / 50, at most 1; the fall is half a cosine, from 1 "
        "to 0: (1 + cos(pi * step / steps)) / 2.",
        "in steps 41 to 59": "Until step 40 it is right. The warm-up ends at step 50, at 1; the "
        "fall goes on to nearly 0.",
        "of 30 clips": "Rows are drawn anew in each step, from all of `mels`.",
        "stay in order": "Clips are rolled along time (`dims=-1`), nothing else.",
        "begin at many places": "In each step the clips are rolled along time by a random number "
        "of frames: `.roll(shift, dims=-1)`.",
        "each fifth": "The shift is drawn from all frames: below `mels.shape[-1]`.",
        "`highest` is not": "It is 2e-3 then.",
    },
)

PIECES = {
    "06-block": block,
    "06-encoder": encoder,
    "06-decoder": decoder,
    "06-model": model,
    "06-step": step,
    "06-loop": loop,
}
