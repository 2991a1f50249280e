"""Six ways to quantise in the same small speech model, at equal bits and equal processor time.

Each is a residual quantiser of three stages of 1024 codes (finite scalars: 1000 or 1024) at 50
positions a second, between the same encoder and decoder with the same starting weights, on the same
batches. No quantiser dropout: all stages are always used, and fewer stages are not compared. Each
method first gets three short trials, of two learning rates and one setting of its own; the lowest
validation error chooses. Then it is trained once with each seed. Speakers of the validation split
choose the trial and the best moment of each training; the table's sound is that of the test split.
The minutes are processor time of this process, validation included, so a method with slower steps
gets fewer of them.

    python benchmarks/quantisers.py --minutes 10 --tune-minutes 2 --seeds 0 1 2

It can be stopped and started at will: a finished training is a line in runs.jsonl and is not done
again, an unfinished one goes on from its last report.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from quantizer_variants import (
    CosineQuantizer,
    FiniteScalarStage,
    ResidualStack,
    SimVectorQuantizer,
    rotate_to,
)
from torch import Tensor, nn

from vqlab import datasets, metrics, training
from vqlab.codec import Codec, Recipe
from vqlab.features import Features
from vqlab.files import write_whole
from vqlab.models import Autoencoder
from vqlab.networks import Decoder1d, Encoder1d
from vqlab.quantize import CodebookStats, VectorQuantizer, straight_through

DIM, CODES, STAGES = 64, 1024, 3
RATES = (5e-4, 1e-3)  # learning rates that are tried
Options = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Method:
    """A row of the table: how a stage is made, how the gradient passes, what else is tried."""

    name: str
    stage: Callable[..., nn.Module]
    other: Options  # the one setting of its own that is tried besides the usual ones
    estimator: Callable[[Tensor, Tensor], Tensor] | None = straight_through

    def bottleneck(self, options: Options) -> ResidualStack:
        stages = [self.stage(**options) for _ in range(STAGES)]
        return ResidualStack(stages, estimator=self.estimator)

    def trials(self) -> list[tuple[float, Options]]:
        return [(rate, {}) for rate in RATES] + [(RATES[0], self.other)]


def averages(**options: Any) -> VectorQuantizer:
    return VectorQuantizer(DIM, CODES, restart_below=0.2, **options)


def gradient(**options: Any) -> VectorQuantizer:
    return VectorQuantizer(DIM, CODES, restart_below=0.2, decay=None, **options)


def sim(**options: Any) -> SimVectorQuantizer:
    return SimVectorQuantizer(DIM, CODES, **options)


def cosine(**options: Any) -> CosineQuantizer:
    return CosineQuantizer(DIM, CODES, **options)


def scalars(levels: Sequence[int] = (8, 5, 5, 5)) -> FiniteScalarStage:
    return FiniteScalarStage(levels, DIM)


METHODS = {
    "ema": Method("moving averages, restart", averages, {"decay": 0.95}),
    "gradient": Method("codebook by gradient, restart", gradient, {"beta": 1.0}),
    "rotation": Method("moving averages, restart, rotation", averages, {"beta": 1.0}, rotate_to),
    "simvq": Method("SimVQ", sim, {"beta": 1.0}),
    "fsq": Method("finite scalars", scalars, {"levels": [4, 4, 4, 4, 4]}, None),
    "cosine": Method(
        "8 dimensions, cosine", cosine, {"kmeans_start": True, "restart_below": 0.2}, None
    ),
}

COLUMNS = {
    "method": "method",
    "kbps": "kbit/s",
    "seeds": "seeds",
    "steps": "steps",
    "used": "codes used",
    "perplexity": "perplexity",
    "validation_error_db": "mel error, dB, validation",
    "test_error_db": "mel error, dB, test",
    "stoi": "STOI",
    "estoi": "ESTOI",
    "pesq_wb": "PESQ-wb",
}


def build(method: Method, options: Options, seed: int) -> Autoencoder:
    """The model; encoder and decoder start from the same weights whatever the method."""
    torch.manual_seed(seed)
    encoder = Encoder1d(80, DIM, width=256, stride=2)
    decoder = Decoder1d(DIM, 80, width=256, stride=2, blocks=6)
    return Autoencoder(encoder, method.bottleneck(options), decoder)


def same_augmentation(batch: Tensor) -> Tensor:
    """A batch is shifted and amplified alike, however many random numbers a quantiser drew."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(batch.numpy().tobytes()))
        return training.shift_and_gain(batch)


