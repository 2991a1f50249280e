"""What the commands of the command line do; `vqlab.cli` reads their options.

Each takes the parsed options, prints what a person wants to know, and raises `ValueError` or
`OSError` with one clear sentence, which the command line shows.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from .. import __version__, audio
from ..codec import Codec, packing, shipped
from ..files import write_whole

if TYPE_CHECKING:
    from .. import datasets


def train(options: argparse.Namespace) -> None:
    """Train a codec, or an experiment's grid, and leave it, with its reports, in a folder."""
    _set_threads(options.threads)
    if options.file:
        from ..experiments import verbs

        return verbs.train(options)
    if options.out is None or (options.minutes is None) == (options.steps is None):
        raise ValueError(
            "give --out and one of --minutes and --steps to train a codec, or --file for the "
            "experiments of a YAML file"
        )
    import torch

    from .. import training
    from ..codec import Recipe
    from ..features import Features
    from ..models import VariableDepth
    from ..spectral import MelConfig

    torch.manual_seed(options.seed)
    sizes = {"codebook_size": options.codebook_size, "stages": options.stages}
    sizes = {name: size for name, size in sizes.items() if size is not None}
    if options.start:
        if sizes or options.model or options.hop_length:
            raise ValueError(
                "--start takes model and sizes from its codec: leave out --model, --stages, "
                "--codebook-size and --hop-length"
            )
        codec = Codec.load(options.start)
    else:
        recipe = Recipe(options.model or "speech", sizes)
        contrast = 0.2 if options.model == "variable_speech" else 0.0  # chosen on validation clips
        features = Features(MelConfig(hop_length=options.hop_length or 160))
        codec = Codec(recipe, features, contrast=contrast)
    _check_training(codec, options)
    start = codec.identity().hex() if options.start else None
    sets: dict[str, list] = {"train": [], "validation": []}
    for name in options.dataset:
        sets["train"].append(_load(options, name, "train"))
        validation = _load(options, name, "validation")
        if name != "librispeech":  # twelve clips of a word: each has about the same say
            validation = validation.at_most(12)
        sets["validation"].append(validation)
    variable = isinstance(codec.model, VariableDepth)
    speeds = (1.0, *options.speeds)
    learned = training.join(
        [training.levelled(codec, clips, speeds=speeds) for clips in sets["train"]]
    )
    chosen_by = training.join([training.levelled(codec, clips) for clips in sets["validation"]])
    if not options.start:
        codec.features = codec.features.fitted(learned)
        if isinstance(codec.model, VariableDepth) and not _holds_a_run(options.out):
            some = range(0, len(learned), max(1, len(learned) // 1500))
            codec.model.start(codec.features.analyse(torch.stack([learned[i] for i in some])))
    print(
        f"{len(learned)} clips to learn from, {len(chosen_by)} to choose by; training goes to "
        f"{options.out}"
    )
    run = training.fit(
        codec.model,
        learned,
        chosen_by,
        features=codec.features,
        loss=training.loud_mel_loss if variable else training.mel_loss,
        augment=training.shift_and_gain,
        out=options.out,
        minutes=options.minutes,
        steps=options.steps,
        learning_rate=options.learning_rate,
        batch_size=options.batch_size,
        seed=options.seed,
        device=options.device,
        report_every=options.report_every,
        start=start,
    )
    before = codec.trained if options.start else {}
    codec.trained = {
        "dataset": " ".join(options.dataset),
        "words": options.words or "default",
        "clips": sum(len(clips) for clips in sets["train"]),
        "steps": before.get("steps", 0) + run.step,
        "seconds": before.get("seconds", 0) + round(run.seconds),
        "seed": options.seed,
        "versions": {"vqlab": __version__, "torch": torch.__version__},
    }
    codec.model.cpu()
    some = range(0, len(learned), max(1, len(learned) // 3000))
    codec.fit_tables([learned[i] for i in some])
    codec.save(Path(options.out) / "codec.safetensors")
    print(
        f"{'Interrupted' if run.stopped else 'Done'} after {run.step} steps; lowest validation "
        f"error {run.best['validation_error']:.2f} dB; the codec is "
        f"{Path(options.out) / 'codec.safetensors'}"
    )


def _check_training(codec: Codec, options: argparse.Namespace) -> None:
    frames = codec.features.frames(codec.sample_rate)
    if frames % codec.model.stride:
        raise ValueError(
            f"--hop-length {options.hop_length} gives {frames} frames a second, no multiple of the "
            f"{codec.model.stride} of a position: take 160, say"
        )
    for speed in options.speeds:
        if not 0.5 <= speed <= 2:
            raise ValueError(f"--speeds {speed:g}: give factors from 0.5 to 2")
    if options.words and options.dataset == ["librispeech"]:
        raise ValueError("librispeech has sentences, no words to choose: leave out --words")


def evaluate(options: argparse.Namespace) -> None:
    """Score codecs on clips and write one table, one picture; or measure experiments' runs."""
    from .. import metrics
    from ..experiments import is_experiment
    from ..files import recordings_root
    from ..metrics import codecs as evaluation

    _set_threads(options.threads)
    if any(map(is_experiment, options.codecs)):
        from ..experiments import verbs

        return verbs.measure(options)
    if options.clips:
        clips: Sequence = metrics.clips_from_list(
            options.clips, recordings_root(options.root), seconds=options.seconds
        )
    else:
        clips = [item for name in options.dataset for item in _load(options, name, options.split)]
    names = [Path(path).name for path in options.codecs]
    if len(set(names)) < len(names):
        names = options.codecs
    codecs = {name: Codec.load(path) for name, path in zip(names, options.codecs, strict=True)}
    rows = [evaluation.score_features(next(iter(codecs.values())), clips)]
    for name, codec in codecs.items():
        for kbps in sorted(options.kbps, reverse=True):
            rows.append(evaluation.score_rate(codec, clips, name, kbps=kbps))
    text = evaluation.table(rows)
    print(text)
    if options.out:
        out = Path(options.out)
        out.mkdir(parents=True, exist_ok=True)
        evaluation.save_rows(rows, out / "scores.json")
        write_whole(out / "table.md", (text + "\n").encode())
        codec = list(codecs.values())[-1]
        item = _picture(codec, clips, options.kbps, out / "spectrograms.png")
        print(f"Table, scores and a picture of a typical clip ({item.label!r}) are in {out}")


def _picture(codec: Codec, clips: Sequence, rates: Sequence[float], path: Path) -> datasets.Item:
    """Draw the original and each rate of the clip with the median error; returns the clip."""
    from .. import plots, spectral
    from ..metrics import codecs as evaluation

    item = evaluation.typical_clip(codec, clips)
    heard = {"original": item.waveform}
    for kbps in sorted(rates, reverse=True):
        heard[f"{kbps:g} kbit/s"] = codec.reconstruct(item.waveform, kbps=kbps)
    config = codec.features.config
    pictures = {name: spectral.log_mel(waveform, config) for name, waveform in heard.items()}
    plots.compare_spectrograms(pictures, config).savefig(path, dpi=80)
    return item


def compress(options: argparse.Namespace) -> None:
    """A sound file to a packed file."""
    out = options.output or Path(options.input).with_suffix(".vql")
    _refuse_to_overwrite(out, options.force)
    data = shipped.compress(options.input, out, model=options.model, kbps=options.kbps)
    packed = packing.unpack(data)
    seconds = packed.samples / packed.sample_rate
    print(
        f"{out}: {len(data)} bytes for {seconds:.2f} s, {8 * len(data) / seconds / 1000:.2f} "
        f"kbit/s stored"
    )


def decompress(options: argparse.Namespace) -> None:
    """A packed file to a sound file."""
    out = options.output or Path(options.input).with_suffix(".wav")
    _refuse_to_overwrite(out, options.force)
    seconds = shipped.decompress_to(options.input, out, model=options.model)
    rate = shipped.load_pretrained(options.model).sample_rate
    print(f"{out}: {seconds:.2f} s at {rate} Hz")


def reconstruct(options: argparse.Namespace) -> None:
    """A sound file to what is heard of it: a page with several rates, or the sound of one."""
    from ..experiments import is_experiment
    from ..listen import page as reconstruct

    if any(map(is_experiment, options.model)):
        from ..experiments import verbs

        return verbs.reconstruct(options)
    if len(options.model) > 1:
        raise ValueError("several models can be heard at once if they are runs of experiments")
    model = options.model[0]
    out = reconstruct.destination(options.input, options.output, options.kbps)
    _refuse_to_overwrite(out, options.force)
    if out.suffix.lower() == ".html":
        page = reconstruct.page(options.input, model=model, rates=options.kbps)
        page.save(out)
        print(f"{out}: open it in a browser to listen to")
        for version in page.versions:
            print(f"  {version.label}: {version.bits}")
        return
    kbps = options.kbps[0] if options.kbps else None
    data = shipped.compress(options.input, model=model, kbps=kbps)
    waveform, sample_rate = shipped.decompress(data, model=model)
    audio.save(out, waveform, sample_rate)
    print(f"{out}: {len(waveform) / sample_rate:.2f} s, from {len(data)} bytes")


def info(options: argparse.Namespace) -> None:
    """What a packed file or a codec holds."""
    path = Path(options.input)
    if path.suffix == ".safetensors" or path.is_dir():
        print(json.dumps(Codec.load(path).describe(), indent=1))
        return
    data = shipped.read(path)
    packed = packing.unpack(data)
    seconds = packed.samples / packed.sample_rate
    print(f"{path}: {len(data)} bytes, {8 * len(data) / seconds / 1000:.3f} kbit/s")
    print(f"sound     {packed.samples} samples at {packed.sample_rate} Hz, {seconds:.2f} s")
    print(f"level     {packed.gain_db:+g} dB before coding, undone afterwards")
    print(f"quality   {packed.quality}")
    print(f"codes     {len(packed.payload)} bytes{_codes_per_stage(data, options.model)}")
    print(f"weights   {packed.identity.hex()}")
    print("checksum  right")


def _codes_per_stage(data: bytes, model: str) -> str:
    codec = shipped.load_pretrained(model)
    if packing.unpack(data).identity != codec.identity():
        return f" (made with other weights than {model!r}: --model tells which, to look inside)"
    codes, _, _ = codec.from_bytes(data)
    counts = [int((stage >= 0).sum()) for stage in codes[0]]
    used = " + ".join(str(count) for count in counts if count)
    return f", {sum(counts)} codes; stage by stage {used}"


def download(options: argparse.Namespace) -> None:
    """Fetch a data set into the download folder."""
    from .. import datasets

    print(
        datasets.download(
            options.name, version=options.version, split=options.split, root=options.root
        )
    )


def _load(options: argparse.Namespace, name: str, split: str) -> datasets.Dataset:
    from .. import datasets

    words = None if name == "librispeech" else options.words  # it has sentences
    dataset = datasets.load(name, split, root=options.root, words=words, seconds=1.0)
    dataset = dataset.scan()  # silent, too short and unreadable clips teach nothing
    for note in dataset.notes:
        print(note)
    if not len(dataset):
        raise ValueError(f"no clip of the {split} split can be used: {' '.join(dataset.notes)}")
    return dataset


def _holds_a_run(folder: str | Path) -> bool:
    return (Path(folder) / "last.safetensors").exists()


def _set_threads(threads: int | None) -> None:
    import torch

    if threads is not None:
        if threads < 1:
            raise ValueError(f"--threads is {threads}: give a number from 1, or leave it out")
        torch.set_num_threads(threads)


def _refuse_to_overwrite(path: str | Path, force: bool) -> None:
    if Path(path).exists() and not force:
        raise ValueError(f"{path} exists already: give another name, or -f to replace it")
