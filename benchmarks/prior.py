"""What the prior has learned: the price of codes, new words, whether they are copies, half words.

    python benchmarks/prior.py [--threads 1]

Four tables, with the shipped codec, prior and word classifier:

1. Price: bits per second of the codes of held-out clips under the prior, beside their nominal bits
   and beside static tables (how often each code of a stage occurs in training, plus a half).
2. New words: 25 draws of each word, decoded, and what the classifier hears: plain (temperature 1,
   nothing left out), narrowed, and with the word overstated too, the chosen setting; beside
   held-out clips through the same stages. Drawing narrowly is heard better and sounds more alike,
   so the distance between two draws of a word stands beside it.
3. Copies: distance of each draw to the nearest training clip, and the same for held-out clips. All
   are decoded from their codes; the distance is the root mean square difference of log-mel frames
   in dB after the best shift in time (up to 0.1 s). A copy would be near 0.
4. Half words: held-out clips cut in the middle, continued with and without being told the word, and
   with the word that the prior itself takes them for: the one under which they cost least.
5. Early: how many of these guesses are right after so many positions, beside the classifier, which
   hears those positions and then silence.

The tables of a run that is not repeated whole (--tables) stay as they are in --out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from vqlab.lessons.classifier import load_classifier
from vqlab.lessons.prior import Prior, load_prior, voice

import vqlab
from vqlab import metrics, spectral
from vqlab.codec import Codec
from vqlab.files import write_whole
from vqlab.quantize import CodebookStats

MEL = spectral.MelConfig(hop_length=160, n_mels=40)  # 100 frames a second
RANGE_DB = 50.0  # what is further below the loudest cell of a sound counts as silence

TABLES = ["training", "halves", "early"]
"""What can be made alone: the first three tables, which need the training clips, and the others."""

Row = dict[str, object]


def price(prior: Prior, train: Tensor, sets: dict[str, tuple[Tensor, list[str]]]) -> list[Row]:
    """Bits per second of the codes of each set, in four ways; clips last a second."""
    stats = CodebookStats(prior.codebook_sizes)
    stats.update(train)
    # -log2 of the share of each code, (K,) a stage, with half a count for everyone
    tables = [-((n + 0.5) / (n + 0.5).sum()).log2() for n in stats.counts]
    rows: list[Row] = []
    for name, (codes, labels) in sets.items():
        words = [label if label in prior.words else None for label in labels]
        static = sum(tables[i][codes[:, i]].sum() for i in range(codes.shape[1])) / len(codes)
        rows.append(
            {
                "set": name,
                "clips": len(codes),
                "nominal": round(codes.shape[2] * sum(map(math.log2, prior.codebook_sizes))),
                "static": round(float(static)),
                "any": round(float(prior.bits(codes).mean())),
                "word": round(float(prior.bits(codes, words).mean())),
            }
        )
    return rows


def picture(codec: Codec, codes: Tensor) -> Tensor:
    """Log-mel frames (n, 40, frames) of codes, in dB below the loudest cell, to `RANGE_DB` below.

    Four steps of inversion are enough to look at, and four thousand sounds are to be looked at.
    """
    db = spectral.log_mel(voice(codec, codes, n_iter=4), MEL)
    return (db - db.amax(dim=(1, 2), keepdim=True)).clamp_min(-RANGE_DB)


def distances(a: Tensor, b: Tensor, *, shift: int = 10) -> Tensor:
    """RMS difference in dB of each picture of `a` and each of `b` at the best shift: (n, m).

    `a` is moved by up to `shift` frames; what moves in is silence.
    """
    n, bands, frames = a.shape
    best = torch.full((n, len(b)), math.inf)
    other = b.flatten(1)
    padded = torch.nn.functional.pad(a, (shift, shift), value=-RANGE_DB)
    for first in range(2 * shift + 1):
        moved = padded[..., first : first + frames].flatten(1)
        squared = moved.square().sum(1, keepdim=True) + other.square().sum(1) - 2 * moved @ other.T
        best = torch.minimum(best, squared)
    return (best.clamp_min(0) / (bands * frames)).sqrt()


def nearest(pictures: Tensor, training: Tensor) -> Tensor:
    """Distance in dB of each picture to the nearest one in training: (n,)."""
    return torch.cat([distances(part, training).amin(dim=1) for part in pictures.split(50)])


def equal_codes(codes: Tensor, versions: Tensor, *, shift: int = 2) -> Tensor:
    """Largest share of equal codes with any training row, moved by up to `shift`: (n,).

    codes : (n, stages, positions); versions : (versions, m, stages, positions)
    """
    other = versions.flatten(0, 1).flatten(1).to(torch.int16)
    best = torch.zeros(len(codes))
    padded = torch.nn.functional.pad(codes, (shift, shift), value=-1).to(torch.int16)
    for first in range(2 * shift + 1):
        moved = padded[..., first : first + codes.shape[2]].flatten(1)
        shares = [(row == other).float().mean(dim=1).amax() for row in moved]
        best = torch.maximum(best, torch.stack(shares))
    return best


def spread(pictures: Tensor, words: Sequence[str]) -> float:
    """Mean distance in dB between two different sounds of the same word."""
    means = []
    for word in sorted(set(words)):
        some = pictures[torch.tensor([w == word for w in words])]
        if len(some) > 1:
            means.append(distances(some, some).sum() / (len(some) * (len(some) - 1)))
    return float(torch.stack(means).mean())


def share_heard(heard: Sequence[str], words: Sequence[str], word: str | None = None) -> float:
    """Per cent recognised: of one word, or the mean over words."""
    if word is None:
        each = [share_heard(heard, words, one) for one in sorted(set(words))]
        return sum(each) / len(each)
    right = [h == w for h, w in zip(heard, words, strict=True) if w == word]
    return 100 * sum(right) / len(right)


def balanced(codes: Tensor, labels: list[str], words: Sequence[str], most: int) -> tuple:
    """Up to `most` rows of each word, the first ones: codes and words."""
    rows = [
        row
        for word in words
        for row in [i for i, label in enumerate(labels) if label == word][:most]
    ]
    return codes[rows], [labels[i] for i in rows]


def training_tool():
    """tools/train_prior.py as a module: it codes the splits, and keeps the codes."""
    path = Path(__file__).resolve().parent.parent / "tools" / "train_prior.py"
    sys.path.insert(0, str(path.parent))  # what it imports lies beside it
    spec = importlib.util.spec_from_file_location("train_prior", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def draws(prior: Prior, each: int, **options) -> tuple[Tensor, list[str]]:
    """`each` rows of every word the prior knows, and the words."""
    rows = [prior.sample(word, each, seed=n, **options) for n, word in enumerate(prior.words)]
    return torch.cat(rows), [word for word in prior.words for _ in range(each)]


def setting(temperature: float = 1.0, top_p: float = 1.0, guidance: float = 1.0) -> str:
    """The name of a row of draws."""
    return f"drawn, temperature {temperature:g}, top-p {top_p:g}, guidance {guidance:g}"


def quartiles(values: Tensor) -> dict[str, float]:
    points = values.quantile(torch.tensor([0.0, 0.25, 0.5, 0.75]))
    return dict(zip(("least", "quarter", "median", "three_quarters"), points.tolist(), strict=True))


def new_words(
    codec: Codec, prior: Prior, hear: Callable, held_out: tuple, settings: dict, each: int
) -> tuple[list[Row], dict]:
    """Per cent recognised, a row a setting; and the sounds' codes, words and pictures by row."""
    sources = {"held-out clips": held_out}
    for name, options in settings.items():
        sources[name] = draws(prior, each, **options)
    rows: list[Row] = []
    made = {}
    for name, (codes, words) in sources.items():
        heard, seen = hear(voice(codec, codes)), picture(codec, codes)
        row: Row = {"sounds": name, "n": len(words), "recognised": share_heard(heard, words)}
        row |= {word: share_heard(heard, words, word) for word in prior.words}
        row["spread"] = spread(seen, words)
        row["bits"] = float(prior.bits(codes, words).mean())
        rows.append(row)
        made[name] = (codes, words, seen)
    return rows, made


