r"""Give shipped weights the tables of the entropy coder, counted on the training recordings.

The clips are those that the weights learned from: the training splits of Speech Commands (all
words) and LibriSpeech, at three speeds. `--stages` keeps only the first so many stages. The codec
gets another identity by it, though the codes of the stages that stay are what they were:
`--prior` names a prior of those codes, which is told the new one.

    VQLAB_DATA=... python tools/fit_tables.py data/weights/speech.safetensors --stages 15 \
        --prior data/weights/prior/words.safetensors
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import torch
from vqlab.lessons.prior import Prior

from vqlab import datasets, training
from vqlab.codec import Codec


def with_stages(codec: Codec, stages: int) -> Codec:
    """`codec` without the stages after the first `stages`."""
    recipe = dataclasses.replace(codec.recipe, options=codec.recipe.options | {"stages": stages})
    shorter = Codec(
        recipe, codec.features, level_db=codec.level_db, contrast=codec.contrast,
        trained=codec.trained,
    )  # fmt: skip
    kept = shorter.model.state_dict()
    state = codec.model.state_dict()
    shorter.model.load_state_dict({name: state[name] for name in kept})
    shorter.model.eval()
    return shorter


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--stages", type=int, help="keep so many (default: all)")
    parser.add_argument("--prior", type=Path)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    codec = Codec.load(arguments.weights)
    prior = Prior.load(arguments.prior, codec=codec) if arguments.prior else None
    if arguments.stages:
        codec = with_stages(codec, arguments.stages)
    sets = [
        datasets.load("speech_commands", "train", words="all").scan(),
        datasets.load("librispeech", "train", seconds=1.0).scan(),
    ]
    clips = training.join(
        [training.levelled(codec, found, speeds=(1.0, 0.9, 1.1)) for found in sets]
    )
    codec.fit_tables([clips[i] for i in torch.randperm(len(clips)).tolist()])
    codec.save(arguments.weights)
    if prior:
        prior.codec = codec.identity().hex()
        prior.save(arguments.prior)
    print(f"{len(clips)} clips counted; {arguments.weights} is now {codec.identity().hex()}")


if __name__ == "__main__":
    main()
