"""The tutorial's VQ-VAE, as published and with its axes put right, beside ours at equal bits.

All three learn from the training split of one word of Speech Commands for the same minutes of
processor time, and are chosen by the same validation speakers. The tutorial's models have its own
loss (mean squared error on mel power), optimiser (Adam, 2e-4, constant), front end and codebook;
ours has 64 positions a second of 4 stages of 512 codes: 2304 bit/s, as theirs. Scored on the test
split, each clip brought to one second and coded without silence around it, because the published
model can only take one second. Their sound comes from the same inversion as ours, with the mel
scale of the analysis (the tutorial inverts with another one, which is worse).

    python benchmarks/tutorial.py --minutes 9 --threads 1

A training that was stopped goes on where it was, if the same command is given again.
`--limit 32 --minutes 0.2` shows in a few minutes that everything works.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from tqdm.auto import tqdm
from vqlab.lessons.tutorial_training import FEATURES

from vqlab import audio, datasets, plots, spectral, training
from vqlab.codec import Codec, Recipe
from vqlab.features import Features
from vqlab.files import write_whole
from vqlab.metrics import codecs
from vqlab.spectral import MelConfig


def rivals() -> dict[str, tuple[Codec, dict]]:
    """Each model with what its training needs, by the name of its row."""
    theirs = {
        "loss": F.mse_loss,
        "learning_rate": 2e-4,
        "cosine": False,
        "clip_norm": None,
    }
    options = {"codebook_size": 512, "stages": 4, "dropout": 0.0}
    # 125 samples a hop: 128 frames, so 64 positions, in a second. 64 * 4 * 9 bits = 2304.
    ours = Codec(Recipe("speech", options), Features(MelConfig(hop_length=125)))
    made = {}
    for name, published in (("tutorial as published", True), ("tutorial, axes right", False)):
        recipe = Recipe("tutorial", {"published": published})
        made[name] = Codec(recipe, FEATURES, level_db=None), theirs
    return made | {"vqlab": (ours, {"augment": training.shift_and_gain})}


def one_second(item: datasets.Item) -> datasets.Item:
    return dataclasses.replace(item, waveform=audio.fit_length(item.waveform, item.sample_rate))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=9, help="of processor time, for each")
    parser.add_argument("--word", default="right")
    parser.add_argument("--limit", type=int, help="at most so many clips of each split")
    parser.add_argument("--runs", type=Path, default=Path("runs/tutorial"))
    parser.add_argument("--out", type=Path, default=Path("docs/results/tutorial"))
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    wanted = {"words": arguments.word, "seconds": 1.0, "limit": arguments.limit}
    splits = ("train", "validation", "test")
    sets = {split: datasets.load("speech_commands", split, **wanted) for split in splits}
    clips = [one_second(item) for item in tqdm(sets.pop("test"), "reading clips", leave=False)]
    print(", ".join(f"{split}: {len(data)} clips" for split, data in sets.items()), flush=True)
    rows = []
    trained: dict[str, Codec] = {}
    torch.manual_seed(0)
    for name, (codec, options) in rivals().items():
        print(f"{name}: {arguments.minutes:g} minutes of training", flush=True)
        waveforms = {split: training.levelled(codec, data) for split, data in sets.items()}
        codec.features = codec.features.fitted(waveforms["train"])
        run = training.fit(
            codec.model,
            waveforms["train"],
            waveforms["validation"],
            features=codec.features,
            out=arguments.runs / name.replace(" ", "-").replace(",", ""),
            minutes=arguments.minutes,
            clock=time.process_time,
            device="cpu",
            **options,
        )
        if not any(row["codec"].endswith(_front_end(codec)) for row in rows):
            row = codecs.score_features(codec, clips, pad_seconds=0)
            rows.append(row | {"codec": f"no codes, {_front_end(codec)}"})
        (row,) = codecs.score_rates(codec, clips, name, [None], pad_seconds=0)
        rows.append(row | {"steps": run.step})
        trained[name] = codec

    arguments.out.mkdir(parents=True, exist_ok=True)
    text = codecs.table(rows, extra={"steps": "steps"})
    print(text)
    codecs.save_rows(rows, arguments.out / "scores.json")
    write_whole(arguments.out / "table.md", (text + "\n").encode())
    item = codecs.typical_clip(trained["vqlab"], clips)
    heard = {"original": item.waveform}
    heard |= {name: codec.reconstruct(item.waveform) for name, codec in trained.items()}
    config = MelConfig()
    pictures = {name: spectral.log_mel(waveform, config) for name, waveform in heard.items()}
    figure = plots.compare_spectrograms(pictures, config)
    figure.savefig(arguments.out / "spectrograms.png", dpi=80)


def _front_end(codec: Codec) -> str:
    config = codec.features.config
    return f"{config.n_mels} mels, {config.n_fft}/{config.hop_length}"


if __name__ == "__main__":
    main()