def guesses(prior: Prior, codes: Tensor) -> list[str]:
    """The word under which each row of codes costs least: as good as any word is taken for one."""
    bits = torch.stack([prior.bits(codes, word) for word in prior.words], dim=1)
    return [prior.words[n] for n in bits.argmin(dim=1).tolist()]


def silenced(codec: Codec, codes: Tensor, positions: int) -> Tensor:
    """Sounds of the first positions, and silence from there on."""
    samples = codes.shape[2] * codec.samples_per_position
    cut = voice(codec, codes[..., :positions])
    return torch.nn.functional.pad(cut, (0, samples - cut.shape[1]))


def half_words(
    codec: Codec, prior: Prior, hear: Callable, held_out: tuple, chosen: dict
) -> list[Row]:
    """Per cent recognised of clips whose second half is silence, drawn, or as it was."""
    codes, words = held_out
    half = codes.shape[2] // 2
    start = codes[..., :half]

    def continued(told: Sequence[str]) -> Tensor:
        made = torch.empty_like(codes)
        for word in set(told):
            rows = torch.tensor([i for i, w in enumerate(told) if w == word])
            made[rows] = prior.sample(word, len(rows), start=start[rows], **chosen)
        return voice(codec, made)

    untold = prior.sample(None, len(codes), start=start, **chosen)
    sounds = {
        "first half, then silence": silenced(codec, codes, half),
        "first half, continued, word not told": voice(codec, untold),
        "first half, continued as the word it is taken for": continued(guesses(prior, start)),
        "first half, continued, word told": continued(words),
        "whole clip": voice(codec, codes),
    }
    rows = []
    for name, sound in sounds.items():
        heard = hear(sound)
        row: Row = {"sounds": name, "n": len(words), "recognised": share_heard(heard, words)}
        rows.append(row | {word: share_heard(heard, words, word) for word in prior.words})
    return rows


