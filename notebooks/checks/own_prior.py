"""The pieces of notebook 12: attention, its layer, the prior, and drawing from it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from vqlab.lessons.edits import noise, piece, seeded

from vqlab.lessons.own_file import program

_ours = program({})
_STAGES, _CODES = _ours.STAGES, _ours.CODES

_heads = [noise(2, 3, 5, 8, seed=seed) for seed in range(3)]

attend = piece(
    "12-attend",
    lambda fn: fn(*(part.clone() for part in _heads)),
    (
        " / math.sqrt(query.shape[-1])",
        "",
        "the scores are too large: divide them by the square root of the size, "
        "`math.sqrt(query.shape[-1])`, or the softmax sees only one position.",
    ),
    (
        "math.sqrt(query.shape[-1])",
        "query.shape[-1]",
        "divide by the square *root* of the size: a product of vectors grows with that.",
    ),
    (
        "triu(1)",
        "triu(0)",
        "each position is hidden from itself, and the first one, which has nothing else, is nan: "
        "`triu(1)` begins above the diagonal.",
    ),
    ("triu(1)", "tril(-1)", "this hides the past and shows the future: `triu`, not `tril`."),
    (
        "softmax(dim=-1)",
        "softmax(dim=-2)",
        "the weights of a position that looks, a row, have to sum to 1: `softmax(dim=-1)`.",
    ),
    (
        "masked_fill(later, -math.inf)",
        "masked_fill(later, 0)",
        "a *score* of 0 is a weight of exp(0) = 1 before it is divided: hide with -inf.",
    ),
    (
        "scores.masked_fill(later, -math.inf).softmax(dim=-1)",
        "scores.softmax(dim=-1).masked_fill(later, 0)",
        "the weights that are left no longer sum to 1: mask the scores, then take the softmax.",
    ),
    (
        "scores.masked_fill(later, -math.inf)",
        "scores",
        "every position sees the future. Whatever stands to the right of the diagonal becomes "
        "-inf before the softmax.",
    ),
    (
        "query @ key.mT",
        "key @ query.mT",
        "a row should be one that looks, a column one that is looked at: `query @ key.mT`.",
    ),
    (" @ value", "", "these are the weights; wanted is the mean of `value` with them."),
    hints=(
        "`query @ key.mT` are all scores at once, (batch, heads, positions, positions).",
        "`torch.ones_like(scores, dtype=torch.bool).triu(1)` is True where the column is later.",
    ),
)


def _layer(fn: Callable[..., Any]) -> dict[str, Any]:
    """What any such layer has to do, however it is written."""

    def run() -> dict[str, Any]:
        layer, x = fn(32), noise(2, 6, 32)
        shape = str(tuple(layer(x).shape))
        if shape != "(2, 6, 32)":
            return {"the shape for (2, 6, 32)": shape}
        twice = (layer(x) - layer(x)).abs().max() > 0
        out = layer.eval()(x)
        out.square().mean().backward()
        idle = [name for name, p in layer.named_parameters() if p.grad is None]
        other = x.clone()
        other[0, 3] += noise(32, seed=1)
        changed = (layer(other) - out).abs().amax(dim=-1) > 1e-6  # (2, 6)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.zero_()
            through = bool((layer(x) == x).all())
        return {
            "the shape for (2, 6, 32)": shape,
            "whether a later position has a say": bool(changed[0, :3].any()),
            "whether an earlier position has a say": bool(changed[0, 4:].any()),
            "whether one row has a say in another": bool(changed[1].any()),
            "parameters without a gradient": ", ".join(idle),
            "whether x goes through when all weights are 0": through,
            "whether dropout drops something in training": bool(twice),
        }

    return seeded(run)


_THROUGH = "what comes in is lost on the way: `x + …` both times, so that a layer only corrects."

layer = piece(
    "12-layer",
    _layer,
    ("x = x + self.dropout(self.join", "x = self.dropout(self.join", _THROUGH),
    ("return x + self", "return self", _THROUGH),
    (
        "attend(",
        "F.scaled_dot_product_attention(",
        "later positions have a say: mix with your `attend`, which hides them.",
    ),
    (
        "self.network(self.norm_2(x))",
        "self.network(x)",
        "`norm_2` is made and never used: the network reads `self.norm_2(x)`.",
    ),
    (
        "self.split(self.norm_1(x))",
        "self.split(x)",
        "`norm_1` is made and never used: queries, keys and values come of `self.norm_1(x)`.",
    ),
    ("self.dropout(", "(", "`dropout` is made and never used: on both corrections, before the +."),
    (
        "return x + self.dropout(self.network(self.norm_2(x)))",
        "return x",
        "attention alone is half a layer: the small network has not been asked.",
    ),
    (
        "self.join(found.transpose(1, 2).flatten(2))",
        "found.transpose(1, 2).flatten(2)",
        "`join` is made and never used: it mixes what the heads have found.",
    ),
    hints=(
        "`self.split(…).unflatten(-1, (3, self.heads, -1))` has the axes batch, positions, 3, "
        "heads, size; `attend` wants batch, heads, positions, size, three times.",
        "`.permute(2, 0, 3, 1, 4)` brings the 3 to the front; back: `.transpose(1, 2).flatten(2)`.",
    ),
)


def _differ(a: Tensor, b: Tensor) -> bool:
    return bool((a - b).abs().max() > 1e-5)


def _prior(fn: Callable[..., Any]) -> dict[str, Any]:
    """What any prior has to do: prices are those of the chain rule, and nobody peeks."""

    def run() -> dict[str, Any]:
        prior = fn(3, 6).eval()
        codes = torch.randint(_CODES, (2, _STAGES, 6), generator=torch.Generator().manual_seed(1))
        word = torch.tensor([0, 2])
        price, seen = prior(codes, word), prior.read(codes[..., :5], word)
        shapes = f"{tuple(price.shape)} and {tuple(seen.shape[:2])}"
        if shapes != f"(2, {_STAGES}, 6) and (2, 6)" or seen.ndim != 3:
            return {"the shapes of prior(codes, word) and of read": shapes}
        price.sum().backward()

        def changed(stage: int, position: int) -> tuple[Tensor, Tensor]:
            other = codes.clone()
            other[:, stage, position] = (other[:, stage, position] + 7) % _CODES
            return prior(other, word), prior.read(other[..., :5], word)

        def total(stage: int, position: int) -> float:
            rows = codes[:1].repeat(_CODES, 1, 1)
            rows[:, stage, position] = torch.arange(_CODES)
            return float(prior(rows, word[:1].expand(_CODES))[:, stage, position].exp().sum())

        with torch.no_grad():
            first, read = changed(0, 3)
            last, _ = changed(_STAGES - 1, 3)
            return {
                "the shapes of prior(codes, word) and of read": shapes,
                "the number of words it knows, with that for any word": prior.word.num_embeddings,
                "whether a logarithm of a probability is above 0": bool((price > 1e-6).any()),
                "whether `read` at a position sees that position's code": _differ(
                    read[:, 3], seen[:, 3]
                ),
                "whether a later position has a say": _differ(first[..., :3], price[..., :3]),
                "whether stage 0 sees later stages of its position": _differ(
                    last[:, 0, 3], price[:, 0, 3]
                ),
                "whether the last stage sees stage 0 of its position": _differ(
                    first[:, -1, 3], price[:, -1, 3]
                ),
                "whether an earlier position has a say": _differ(first[..., 4:], price[..., 4:]),
                "whether the probabilities of all codes sum to 1 in stage 0": abs(total(0, 5) - 1)
                < 1e-3,
                "and in the last stage": abs(total(_STAGES - 1, 2) - 1) < 1e-3,
                "parameters without a gradient": ", ".join(
                    name for name, p in prior.named_parameters() if p.grad is None
                ),
            }

    return seeded(run)


prior = piece(
    "12-prior",
    _prior,
    (
        "self.read(codes[..., :-1], word)",
        "self.read(codes, word)[:, 1:]",
        "each position is told the very codes that it should foretell: `read` the codes without "
        "the last position, so that row n knows those before n.",
    ),
    (
        "            h = h + table(codes[:, stage])  # the next stage knows this one\n",
        "",
        "the stages of a position do not know each other: after a stage is priced, its code's "
        "vector is added to h.",
    ),
    (
        "            found.append(",
        "            h = h + table(codes[:, stage])\n            found.append(",
        "a stage sees its own code before it is priced: first the price, then add the vector.",
    ),
    (
        " + self.word(word)[:, None]",
        "",
        "`word` is made and never used: it is added at every position.",
    ),
    (
        " + self.place.weight[: x.shape[1]]",
        "",
        "`place` is made and never used: without it no position knows how far the second is.",
    ),
    (
        "-F.cross_entropy",
        "F.cross_entropy",
        "`F.cross_entropy` is -ln p, and ln p is wanted: the sign.",
    ),
    (
        'reduction="none"',
        'reduction="mean"',
        'one price for each code is wanted, not their mean: `reduction="none"`.',
    ),
    ("self.layers(x", "(x", "`layers` is made and never used: nothing looks at the past."),
    (
        "nn.Embedding(words + 1, width)",
        "nn.Embedding(words, width)",
        "one row more: the last one stands for any word.",
    ),
    (
        "F.pad(past, (0, 0, 1, 0))",
        "F.pad(past, (0, 0, 0, 1))",
        "the empty row belongs at the front: at position 0 nothing is known yet, at 1 the code of "
        "position 0.",
    ),
    hints=(
        "`F.pad(past, (0, 0, 1, 0))` puts a row of zeros before the first position.",
        '`-F.cross_entropy(head(h).mT, codes[:, stage], reduction="none")` is ln p of a stage, '
        "(batch, positions).",
    ),
)


def _narrowed(fn: Callable[..., Any]) -> tuple[Tensor, ...]:
    logits = torch.tensor([[2.0, 1.0, 0.0, -3.0, 1.5, 0.4], [-1.0, 0.5, 3.0, 0.2, 0.1, 2.2]])
    return tuple(fn(logits.clone(), t, p) for t, p in ((1.0, 0.5), (0.5, 0.9), (2.0, 1.0)))


narrow = piece(
    "12-narrow",
    _narrowed,
    (
        "(logits / temperature)",
        "(logits * temperature)",
        "you multiply: a low temperature should make the differences larger. Divide.",
    ),
    ("(logits / temperature)", "logits", "the temperature is not used: divide the logits by it."),
    (
        "(logits / temperature).softmax(dim=-1)",
        "(logits.softmax(dim=-1) / temperature)",
        "you divide the probabilities, and they no longer sum to 1. Divide before the softmax.",
    ),
    (
        "softmax(dim=-1)",
        "softmax(dim=0)",
        "each row has to sum to 1 by itself: `softmax(dim=-1)`.",
    ),
    (
        " - p < top_p",
        " < top_p",
        "the code with which the sum reaches top_p stays, too: compare the sum *before* each code.",
    ),
    (
        "p / p.sum(dim=-1, keepdim=True)",
        "p",
        "the right codes are left; now make their probabilities sum to 1 again.",
    ),
    (
        "torch.zeros_like(p).scatter(-1, order, p / p.sum(dim=-1, keepdim=True))",
        "p / p.sum(dim=-1, keepdim=True)",
        "the probabilities are right but sorted: each must stand in the place of its code.",
    ),
    (
        "descending=True",
        "descending=False",
        "you keep the least probable codes: add up from the most probable on.",
    ),
    (
        "p.sum(dim=-1, keepdim=True)",
        "p.sum()",
        "all rows together sum to 1: each row has to, `sum(dim=-1, keepdim=True)`.",
    ),
    (
        " * (p.cumsum(dim=-1) - p < top_p)",
        "",
        "top_p is not used: the codes after those that have it together become 0.",
    ),
    hints=(
        "Sort, add up from the most probable on, and see where the sum first reaches top_p.",
        "A code stays while the sum of those before it, `p.cumsum(dim=-1) - p` after sorting, is "
        "below top_p. `scatter` puts it back into its place.",
    ),
)


def _drawn(fn: Callable[..., Any]) -> dict[str, Any]:
    """Draws in which only one code is ever left, so that no die is thrown."""

    def run() -> dict[str, Any]:
        prior, word = _ours.Prior(3, 6, width=16, layers=1).eval(), torch.tensor([0, 1, 2, 2])
        start = torch.arange(4 * _STAGES * 2).reshape(4, _STAGES, 2)
        return {
            "what a temperature near 0 draws": fn(prior, word, temperature=1e-5, top_p=1.0),
            "what a top_p near 0 draws": fn(prior, word, top_p=1e-6),
            "what it draws with guidance 5": fn(prior, word, top_p=1e-6, guidance=5.0),
            "what follows a start": fn(prior, word, top_p=1e-6, start=start.clone()),
        }

    return seeded(run)


draw = piece(
    "12-draw",
    _drawn,
    (
        "[:, -1], []",
        "[:, 0], []",
        "you ask the first row of `read` each time; the next position is the last row, `[:, -1]`.",
    ),
    (
        "            h = h + table(column[-1]).repeat(2, 1)\n",
        "",
        "the next stage is not told what was drawn: add the vector of the code to h.",
    ),
    (
        "untold + guidance",
        "told + guidance",
        "guidance of 1 should be the plain probability: begin with the one that was *not* told.",
    ),
    (
        "untold + guidance * (told - untold)",
        "told",
        "guidance is not used: what the word adds, told - untold, is taken that many times.",
    ),
    (
        "told, untold =",
        "untold, told =",
        "the two are exchanged: the first half of the rows was told the word.",
    ),
    (
        "temperature, top_p)",
        "1.0, top_p)",
        "the temperature is not used: hand it to `narrow`.",
    ),
    (
        "if start is None else start",
        "if True else start",
        "`start` is not used: the codes begin with it.",
    ),
    (
        "torch.full_like(word, prior.word.num_embeddings - 1)",
        "torch.zeros_like(word)",
        "that which is not told the word gets the number of “any word”, the last one: "
        "`prior.word.num_embeddings - 1`.",
    ),
    (
        "< prior.place.num_embeddings",
        "< prior.place.num_embeddings - 1",
        "one position is missing: there are `prior.place.num_embeddings`.",
    ),
    hints=(
        "Every position anew: `read` all codes so far, take the last row, then stage after stage.",
        "`torch.multinomial(p, 1)[:, 0]` throws the die for each row of `p`.",
    ),
)

PIECES = {
    "12-attend": attend,
    "12-layer": layer,
    "12-prior": prior,
    "12-narrow": narrow,
    "12-draw": draw,
}