@dataclass
class Bench:
    """What all trainings share: sounds, features, and where rows are kept."""

    codec: Codec  # for its level and features; its own model is not used
    waveforms: dict[str, Tensor]
    clips: list[datasets.Item]
    runs: Path
    out: Path

    def row(
        self, key: str, kind: str, minutes: float, rate: float, options: Options, seed: int
    ) -> Row:
        """The row of one training: read where it is finished, else trained and written."""
        wanted = {
            "kind": kind, "method": key, "minutes": minutes, "learning_rate": rate,
            "options": options, "seed": seed, "items": len(self.waveforms["train"]),
        }  # fmt: skip
        for row in self.rows():
            if all(row[name] == value for name, value in wanted.items()):
                return row
        print(json.dumps(wanted), file=sys.stderr, flush=True)
        method = METHODS[key]
        model = build(method, options, seed)
        changed = "-".join(f"{name}-{value}" for name, value in options.items()) or "usual"
        folder = self.runs / f"{key}-{minutes:g}min-{rate:g}-{changed}-seed{seed}".replace(" ", "")
        run = training.fit(
            model,
            self.waveforms["train"],
            self.waveforms["validation"],
            features=self.codec.features,
            out=folder,
            minutes=minutes,
            learning_rate=rate,
            augment=same_augmentation,
            seed=seed,
            clock=time.process_time,
            device="cpu",
            report_every=200,
            progress=sys.stderr.isatty(),
        )
        if run.stopped:
            sys.exit("interrupted: the same command goes on from here")
        row = wanted | {"steps": run.step, "processor_seconds": round(run.seconds, 1)}
        row |= self.inside(model)
        if kind == "final":
            row |= {"test_error_db": self.error_db(model, "test")} | self.heard(model)
        with (self.out / "runs.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        (folder / "last.safetensors").unlink()  # the row is written: nothing to go on with
        return row

    def rows(self) -> list[Row]:
        path = self.out / "runs.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @torch.no_grad()
    def inside(self, model: Autoencoder) -> Row:
        """Error of the mel frames and the codes in use, of the whole validation split."""
        stats = CodebookStats(model.bottleneck.codebook_sizes)
        for batch in self.waveforms["validation"].split(16):
            stats.update(model.codes(self.codec.features.analyse(batch)))
        return {
            "kbps": 50 * model.bottleneck.bits_per_position / 1000,
            "validation_error_db": self.error_db(model, "validation"),
            "used": stats.used,
            "perplexity": [round(value, 1) for value in stats.perplexity],
        }

    def error_db(self, model: Autoencoder, split: str) -> float:
        """Mean difference of the mel frames over all clips of a split."""
        return training.evaluate(model, self.waveforms[split], features=self.codec.features)

    def heard(self, model: Autoencoder) -> Row:
        """Means of the measures of sound over the test clips, coded to integers and back."""
        scored = metrics.score_codec(
            lambda sound: self.there_and_back(model, sound),
            self.clips,
            progress=sys.stderr.isatty(),
        )
        summary = metrics.summarise(scored)
        means: Row = {name: value.mean for name, value in summary.items()}
        return means | {"clips": {name: value.n for name, value in summary.items()}}

    @torch.no_grad()
    def there_and_back(self, model: Autoencoder, waveform: Tensor) -> Tensor:
        features = self.codec.features
        levelled, gain_db = self.codec.normalise(waveform)
        x = features.analyse(levelled.unsqueeze(0))
        odd = -x.shape[-1] % model.stride
        codes = model.codes(torch.cat([x, x[..., -1:].expand(*x.shape[:-1], odd)], dim=-1))
        y = model.decode(codes)[..., : x.shape[-1]]
        return features.synthesise(y, len(waveform))[0] / 10 ** (gain_db / 20)


def prepare(runs: Path, out: Path, limit: int) -> Bench:
    out.mkdir(parents=True, exist_ok=True)
    codec = Codec(Recipe("speech"), Features())
    sets = {
        split: datasets.load("speech_commands", split, words="all", seconds=1.0)
        for split in ("train", "validation", "test")
    }
    waveforms = {split: training.levelled(codec, data) for split, data in sets.items()}
    codec.features = codec.features.fitted(waveforms["train"])
    clips = datasets.load("speech_commands", "test", words="all", seconds=1.0, limit=limit)
    return Bench(codec, waveforms, list(clips), runs, out)


def described(rate: float, options: Options) -> str:
    changed = [f"{name} {value}" for name, value in options.items()]
    return ", ".join([f"rate {rate:g}", *changed])


def ranged(values: Sequence[float], digits: int) -> str:
    """Mean, and from where to where the seeds reach."""
    text = f"{statistics.mean(values):.{digits}f}"
    if len(values) == 1:
        return text
    return f"{text} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def table_row(rows: Sequence[Row]) -> Row:
    """One line of the table from the rows of one method's seeds."""
    digits = {"validation_error_db": 2, "test_error_db": 2, "stoi": 3, "estoi": 3, "pesq_wb": 2}
    line: Row = {
        "method": METHODS[rows[0]["method"]].name,
        "kbps": f"{rows[0]['kbps']:.2f}",
        "seeds": len(rows),
        "steps": ranged([row["steps"] for row in rows], 0),
    }
    for name in ("used", "perplexity"):  # per stage, the mean over seeds
        by_stage = zip(*[row[name] for row in rows], strict=True)
        line[name] = " ".join(f"{statistics.mean(stage):.0f}" for stage in by_stage)
    for name, n in digits.items():
        values = [row[name] for row in rows if not math.isnan(row[name])]
        line[name] = ranged(values, n) if values else "–"
    return line


def report(
    tried: dict[str, list[Row]], final: dict[str, list[Row]], clips: int, minutes: float
) -> str:
    """Both tables as Markdown."""
    trials = [
        {
            "method": METHODS[key].name,
            "setting": described(row["learning_rate"], row["options"]),
            "error": f"{row['validation_error_db']:.2f}",
            "chosen": "yes" if row is min(rows, key=_error) else "",
        }
        for key, rows in tried.items()
        for row in rows
    ]
    first = metrics.markdown_table(COLUMNS, [table_row(rows) for rows in final.values()])
    headings = {
        "method": "method", "setting": "setting", "error": "mel error, dB, validation",
        "chosen": "chosen",
    }  # fmt: skip
    row = next(iter(final.values()))[0]
    left_out = ", ".join(
        f"{n} of {clips} clips have {COLUMNS[name]}" for name, n in row["clips"].items()
        if n < clips and name in COLUMNS
    )  # fmt: skip
    short = next(iter(tried.values()))[0]["minutes"]
    said = f" ({left_out}; for the others it is not defined)" if left_out else ""
    return (
        f"{minutes:g} minutes of processor time each, {row['items']} training clips. Mean over "
        "seeds, in brackets the range. Codes used and perplexity: of each stage, over the whole "
        f"validation split, mean over seeds. Measures of sound: {clips} test clips{said}.\n\n"
        f"{first}\n\nThe trials, {short:g} minutes each:\n\n"
        f"{metrics.markdown_table(headings, trials)}\n"
    )


def _error(row: Row) -> float:
    return row["validation_error_db"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--minutes", type=float, default=10, help="of processor time, for each")
    parser.add_argument("--tune-minutes", type=float, default=2, help="the same, for each trial")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--limit", type=int, default=60, help="test clips that are scored")
    parser.add_argument("--runs", type=Path, default=Path("runs/quantisers"))
    parser.add_argument("--out", type=Path, default=Path("docs/results/quantisers"))
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    bench = prepare(arguments.runs, arguments.out, arguments.limit)
    tried: dict[str, list[Row]] = {}
    final: dict[str, list[Row]] = {key: [] for key in arguments.methods}
    for key in arguments.methods:
        tried[key] = [
            bench.row(key, "trial", arguments.tune_minutes, rate, options, 0)
            for rate, options in METHODS[key].trials()
        ]
    # Seed after seed, so that a table of all methods is there early.
    todo = [(seed, key) for seed in arguments.seeds for key in arguments.methods]
    for seed, key in todo:
        best = min(tried[key], key=_error)
        rate, options = best["learning_rate"], best["options"]
        final[key].append(bench.row(key, "final", arguments.minutes, rate, options, seed))
        if all(final.values()):
            text = report(tried, final, len(bench.clips), arguments.minutes)
            write_whole(arguments.out / "table.md", text.encode())
    print(text)


if __name__ == "__main__":
    main()
