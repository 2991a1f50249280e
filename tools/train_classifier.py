"""Train the word classifier that ships, and write how well it does.

    VQLAB_DATA=... python tools/train_classifier.py --steps 1200 \\
        --weights data/weights/classifier --out docs/results/classifier
    python tools/train_classifier.py --dataset words --steps 100 --weights runs/try --out runs/try

It learns from original sound of the training split only: every word of which there are at least
150 clips (of the bundled words: 20). The weights that are best on the validation split (right
answers, averaged over the words) are kept; the test split is only reported.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm
from vqlab.lessons.classifier import WordClassifier, load_classifier, log_mel

from vqlab import audio, datasets, metrics
from vqlab.files import write_whole
from vqlab.training.runs import copy_state

RATE = datasets.SAMPLE_RATE
AT_LEAST = {"speech_commands": 150, "words": 20}  # training clips of a word that is learned
SPEED = 0.15
SHIFT_SECONDS = 0.1
NOISE_DB = (8.0, 50.0)
TELEPHONE_HZ = 3800.0


# What is heard: clips, and changed clips to learn from


def speed_and_shift(waveforms: Tensor) -> Tensor:
    """Each of `waveforms (n, samples)` up to 15 % slower or faster and 0.1 s earlier or later.

    As with a tape, pitch changes with tempo (Ko et al., "Audio Augmentation for Speech
    Recognition", 2015). Linear interpolation; zeros come in at the ends.
    """
    n, samples = waveforms.shape
    middle = samples / 2
    speed = 1 + SPEED * (2 * torch.rand(n, 1) - 1)
    shift = SHIFT_SECONDS * RATE * (2 * torch.rand(n, 1) - 1)
    at = (torch.arange(samples) - middle) * speed + middle + shift
    padded = F.pad(waveforms, (1, 1))
    at = (at + 1).clamp(0, samples + 0.999)
    left = at.long()
    share = at - left
    return padded.gather(1, left) * (1 - share) + padded.gather(1, left + 1) * share


def add_noise(waveforms: Tensor) -> Tensor:
    """Each with noise 8 to 50 dB below its RMS; its spectrum falls as 1/f to the power 0 to 1."""
    n, samples = waveforms.shape
    spectrum = torch.fft.rfft(torch.randn(n, samples))
    tilt = torch.rand(n, 1) / 2
    spectrum *= torch.arange(1, spectrum.shape[-1] + 1) ** -tilt
    noise = torch.fft.irfft(spectrum, samples)
    low, high = NOISE_DB
    below = 10 ** (-(low + (high - low) * torch.rand(n, 1)) / 20)
    return waveforms + noise / _rms(noise) * _rms(waveforms) * below


def telephone(waveforms: Tensor, share: float = 0.25) -> Tensor:
    """A share of them without what lies over 3.8 kHz, as narrowband codecs leave them."""
    spectrum = torch.fft.rfft(waveforms)
    first = math.ceil(TELEPHONE_HZ * waveforms.shape[-1] / RATE)
    spectrum[torch.rand(len(waveforms)) < share, first:] = 0
    return torch.fft.irfft(spectrum, waveforms.shape[-1])


def augment(waveforms: Tensor) -> Tensor:
    """Clips to learn from. Their level needs no change: the classifier does not hear it."""
    return telephone(add_noise(speed_and_shift(waveforms)))


def hide(x: Tensor) -> Tensor:
    """Bands `(n, 40, frames)` with up to 6 neighbouring bands and 16 frames of each clip at their
    mean (SpecAugment: Park et al. 2019), so that no single trace decides."""
    n, bands, frames = x.shape
    mean = x.mean(dim=(1, 2), keepdim=True)
    hidden_bands = _span(n, bands, 6).unsqueeze(2)
    hidden_frames = _span(n, frames, 16).unsqueeze(1)
    return torch.where(hidden_bands | hidden_frames, mean, x)


def _span(n: int, length: int, most: int) -> Tensor:
    """n masks `(n, length)`, each true over 0 to `most` neighbours."""
    width = torch.randint(0, most + 1, (n, 1))
    start = (torch.rand(n, 1) * (length - width + 1)).long()
    at = torch.arange(length)
    return (at >= start) & (at < start + width)


def _rms(waveforms: Tensor) -> Tensor:
    return waveforms.square().mean(dim=-1, keepdim=True).sqrt().clamp_min(1e-8)


# Training


def train(
    model: WordClassifier,
    clips: tuple[Tensor, Tensor],
    judge: Callable[[WordClassifier], dict[str, float]],
    *,
    minutes: float | None = None,
    steps: int | None = None,
    batch_size: int = 64,
    learning_rate: float = 3e-3,
    report_every: int = 100,
    progress: bool = True,
) -> list[dict[str, float]]:
    """Train `model` on `clips`: waveforms (n, samples) and the index of each one's word.

    Every word is drawn equally often, however many clips it has. After `report_every` steps
    `judge` measures the model; the weights with the highest "right", and of equals the lowest
    "loss", are in the model afterwards. Returns the reports.
    """
    if (minutes is None) == (steps is None):
        raise ValueError("give either minutes or steps: how long to train")
    waveforms, targets = clips
    weights = 1 / torch.bincount(targets, minlength=len(model.words))[targets]
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=learning_rate)
    reports: list[dict[str, float]] = []
    best: dict[str, Tensor] | None = None
    total, step, done = 0.0, 0, 0.0
    started = time.perf_counter()
    bar = tqdm(total=steps, unit="step", disable=not progress)
    while done < 1:
        for group in optimizer.param_groups:
            warm = min(1.0, (step + 1) / 50)
            group["lr"] = warm * learning_rate * 0.5 * (1 + math.cos(math.pi * done))
        rows = torch.multinomial(weights, batch_size, replacement=True)
        model.train()
        scores = model.logits(hide(log_mel(augment(waveforms[rows]))))
        loss = F.cross_entropy(scores, targets[rows], label_smoothing=0.1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item()
        step += 1
        bar.update()
        seconds = time.perf_counter() - started
        done = step / steps if steps is not None else seconds / (60 * (minutes or 1))
        if step % report_every == 0 or done >= 1:
            count = (step - 1) % report_every + 1
            report = {"step": step, "seconds": round(seconds, 1), "loss": total / count}
            reports.append(report | {f"validation_{k}": v for k, v in judge(model).items()})
            bar.set_postfix({k: f"{v:.3f}" for k, v in reports[-1].items() if "_" in k})
            if reports[-1] is best_of(reports):
                best = copy_state(model)
            total = 0.0
    bar.close()
    assert best is not None
    model.load_state_dict(best)
    model.eval()
    return reports


def best_of(reports: Sequence[dict[str, float]]) -> dict[str, float]:
    """The report with the most right answers on validation, of equals the lowest loss there."""
    return max(reports, key=lambda r: (r["validation_right"], -r["validation_loss"]))


@torch.no_grad()
def judge_on(waveforms: Tensor, targets: Tensor) -> Callable[[WordClassifier], dict[str, float]]:
    """A judge: share of right answers and cross-entropy, averaged over the words."""

    def judge(model: WordClassifier) -> dict[str, float]:
        p = model.probabilities(waveforms)
        right = (p.argmax(dim=1) == targets).float()
        loss = -p.gather(1, targets[:, None]).squeeze(1).clamp_min(1e-9).log()
        each = [targets == word for word in targets.unique()]
        return {
            "right": sum(float(right[rows].mean()) for rows in each) / len(each),
            "loss": sum(float(loss[rows].mean()) for rows in each) / len(each),
        }

    return judge


# Data and results


def choose_words(labels: Sequence[str], at_least: int) -> list[str]:
    """The words that have at least so many clips, sorted by name.

    Raises ValueError where fewer than two have.
    """
    counts = Counter(labels)
    words = sorted(word for word, count in counts.items() if count >= at_least)
    if len(words) < 2:
        most = ", ".join(f"{word} {count}" for word, count in counts.most_common(3))
        raise ValueError(
            f"only {len(words)} words have {at_least} training clips or more (most: {most}); give "
            "a smaller --at-least, or more recordings"
        )
    return words


def heard_as(
    model: WordClassifier, clips: datasets.Dataset, waveforms: Tensor
) -> list[dict[str, Any]]:
    """One row a clip: word said, word recognised, 100 if they are the same (else 0), speaker."""
    heard = model.recognise(waveforms)
    columns = zip(clips.labels, heard, clips.speakers, strict=True)
    return [
        {"said": said, "heard": word, "right": 100.0 * (said == word), "speaker": speaker}
        for said, word, speaker in columns
    ]


def accuracy_table(words: Sequence[str], heard: dict[str, list[dict[str, Any]]]) -> str:
    """Right answers in per cent: a line for each word, a column for each of `heard`."""
    lines: list[dict[str, str]] = []
    means: dict[str, list[float]] = {name: [] for name in heard}
    for word in words:
        lines.append({"word": word})
        for name, rows in heard.items():
            mine = [row for row in rows if row["said"] == word]
            if mine:
                means[name].append(sum(row["right"] for row in mine) / len(mine))
            lines[-1][name] = f"{means[name][-1]:.1f} of {len(mine)}" if mine else "–"
    average = {name: f"{sum(shares) / len(shares):.1f}" for name, shares in means.items()}
    lines.append({"word": "**average of the words**"} | average)
    lines.append({"word": "**all clips**"})
    for name, rows in heard.items():
        mean, low, high, n = metrics.summarise(rows, metrics=["right"])["right"]
        lines[-1][name] = f"{mean:.1f} [{low:.1f}, {high:.1f}] of {n}"
    return metrics.markdown_table({"word": "word"} | {name: name for name in heard}, lines)


def confusion_table(words: Sequence[str], rows: Sequence[dict[str, Any]]) -> str:
    """How many clips of each word (a line) were taken for each word (a column)."""
    counts = Counter((row["said"], row["heard"]) for row in rows)
    lines = [
        {"said": said} | {word: str(counts[said, word] or "·") for word in words} for said in words
    ]
    return metrics.markdown_table({"said": "said, heard as"} | {w: w for w in words}, lines)


def results_page(model: WordClassifier, sets: dict[str, Any], source: str) -> str:
    """The tables of the results page, in Markdown."""
    heard = {name: heard_as(model, *clips) for name, clips in sets.items()}
    clips, waveforms = sets["test"]
    narrow = audio.resample(audio.resample(waveforms, RATE, RATE // 2), RATE // 2, RATE)
    heard["test at 8 kHz"] = heard_as(model, clips, narrow)
    return f"""\
Words recognised, per cent of the clips (written by `tools/train_classifier.py`, data: {source}).
In brackets: 95 % interval, bootstrap over speakers. "At 8 kHz": resampled to 8 kHz and back, which
takes away what lies over 4 kHz.

{accuracy_table(model.words, heard)}

The test split, clip by clip: what was said, and what the classifier heard.

{confusion_table(model.words, heard["test"])}
"""


# The command


def arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", choices=sorted(AT_LEAST), default="speech_commands")
    budget = parser.add_mutually_exclusive_group(required=True)
    budget.add_argument("--steps", type=int, help="batches of 64 clips; exactly repeatable")
    budget.add_argument("--minutes", type=float, help="train for so long instead")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, help="processor cores (default: all)")
    parser.add_argument("--weights", type=Path, required=True, help="folder for weights and log")
    parser.add_argument("--out", type=Path, required=True, help="folder for table.md")
    chosen = parser.parse_args(argv)
    if not (chosen.steps or chosen.minutes or 0) > 0:
        parser.error("--steps or --minutes must be more than 0")
    return chosen


def main(argv: Sequence[str] | None = None) -> int:
    chosen = arguments(argv)
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    try:
        everything = datasets.load(chosen.dataset, "train", words="all")
        words = choose_words(everything.labels, AT_LEAST[chosen.dataset])
        loaded = {
            split: datasets.load(chosen.dataset, split, words=words)
            for split in ("train", "validation", "test")
        }
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    sets = {split: (clips, clips.waveforms()) for split, clips in loaded.items()}
    targets = {
        split: torch.tensor([words.index(label) for label in clips.labels])
        for split, clips in loaded.items()
    }
    torch.manual_seed(chosen.seed)
    model = WordClassifier(words)
    reports = train(
        model,
        (sets["train"][1], targets["train"]),
        judge_on(sets["validation"][1], targets["validation"]),
        steps=chosen.steps,
        minutes=chosen.minutes,
    )
    model.trained = {
        "dataset": chosen.dataset,
        "clips": dict(sorted(Counter(loaded["train"].labels).items())),
        "seed": chosen.seed,
        "steps": int(reports[-1]["step"]),
        "best": best_of(reports),
        "torch": torch.__version__,
    }
    chosen.weights.mkdir(parents=True, exist_ok=True)
    chosen.out.mkdir(parents=True, exist_ok=True)
    model.save(chosen.weights / "words.safetensors")
    lines = "".join(json.dumps(report) + "\n" for report in reports)
    write_whole(chosen.weights / "words.metrics.jsonl", lines.encode())
    # What is reported is the file, its weights rounded to float16.
    text = results_page(load_classifier(chosen.weights / "words.safetensors"), sets, chosen.dataset)
    write_whole(chosen.out / "table.md", text.encode())
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
