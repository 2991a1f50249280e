"""What each part of the shipped codec is worth: the same model without it, for the same minutes.

Every model learns from the same clips for the same minutes of processor time, with one seed, and is
chosen and scored by *validation* speakers, since this is how the parts were chosen. The rows
"nearest code in every stage" and "the same depth everywhere" are the first model, coded otherwise.
No row has the post-filter, and none learns from LibriSpeech or other speeds.

    python benchmarks/ablation.py --minutes 5 --threads 1
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vqlab import datasets, metrics, training
from vqlab.codec import Codec, Recipe
from vqlab.features import Features
from vqlab.files import write_whole
from vqlab.spectral import MelConfig

# codec, sound to code, bare clip that the rate is for, kbit/s -> codes of the sound
Coder = Callable[[Codec, Tensor, Tensor, float], Tensor]
PAD = 8000

COLUMNS = {
    "name": "model", "steps": "steps", "rate": "at most, kbit/s", "stored": "stored, kbit/s",
    "stoi": "STOI", "estoi": "ESTOI", "pesq_wb": "PESQ-wb", "log_mel_db": "log-mel dB",
}  # fmt: skip


def as_shipped(codec: Codec, sound: Tensor, clip: Tensor, kbps: float) -> Tensor:
    return codec.encode(sound, quality=codec.quality_for(clip, kbps))[0]


def greedy(codec: Codec, sound: Tensor, clip: Tensor, kbps: float) -> Tensor:
    codes = codec.encode(sound)[0]
    depth = codec.depth(codes[:, 0], codec.quality_for(clip, kbps))
    return codes.where(torch.arange(codes.shape[1])[:, None] < depth[:, None], -1)


def even(codec: Codec, sound: Tensor, clip: Tensor, kbps: float) -> Tensor:
    """The most stages that fit, everywhere; searched for as the shipped codec does."""
    codes = codec.encode(clip)[0]
    most = 1000 * kbps * len(clip) / codec.sample_rate / 8
    sizes = [stored_bytes(codec, clip, codes[:, :n]) for n in range(1, len(codec.rates) + 1)]
    stages = max(n for n, size in enumerate(sizes, start=1) if size <= most or n == 1)
    z = torch.cat(codec.analysis(sound).latents, dim=-1)
    depth = torch.full((1, z.shape[-1]), stages)
    return codec.model.bottleneck.search(z, depth)


def stored_bytes(codec: Codec, clip: Tensor, codes: Tensor) -> int:
    """The size of the packed file of `clip` with these codes."""
    return codec.overhead(len(clip)) + len(codec.tables.encode(codes[0].numpy()))


def score(codec: Codec, clips: list, kbps: float, coder: Coder) -> dict[str, Any]:
    """Means and intervals at a rate; stored size counts the codes of the bare clip."""
    stored = seconds = 0.0

    def there_and_back(sound: Tensor) -> Tensor:
        nonlocal stored, seconds
        clip = sound[PAD:-PAD]
        codes, (_, gain_db) = coder(codec, sound, clip, kbps), codec.normalise(sound)
        stored += 8 * stored_bytes(codec, clip, coder(codec, clip, clip, kbps))
        seconds += len(clip) / codec.sample_rate
        return codec.decode(codes, len(sound), gain_db)

    scored = metrics.score_codec(there_and_back, clips, pad_seconds=PAD / codec.sample_rate)
    return dict(metrics.summarise(scored)) | {"rate": kbps, "stored": stored / seconds / 1000}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=5, help="of processor time, for each")
    parser.add_argument("--kbps", type=float, nargs="+", default=[0.75, 1.65])
    parser.add_argument("--runs", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--out", type=Path, default=Path("docs/results/ablation"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    sets = {
        split: datasets.load("speech_commands", split, words="all", seconds=1.0).scan()
        for split in ("train", "validation")
    }
    few = sets["validation"].at_most(12)
    clips = list(few)
    rows = []
    ways = {
        "as shipped": (True, training.loud_mel_loss),
        "no linear start": (False, training.loud_mel_loss),
        "loss without loudness": (True, training.mel_loss),
    }
    for name, (start, loss) in ways.items():
        torch.manual_seed(0)
        codec = Codec(Recipe("variable_speech"), Features(MelConfig(hop_length=160)))
        learned, chosen_by = training.levelled(codec, sets["train"]), training.levelled(codec, few)
        codec.features = codec.features.fitted(learned)
        folder = arguments.runs / name.replace(" ", "-")
        if start and not (folder / "last.safetensors").exists():
            some = torch.stack([learned[i] for i in range(0, len(learned), 3)])
            codec.model.start(codec.features.analyse(some))  # type: ignore[operator]
        run = training.fit(
            codec.model,
            learned,
            chosen_by,
            features=codec.features,
            loss=loss,
            learning_rate=1e-3,
            augment=training.shift_and_gain,
            minutes=arguments.minutes,
            clock=time.process_time,
            out=folder,
            device="cpu",
        )
        coders: dict[str, Coder] = {name: as_shipped}
        if name == "as shipped":
            coders |= {"nearest code in every stage": greedy, "the same depth everywhere": even}
        for label, coder in coders.items():
            for kbps in arguments.kbps:
                found = score(codec, clips, kbps, coder)
                rows.append({"name": label, "steps": run.step} | found)
    text = metrics.markdown_table(COLUMNS, rows) + f"\n\n{len(clips)} clips of validation speakers."
    print(text)
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_whole(arguments.out / "table.md", (text + "\n").encode())
    write_whole(arguments.out / "scores.json", (json.dumps(rows, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
