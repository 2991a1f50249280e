r"""Train the codec of speech on all sets at hand that shipped weights may learn from.

Beside `python -m vqlab train`: many sets drawn by weight, cut anywhere at any speed, in drawn
surroundings, bfloat16, and a loss that compares envelopes and loudness too (`envelopes.py`,
`loudness.py`). It begins with the weights of `--start`; the learning rate falls from
`--learning-rate` along a cosine. So a training of many hours is a row of such calls, each from the
last one's codec; a call that was interrupted goes on from its own folder.

    VQLAB_DATA=... python tools/train_voice.py --start data/weights/speech.safetensors \
        --minutes 60 --threads 1 --out runs/voice
"""

from __future__ import annotations

import argparse
from pathlib import Path

import crops
import torch
from envelopes import Envelopes
from loudness import Disturbance
from torch import Tensor

from vqlab import __version__, audio, datasets, training
from vqlab.codec import Codec
from vqlab.datasets import speech_commands
from vqlab.features import Features

# How often each set is heard. Minutes at hand would be 57, 18, 24, 3, and under 2 for the others.
WEIGHTS = {
    "speech_commands": 0.34, "librispeech": 0.26, "speechocean762": 0.18, "vctk": 0.06,
    "voice_datasets": 0.04, "kerstin": 0.02, "precise": 0.02, "ljspeech": 0.03,
    "cmu_arctic": 0.02, "an4": 0.03,
}  # fmt: skip
SPEEDS = (0.88, 1.22)  # slower would leave too much of the highest bands empty
KEPT_NOISE = "exercise_bike"  # not learned from, so that noise can be tested
ENVELOPES, LOUDNESS = 1.0, 0.5  # weights of both in the loss, beside that of loud mel frames
DECAY = 0.997  # slower codebooks than at a beginning: less noise from single batches
SECONDS = 2.0
ITEMS_AN_EPOCH = 4000


class AsHeard:
    """`training.loud_mel_loss` and what STOI's envelopes and PESQ's loudness find amiss."""

    __name__ = f"loud_mel_loss_and_{ENVELOPES:g}_envelopes_and_{LOUDNESS:g}_loudness"

    def __init__(self, features: Features) -> None:
        self.envelopes, self.loudness = Envelopes(features), Disturbance(features)

    def __call__(self, output: Tensor, target: Tensor) -> Tensor:
        plain = training.loud_mel_loss(output, target)
        heard = ENVELOPES * self.envelopes(output, target)
        return plain + heard + LOUDNESS * self.loudness(output, target)


def load(name: str, split: str, seconds: float | None) -> datasets.Dataset:
    words = "all" if name == "speech_commands" else None
    return datasets.load(name, split, words=words, seconds=seconds).scan()


def training_crops(codec: Codec) -> crops.Crops:
    """Random crops of the training splits that are here."""
    reels, weights = [], []
    for name, weight in WEIGHTS.items():
        try:
            recordings = load(name, "train", None)
        except FileNotFoundError as error:
            print(f"without {name}: {error}")
            continue
        print(f"{name}: {len(recordings)} recordings, {len(set(recordings.speakers))} speakers")
        reels.append(crops.reel(recordings, codec.normalise))
        weights.append(weight)
    samples = round(SECONDS * codec.sample_rate)
    return crops.Crops(reels, weights, samples, ITEMS_AN_EPOCH, speeds=SPEEDS)


def validation_clips(codec: Codec) -> Tensor:
    """Seconds of speakers who are not learned from, at the codec's level."""
    found = []
    for name in WEIGHTS:
        try:
            clips = load(name, "validation", 1.0)
        except (FileNotFoundError, ValueError):  # a set without speakers for validation
            continue
        found.append(training.levelled(codec, clips.at_most(12 if len(clips.classes) > 9 else 60)))
    return torch.cat(found)


def background(sample_rate: int) -> Tensor:
    """Recorded noise that may be learned from, each recording equally strong."""
    folder = speech_commands.find() / "_background_noise_"
    paths = [path for path in folder.glob("*.*") if path.suffix in (".wav", ".flac")]
    paths = sorted(path for path in paths if path.stem != KEPT_NOISE)
    loaded = [audio.load(path, sample_rate=sample_rate)[0] for path in paths]
    return torch.cat([noise / noise.std() for noise in loaded])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--start", type=Path, required=True, help="weights to begin with")
    parser.add_argument("--out", type=Path, required=True, help="folder of this run")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--learning-rate", type=float, default=7e-4)
    parser.add_argument("--seed", type=int, default=0, help="another for each call of a row")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--report-every", type=int, default=1000)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    codec = Codec.load(arguments.start)
    for layer in codec.model.bottleneck.layers:
        layer.decay = DECAY
    learned, chosen_by = training_crops(codec), validation_clips(codec)
    print(f"{len(chosen_by)} seconds to choose by; training goes to {arguments.out}")
    run = training.fit(
        codec.model,
        learned,
        chosen_by,
        features=codec.features,
        loss=AsHeard(codec.features),
        augment=crops.Surroundings(background(codec.sample_rate)),
        batch_size=round(16 / SECONDS),
        bfloat16=True,
        out=arguments.out,
        minutes=arguments.minutes,
        learning_rate=arguments.learning_rate,
        seed=arguments.seed,
        report_every=arguments.report_every,
        start=codec.identity().hex(),
    )
    codec.trained = {
        "dataset": " ".join(WEIGHTS),
        "steps": codec.trained.get("steps", 0) + run.step,
        "seconds": codec.trained.get("seconds", 0) + round(run.seconds),
        "seed": arguments.seed,
        "versions": {"vqlab": __version__, "torch": torch.__version__},
    }
    codec.model.cpu()
    codec.fit_tables([learned[i] for i in range(1500)])
    codec.save(arguments.out / "codec.safetensors")
    print(f"{run.step} steps, {run.best['validation_error']:.3f} dB: {arguments.out}")


if __name__ == "__main__":
    main()
