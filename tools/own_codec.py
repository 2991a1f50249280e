"""Build `my_codec.py` as somebody who solves every exercise would, and train it.

    python tools/own_codec.py OUT [--minutes N | --steps N | --prior N] [--data NAME]

Leaves OUT/my_codec.py and its weights OUT/my_codec.npz, and prints how long it took. With --minutes
(of the processor) the training is the one that notebook 06 starts, leg by leg; with --steps it is
one run of so many steps, the same on each machine but for rounding. After each leg there is a file
such as OUT/my_codec.2min.npz. With --prior, the prior of notebook 12 is trained instead, for so
many steps, on codes of OUT/my_codec.npz or, where there is none, of our codec; it is in
OUT/my_codec.prior.npz.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import torch
from tqdm import tqdm

from vqlab import lessons
from vqlab.files import bundled
from vqlab.lessons import own_file, own_prior_training, own_process, own_training


def build() -> None:
    """Solve every exercise: each solution passes its check and so gets into the file."""
    solutions = own_file.load(bundled("solutions", "my_codec.py"))
    for name in tqdm(lessons.pieces(), "exercises", leave=False):
        verdict = lessons.check(name, getattr(solutions, own_file.reference()[1][name].defines))
        if not verdict:
            raise SystemExit(str(verdict))


def learn_prior(steps: int, data: str | None) -> None:
    """Train the prior on codes of the codec that there is, and say what it costs and took."""
    learner = own_prior_training.learner(data)
    begun = time.process_time()
    losses = list(tqdm(learner.train(learner.prior, steps), total=steps))
    learner.save(learner.prior, own_process.Training("prior").place(".npz"))
    print(
        f"{steps} steps in {time.process_time() - begun:.0f} s of the processor on {learner.data}: "
        f"{sum(losses[-50:]) / len(losses[-50:]):.2f} bits a code"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--prior", type=int, metavar="STEPS", help="train the prior instead")
    parser.add_argument("--data", help="default: people's recordings where they are, else words")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    os.environ["VQLAB_MY_CODEC"] = str(options.out / "my_codec.py")
    torch.set_num_threads(1)
    build()
    torch.manual_seed(options.seed)
    if options.prior:
        return learn_prior(options.prior, options.data)
    codec_file = lessons.own()
    data, mels = own_training.spectra(codec_file, options.data)
    torch.manual_seed(options.seed)
    codec, begun = codec_file.Codec(), time.process_time()
    if options.steps:
        losses = list(tqdm(codec_file.train(codec, mels, options.steps), total=options.steps))
    else:
        ran = own_process.learn(
            codec, lambda model, steps: codec_file.train(model, mels, steps), until=options.minutes
        )
        losses = []
        with tqdm(total=options.minutes, bar_format="{l_bar}{bar}| {elapsed} {postfix}") as bar:
            for minutes, loss, version in ran:
                losses.append(loss)
                if version:
                    own_training.count_codes(codec_file, codec, mels)
                    codec_file.save_codec(codec, options.out / f"my_codec.{minutes:g}min.npz")
                bar.n = minutes
                bar.set_postfix_str(f"{len(losses)} steps, loss {loss:.3f}", refresh=False)
                bar.update(0)
    seconds = time.process_time() - begun
    own_training.count_codes(codec_file, codec, mels)
    codec_file.save_codec(codec.cpu())
    print(
        f"{len(losses)} steps in {seconds:.0f} s of the processor on {len(mels)} clips ({data}), "
        f"loss {sum(losses[-50:]) / len(losses[-50:]):.3f}; {options.out / 'my_codec.py'} has "
        f"{len((options.out / 'my_codec.py').read_text(encoding='utf-8').splitlines())} lines"
    )


if __name__ == "__main__":
    main()
