"""Training a prior: the codes of every clip in a few versions, until held-out codes cost least.

The one idea: a few thousand clips hold each code a few dozen times, too seldom to learn a thousand
codes one by one, and they are soon learned by heart. So the prior begins with what the codec knows,
that some codes are alike (`start_from`), and the rest holds the memory back. Each clip is drawn in
one of several versions (moved in time, faster, slower: altered as sound and coded again), dropout
and weight decay (Loshchilov and Hutter 2019) keep the network plain, and what is kept is a moving
average of the weights (Polyak and Juditsky 1992), taken where it prices a validation set lowest.

Notebook: 12
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm
from vqlab.lessons.prior import Prior

from vqlab.codec import Codec
from vqlab.training.runs import copy_state


def fit(
    prior: Prior,
    codes: Tensor,
    words: Sequence[str | None],
    validation: tuple[Tensor, Sequence[str | None]],
    *,
    steps: int,
    batch_size: int = 32,
    learning_rate: float = 3e-3,
    weight_decay: float = 0.1,
    seed: int = 0,
    report_every: int = 100,
    on_report: Callable[[dict[str, Any]], None] | None = None,
) -> list[dict[str, Any]]:
    """Train `prior`; it keeps the averaged weights that price the validation rows lowest.

    codes : int64 (versions, n, stages, positions): n clips, each coded in some versions (moved,
        faster, slower); every time a clip is drawn, so is one of its versions
    words : of each clip, None where it is none of the prior's; one time in ten a word is hidden,
        which is how "any word" is learned
    validation : rows (m, stages, positions) and their words

    It runs where `prior` is: `prior.to("cuda")` first for a GPU.

    returns : a report each `report_every` steps: step, seconds, bits (a row, training, with
        dropout) and validation_bits (a row; the mean over words, so that each counts the same)
    """
    if steps < 1:
        raise ValueError(f"steps is {steps}: give at least 1")
    torch.manual_seed(seed)
    numbers, any_word = prior.word_numbers(words, codes.shape[1]), len(prior.words)
    groups: list[dict[str, Any]] = [
        {"params": [p for p in prior.parameters() if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in prior.parameters() if p.ndim == 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate, betas=(0.9, 0.98))
    order: list[int] = []
    history: list[dict[str, Any]] = []
    average = copy.deepcopy(prior)
    best, losses, started = copy_state(prior), [], time.perf_counter()
    for step in (bar := tqdm(range(1, steps + 1), "training", delay=2, leave=False)):
        share = 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * share * min(1.0, step / 50)
        while len(order) < batch_size:
            order += torch.randperm(codes.shape[1]).tolist()
        rows, order = torch.tensor(order[:batch_size]), order[batch_size:]
        word = torch.where(torch.rand(batch_size) < 0.1, any_word, numbers[rows])
        batch = codes[torch.randint(len(codes), (batch_size,)), rows]
        loss = -prior.train()(batch.to(prior.device), word.to(prior.device)).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(prior.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():  # the last hundred steps or so; fewer at the start
            newest = max(0.01, 9 / (9 + step))
            for kept, new in zip(average.parameters(), prior.parameters(), strict=True):
                kept.lerp_(new, newest)
        losses.append(loss.item() * batch[0].numel() / math.log(2))
        if step % report_every == 0 or step == steps:
            price = mean_by_word(average.bits(*validation), validation[1])
            if price < min((r["validation_bits"] for r in history), default=math.inf):
                best = copy_state(average)
            seconds, bits = round(time.perf_counter() - started, 1), sum(losses) / len(losses)
            history.append(
                {"step": step, "seconds": seconds, "bits": bits, "validation_bits": price}
            )
            bar.set_postfix_str(f"validation {price:.1f} bits a row")
            losses = []
            if on_report is not None:
                on_report(history[-1])
    prior.load_state_dict(best)
    prior.eval()
    return history


def code_vectors(codec: Codec, stages: int) -> list[Tensor]:
    """What each code of the first `stages` stages adds to the decoder's input: (K, dim) each.

    The mean over the codes of a stage is taken out.
    """
    vectors = []
    for stage, size in enumerate(codec.model.bottleneck.codebook_sizes[:stages]):
        codes = torch.zeros(size, stage + 1, 1, dtype=torch.int64)
        codes[:, stage, 0] = torch.arange(size)
        z = codec.model.bottleneck.decode(codes.to(codec.device))[..., 0].detach().cpu()
        vectors.append(z - z.mean(dim=0))
    return vectors


@torch.no_grad()
def start_from(prior: Prior, vectors: Sequence[Tensor], codes: Tensor) -> None:
    """Give codes that are alike like weights, and the frequent ones a higher start.

    The embeddings, and the rows of the last layers, become random projections of the codes'
    vectors; the last biases become ln of the shares in which the codes occur.

    vectors : (K, dim) for each stage, see `code_vectors`
    codes : int64 (n, stages, positions), to count
    """
    for stage, vector in enumerate(vectors):
        table = cast(nn.Embedding, prior.code[stage])
        last = cast(nn.Linear, cast(nn.Sequential, prior.head[stage])[-1])
        width = table.weight.shape[1]
        turned = vector / vector.std() @ torch.randn(vector.shape[1], width)
        turned /= math.sqrt(vector.shape[1])  # each number of deviation 1
        counts = torch.bincount(codes[:, stage].flatten(), minlength=len(vector)) + 0.5
        table.weight.copy_(0.5 * turned)
        last.weight.copy_(turned / math.sqrt(width))
        last.bias.copy_((counts / counts.sum()).log())


def mean_by_word(values: Tensor, words: Sequence[str | None]) -> float:
    """Mean over words of the mean of `values (n,)` over the rows of each word."""
    rows: dict[str | None, list[float]] = {}
    for value, word in zip(values.tolist(), words, strict=True):
        rows.setdefault(word, []).append(value)
    return sum(sum(row) / len(row) for row in rows.values()) / len(rows)