def early(codec: Codec, prior: Prior, hear: Callable, held_out: tuple) -> list[Row]:
    """Per cent of clips whose word is known after so many positions."""
    codes, words = held_out
    return [
        {
            "positions": n,
            "n": len(words),
            "prior": share_heard(guesses(prior, codes[..., :n]), words),
            "classifier": share_heard(hear(silenced(codec, codes, n)), words),
        }
        for n in (8, 10, 12, 14, 16, 20, 25)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--codec", default="speech")
    parser.add_argument("--prior", type=Path, help="a prior's file (default: the shipped one)")
    parser.add_argument("--temperature", type=float, default=1.0, help="of the chosen setting")
    parser.add_argument("--top-p", type=float, default=0.9, help="of the chosen setting")
    parser.add_argument("--guidance", type=float, default=6.0, help="of the chosen setting")
    parser.add_argument("--each", type=int, default=25, help="draws of a word")
    parser.add_argument("--runs", type=Path, default=Path("runs/prior"), help="keeps the codes")
    parser.add_argument("--out", type=Path, default=Path("docs/results/prior"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=TABLES)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)

    codec = vqlab.load_pretrained(given.codec)
    prior = load_prior(given.prior, codec=codec)
    classifier = load_classifier()
    unheard = set(prior.words) - set(classifier.words)
    if unheard:
        parser.error(f"the classifier does not know {', '.join(sorted(unheard))}")

    def hear(sound: Tensor) -> list[str]:
        return classifier.recognise(list(sound), codec.sample_rate)

    tool, stages = training_tool(), len(prior.codebook_sizes)

    def coded(split: str, **options) -> tuple[Tensor, list[str]]:
        return tool.cached(given.runs, codec, split, stages, **options)

    codes, labels = coded("test")
    test = codes[0], labels
    held_out = balanced(*test, prior.words, given.each)
    narrowed = {"temperature": given.temperature, "top_p": given.top_p}
    chosen = narrowed | {"guidance": given.guidance}
    kept = given.out / "scores.json"
    scores = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    if "training" in given.tables:
        options = {"versions": prior.trained["versions"], "limit": prior.trained["limit"]}
        versions, _ = coded("train", **options)
        codes, labels = coded("validation")
        sets = {"validation": (codes[0], labels), "test": test}
        scores["price"] = price(prior, versions[0], sets)
        settings = {setting(**options): options for options in ({}, narrowed, chosen)}
        scores["words"], made = new_words(codec, prior, hear, held_out, settings, given.each)
        training = picture(codec, versions[0])
        scores["copies"] = [
            {"sounds": source, "n": len(codes)}
            | quartiles(nearest(seen, training))
            | {"equal": 100 * float(equal_codes(codes, versions).mean())}
            | {"most_equal": 100 * float(equal_codes(codes, versions).max())}
            for source, (codes, _, seen) in made.items()
        ]
    if "halves" in given.tables:
        scores["halves"] = half_words(codec, prior, hear, held_out, chosen)
    if "early" in given.tables:
        scores["early"] = early(codec, prior, hear, held_out)
    scores |= {"prior": prior.trained, "chosen": chosen}
    text = report(scores, stages, codec, prior, chosen)
    print(text)
    given.out.mkdir(parents=True, exist_ok=True)
    write_whole(kept, (json.dumps(scores, indent=1) + "\n").encode())
    write_whole(given.out / "table.md", (text + "\n").encode())


def report(scores: dict, stages: int, codec: Codec, prior: Prior, chosen: dict) -> str:
    """All tables, in Markdown."""
    rate = f"{stages} stages, {codec.sample_rate // codec.samples_per_position} positions a second"
    words = {word: word for word in prior.words}
    return "\n\n".join(
        [
            f"Price of the codes in bits per second ({rate}):",
            metrics.markdown_table(
                {
                    "set": "clips of", "clips": "clips", "nominal": "nominal",
                    "static": "static tables", "any": "prior, word unknown",
                    "word": "prior, word known",
                },
                scores["price"],
            ),
            "New words, per cent recognised by the word classifier (mean over words, and each "
            "word); distance in dB between two sounds of the same word; price under the prior:",
            metrics.markdown_table(
                {"sounds": "sounds", "n": "n", "recognised": "recognised %"}
                | words
                | {"spread": "apart, dB", "bits": "bits"},
                scores["words"],
            ),
            "Copies: distance in dB to the nearest training clip, and per cent of codes equal to "
            "those of the training clip with the most:",
            metrics.markdown_table(
                {
                    "sounds": "sounds", "n": "n", "least": "least", "quarter": "a quarter below",
                    "median": "median", "three_quarters": "three quarters below",
                    "equal": "equal codes, mean %", "most_equal": "most %",
                },
                scores["copies"],
            ),
            f"Half words, {setting(**chosen)}, per cent recognised:",
            metrics.markdown_table(
                {"sounds": "sounds", "n": "n", "recognised": "recognised %"} | words,
                scores["halves"],
            ),
            "Words known early, per cent, from the first positions of 0.04 s alone:",
            metrics.markdown_table(
                {
                    "positions": "positions", "n": "n",
                    "prior": "taken for the right word by the prior",
                    "classifier": "heard by the classifier, silence after them",
                },
                scores["early"],
            ),
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
