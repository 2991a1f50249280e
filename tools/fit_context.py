r"""Give a codec the networks that price its first stages' codes by what surrounds them.

Crops are drawn as in the codec's training (`tools/train_voice.py`); their codes at three qualities
are what the networks learn from, in floating point. Then all weights are rounded to whole numbers.
The codec gets another identity by it, and writes files of version 3. What that saves is told for
the clips that `benchmarks/` lists, whose speakers nothing has learned from.

    VQLAB_DATA=... python tools/fit_context.py runs/voice/codec.safetensors --out priced.safetensors
"""

from __future__ import annotations

import argparse
import dataclasses
import math
from pathlib import Path

import numpy as np
import torch
import train_voice
from torch import Tensor, nn
from tqdm.auto import tqdm

from vqlab import metrics
from vqlab.codec import Codec
from vqlab.codec.context import STEPS, Net
from vqlab.files import recordings_root

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
WINDOWS = (
    ((0, -1, -1), (0, -2, -2), (0, -3, -3), (0, -5, -4), (0, -40, -1)),
    ((0, 0, 0), (0, -1, -1), (0, 1, 1), (0, -3, -2), (0, 2, 3), (0, -32, 32)),
    ((0, 0, 0), (1, 0, 0), (0, -1, -1), (0, 1, 1), (1, -1, -1), (1, 1, 1), (0, -32, 32)),
)
"""Of each stage: see `vqlab.codec.context.Net`."""
QUALITIES = (74, 50, 34)
"""Of the codes: about 1, 0.6 and 0.4 kbit/s."""
HIDDEN = (24, 16, 12)
"""Units of each stage's network; the first saves most, and a codec's file has at most 16 MB."""
BATCH = 24
LEARNING_RATE = 1e-2


class Predictor(nn.Module):
    """`Net` in floating point, to be learned; tables begin as projections of the code vectors."""

    def __init__(self, windows: tuple, codebooks: list[Tensor], hidden: int) -> None:
        super().__init__()
        self.windows = windows
        projected = [_projected(codebooks[row], hidden) for row, _, _ in windows]
        self.tables = nn.ParameterList([0.4 * table for table in projected])
        self.bias = nn.Parameter(torch.zeros(hidden))
        stage = len(codebooks) - 1
        self.out = nn.Parameter(0.4 / math.sqrt(hidden) * _projected(codebooks[stage], hidden))
        self.out_bias = nn.Parameter(torch.zeros(len(codebooks[stage])))

    def forward(self, codes: Tensor) -> Tensor:
        """Logits (batch, positions, K) of codes (batch, stages, positions), -1 where none."""
        hidden = self.bias
        for (row, first, last), table in zip(self.windows, self.tables, strict=True):
            present = (codes[:, row] >= 0).unsqueeze(-1)
            added = nn.functional.embedding(codes[:, row].clamp(min=0), table) * present
            hidden = hidden + _over(added, first, last) / _over(present, first, last).clamp(min=1)
        hidden = nn.functional.dropout(torch.relu(hidden), 0.15, self.training)
        return hidden @ self.out.T + self.out_bias

    def whole(self) -> Net:
        """The network in whole numbers."""
        tables, out = torch.stack(list(self.tables)).detach(), self.out.detach()
        fine = 127 / tables.abs().max()
        # Logits count steps of 1 / STEPS of a halving, after a shift by whole bits.
        unit = STEPS / math.log(2)
        shift = math.floor(math.log2(127 / out.abs().max() * fine / unit))
        coarse = unit * 2**shift / fine
        rounded = {
            "tables": tables * fine,
            "bias": self.bias.detach() * fine,
            "out": out * coarse,
            "out_bias": self.out_bias.detach() * fine * coarse,
        }
        arrays = {name: value.round().numpy().astype(np.int64) for name, value in rounded.items()}
        return Net(windows=np.array(self.windows), shift=np.array(shift), **arrays)


