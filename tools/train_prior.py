"""Train the prior over a codec's codes on Speech Commands, and save it with its log.

    python tools/train_prior.py --stages 3 --out data/weights/prior

Every clip of the training split is coded as it is and in a few versions (moved in time, faster or
slower), once; the codes are kept in --runs, so that a second training starts at once. Words with
at least 150 training clips are the ones that can be asked for; the clips of all other words train
"any word". The weights with the lowest price of the validation split's codes are kept, averaged
over words so that each counts the same. Settings, price and versions are in the file itself.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from prior_training import code_vectors, fit, start_from
from torch import Tensor
from tqdm.auto import tqdm
from vqlab.lessons.prior import Prior

import vqlab
from vqlab import audio, datasets
from vqlab.codec import Codec
from vqlab.files import load_tensors, save_tensors
from vqlab.training import usable_device

FEWEST = 150
"""Training clips that a word must have, to be one that the prior can be asked for."""


def vary(waveform: Tensor, sample_rate: int, generator: torch.Generator) -> Tensor:
    """`waveform (samples,)` moved by up to 0.1 s and up to 8 % faster or slower.

    What is missing at an end is mirrored, so that the noise of the room goes on. The level need
    not vary: the codec takes it out.
    """
    moved, faster = (2 * torch.rand(2, generator=generator) - 1).tolist()
    x = audio.resample(waveform, sample_rate, round(sample_rate * (1 + 0.08 * faster)))
    margin = sample_rate // 10
    more = margin + max(0, len(waveform) - len(x) + 1) // 2
    x = F.pad(x[None], (more, more), mode="reflect")[0]
    first = round((len(x) - len(waveform)) / 2 + moved * margin)
    first = min(max(first, 0), len(x) - len(waveform))
    return x[first : first + len(waveform)]


def coded(
    codec: Codec, split: str, stages: int, *, versions: int = 0, limit: int | None = None
) -> tuple[Tensor, list[str]]:
    """Codes of a split of Speech Commands, int64 (1 + versions, n, stages, positions), and labels.

    The first version is each clip as it is, the others are drawn by `vary`.
    """
    dataset = datasets.load("speech_commands", split, words="all", limit=limit)
    waveforms = dataset.waveforms()
    made = []
    for version in range(1 + versions):
        generator = torch.Generator().manual_seed(version)
        rows = []
        for waveform in tqdm(waveforms, f"{split}, version {version}", delay=2, leave=False):
            heard = vary(waveform, codec.sample_rate, generator) if version else waveform
            rows.append(codec.encode(heard, stages=stages)[0])
        made.append(torch.cat(rows))
    return torch.stack(made), dataset.labels


def cached(
    folder: Path, codec: Codec, split: str, stages: int, **options
) -> tuple[Tensor, list[str]]:
    """What `coded` gives, read from `folder` if it was made before with the same settings."""
    dataset = datasets.load("speech_commands", split, words="all", limit=options.get("limit"))
    names = "\n".join(f"{entry.label}/{entry.path.name}" for entry in dataset.entries)
    settings = [codec.identity().hex(), split, stages, options, names]
    number = hashlib.sha256(json.dumps(settings).encode()).hexdigest()[:12]
    path = folder / f"codes-{split}-{number}.safetensors"
    if not path.exists():
        codes, labels = coded(codec, split, stages, **options)
        folder.mkdir(parents=True, exist_ok=True)
        save_tensors({"codes": codes.to(torch.int16)}, path, {"labels": json.dumps(labels)})
    tensors, metadata = load_tensors(path)
    return tensors["codes"].long(), json.loads(metadata["labels"])


def asked(labels: Sequence[str], words: Sequence[str]) -> list[str | None]:
    """Each label that is among `words`, None for the others."""
    return [label if label in words else None for label in labels]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--codec", default="speech", help="name of shipped weights, or a file")
    parser.add_argument("--stages", type=int, default=3, help="stages that the prior models")
    parser.add_argument("--versions", type=int, default=4, help="altered versions of each clip")
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="use only so many clips of each split")
    parser.add_argument("--runs", type=Path, default=Path("runs/prior"), help="keeps the codes")
    parser.add_argument("--out", type=Path, default=Path("runs/prior"))
    parser.add_argument("--device", default="cpu", help="cuda or mps, where there is one")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)

    device = usable_device(given.device)
    codec = vqlab.load_pretrained(given.codec)
    codec.model.to(device)
    codes, labels = cached(
        given.runs, codec, "train", given.stages, versions=given.versions, limit=given.limit
    )
    validation, validation_labels = cached(
        given.runs, codec, "validation", given.stages, limit=given.limit
    )
    fewest = min(FEWEST, max(Counter(labels).values()))
    words = sorted(word for word, n in Counter(labels).items() if n >= fewest)
    torch.manual_seed(given.seed)
    prior = Prior(
        codec.model.bottleneck.codebook_sizes[: given.stages],
        words,
        positions=codes.shape[3],
        width=given.width,
        layers=given.layers,
        dropout=given.dropout,
        codec=codec.identity().hex(),
    )
    start_from(prior, code_vectors(codec, given.stages), codes[0])
    prior.to(device)
    given.out.mkdir(parents=True, exist_ok=True)
    log = given.out / "words.metrics.jsonl"
    log.unlink(missing_ok=True)

    def note(report: dict) -> None:
        with log.open("a", encoding="utf-8") as file:
            file.write(json.dumps(report) + "\n")

    started = time.process_time()
    history = fit(
        prior,
        codes,
        asked(labels, words),
        (validation[0], asked(validation_labels, words)),
        steps=given.steps,
        batch_size=given.batch_size,
        learning_rate=given.learning_rate,
        weight_decay=given.weight_decay,
        seed=given.seed,
        on_report=note,
    )
    best = min(history, key=lambda report: report["validation_bits"])
    settings = vars(given) | {"codec": Path(given.codec).name}
    prior.trained = {
        name: value for name, value in settings.items() if name not in ("runs", "out", "threads")
    } | {
        "clips": codes.shape[1],
        "best_step": best["step"],
        "validation_bits": round(best["validation_bits"], 2),
        "validation_bits_per_position": round(best["validation_bits"] / codes.shape[3], 3),
        "processor_minutes": round((time.process_time() - started) / 60, 1),
        "torch": torch.__version__,
        "vqlab": vqlab.__version__,
    }
    prior.save(given.out / "words.safetensors")
    print(json.dumps(prior.trained, indent=1))


if __name__ == "__main__":
    main()