def _projected(codebook: Tensor, hidden: int) -> Tensor:
    """Rows of length about one that are alike where code vectors are: (K, hidden)."""
    even = (codebook - codebook.mean(0)) / codebook.std()
    return even @ torch.randn(codebook.shape[1], hidden) / math.sqrt(codebook.shape[1])


def _over(values: Tensor, first: int, last: int) -> Tensor:
    """Sums of values (batch, positions, n) over a window around each position."""
    length = values.shape[1]
    sums = nn.functional.pad(values.cumsum(dim=1), (0, 0, 1, 0))
    at = torch.arange(length)
    return sums[:, (at + last + 1).clamp(0, length)] - sums[:, (at + first).clamp(0, length)]


def codes_of(codec: Codec, count: int) -> Tensor:
    """Codes of `count` crops, int64 (count, qualities, stages that have networks, positions)."""
    learned = train_voice.training_crops(codec)
    found = []
    for n in tqdm(range(count), "coding", leave=False):
        analysis = codec.analysis(learned[n])
        found.append(torch.stack([analysis.codes(q)[0, : len(WINDOWS)] for q in QUALITIES]))
    return torch.stack(found)


def fit(codes: Tensor, codebooks: list[Tensor], hidden: int, epochs: int) -> Net:
    """The network of the last stage of `codebooks`, learned from `codes_of` a codec."""
    stage = len(codebooks) - 1
    predictor = Predictor(WINDOWS[stage], codebooks, hidden)
    optimiser = torch.optim.AdamW(predictor.parameters(), LEARNING_RATE, (0.9, 0.98))
    steps = epochs * (len(codes) // BATCH)
    slope = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda n: min(1, (n + 1) / 50) * (0.5 + 0.5 * math.cos(math.pi * n / steps))
    )
    some = torch.arange(BATCH)
    for _ in tqdm(range(steps), f"stage {stage + 1}", leave=False):
        batch = codes[
            torch.randint(len(codes), (BATCH,)), torch.randint(codes.shape[1], some.shape)
        ]
        target = batch[:, stage]
        loss = nn.functional.cross_entropy(predictor(batch)[target >= 0], target[target >= 0])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        slope.step()
    return predictor.eval().whole()


def compared(before: Codec, after: Codec) -> list[str]:
    """Mean bytes of whole files of the same codes, a line for each list of clips and rate."""
    lines = []
    for name, seconds in (("words", None), ("librispeech", 5.0)):
        where = BENCHMARKS / f"clips_{name}.txt"
        clips = metrics.clips_from_list(where, recordings_root(), seconds=seconds)
        sizes: dict[float, list] = {}
        for clip in tqdm(clips, "comparing", leave=False):
            found = before.analysis(clip.waveform)
            for kbps in (1.65, 1.0, 0.75, 0.5):
                quality, codes, _ = found.fitting(kbps)
                about = (codes, found.samples, found.level, quality)
                both = [len(codec.to_bytes(*about)) for codec in (before, after)]
                sizes.setdefault(kbps, []).append(both)
        for kbps, both in sizes.items():
            old, new = np.mean(both, axis=0)
            lines.append(f"{name} {kbps:g}: {old:.1f} -> {new:.1f} bytes, {new / old - 1:+.1%}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--crops", type=int, default=6000, help="of two seconds")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    codec = Codec.load(arguments.weights)
    codes = codes_of(codec, arguments.crops)
    layers = codec.model.bottleneck.in_turn()
    books = [layer.table().detach().float().cpu() for layer in layers[: len(WINDOWS)]]
    nets = [fit(codes, books[: n + 1], HIDDEN[n], arguments.epochs) for n in range(len(WINDOWS))]
    codec.tables = dataclasses.replace(codec.tables, nets=nets)
    codec.save(arguments.out)
    print(f"{len(codes)} crops; {arguments.out} is {codec.identity().hex()}")
    print("\n".join(compared(Codec.load(arguments.weights), codec)))


if __name__ == "__main__":
    main()
