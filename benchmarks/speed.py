"""How fast the parts are, beside a peer and beside the least work that would do: one table.

    python benchmarks/speed.py [--threads 2] [--repeat 5]

EnCodec is measured where it is installed: pip install --no-deps encodec einops

Milliseconds depend on the machine and on what else runs on it; ratios within one run are what
counts, so the candidates of a row take turns and the median of the repetitions is printed. `floor`
is for the quantiser one `addmm`, `argmin` and `embedding`: the plainest way to find and fetch the
nearest codes.
A training step is forward and backward, with the losses and the update of the codebook.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F

import vqlab  # first: it makes torchaudio importable beside a CPU-only torch
from vqlab import audio, datasets, inversion, spectral
from vqlab.quantize import VectorQuantizer
from vqlab.spectral import MelConfig

Row = tuple[str, float | None, float | None, float | None]  # work, ours, peer, floor in ms


def medians(candidates: dict[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """Median time in ms of each candidate; they take turns, after one unmeasured round."""
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(repeat + 1):
        for name, work in candidates.items():
            start = time.perf_counter()
            work()
            if turn:
                times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def quantizer_rows(repeat: int) -> list[Row]:
    """Evaluation and training steps of the quantiser at two sizes, dim 64."""
    try:
        from vector_quantize_pytorch import VectorQuantize
    except ImportError:
        VectorQuantize = None
    rows: list[Row] = []
    for n, k in ((65_536, 1024), (16_384, 512)):
        torch.manual_seed(0)
        batch, dim = 16, 64
        z = torch.randn(batch, dim, n // batch)  # ours: channels first, as a network gives it
        z_last = z.movedim(1, -1).contiguous()  # the peer's own layout, so that it need not turn it
        vectors = z_last.reshape(n, dim)
        ours = VectorQuantizer(dim, k, kmeans_start=False)
        ours._place(torch.arange(k), torch.randn(k, dim), torch.tensor(n / k))
        codebook = ours.codebook.clone()
        peer = None
        if VectorQuantize is not None:
            peer = VectorQuantize(dim=dim, codebook_size=k, decay=0.99, commitment_weight=0.25)
            peer(torch.randn(1, k, dim))

        def floor(vectors=vectors, codebook=codebook) -> torch.Tensor:
            table = torch.addmm(codebook.pow(2).sum(dim=1), vectors, codebook.T, alpha=-2)
            return F.embedding(table.argmin(dim=1), codebook)

        def ours_eval(z=z, ours=ours) -> None:
            with torch.no_grad():
                ours(z)

        def ours_train(z=z, ours=ours) -> None:
            z = z.detach().requires_grad_()
            out = ours(z)
            (out.z.mean() + out.loss).backward()

        def peer_eval(z=z_last, peer=peer) -> None:
            with torch.no_grad():
                peer(z)

        def peer_train(z=z_last, peer=peer) -> None:
            z = z.detach().requires_grad_()
            value, _, loss = peer(z)
            (value.mean() + loss.sum()).backward()

        for mode, mine, other in (
            ("eval", ours_eval, peer_eval),
            ("train", ours_train, peer_train),
        ):
            ours.train(mode == "train")
            candidates: dict[str, Callable[[], object]] = {"ours": mine, "floor": floor}
            if peer is not None:
                peer.train(mode == "train")
                candidates["peer"] = other
            took = medians(candidates, repeat)
            work = f"quantise, {mode}: {n:,} vectors, K = {k}, D = {dim}"
            rows.append((work, took["ours"], took.get("peer"), took["floor"]))
    return rows


def inversion_rows(repeat: int) -> list[Row]:
    """Fast Griffin-Lim with the same settings in torchaudio and librosa."""
    import librosa
    from torchaudio.functional import griffinlim

    config, seconds, steps, momentum = MelConfig(), 10, 32, 0.99
    n_fft, hop, window = config.n_fft, config.hop_length, torch.hann_window(config.n_fft)
    torch.manual_seed(0)
    magnitude = spectral.stft(0.1 * torch.randn(seconds * config.sample_rate), config).abs()
    array = magnitude.numpy()
    took = medians(
        {
            "ours": lambda: inversion.griffin_lim(
                magnitude, config, n_iter=steps, momentum=momentum
            ),
            "torchaudio": lambda: griffinlim(
                magnitude, window, n_fft, hop, n_fft, 1.0, steps, momentum, None, True
            ),
            "librosa": lambda: librosa.griffinlim(
                array, n_iter=steps, hop_length=hop, n_fft=n_fft, momentum=momentum, random_state=0
            ),
        },
        repeat,
    )
    work = f"fast Griffin-Lim, {steps} steps, {seconds} s, {n_fft}/{hop}; peer"
    return [(f"{work} {n}", took["ours"], took[n], None) for n in ("torchaudio", "librosa")]


def codec_rows(repeat: int) -> list[Row]:
    """Ten seconds of speech through the shipped codec, and its network beside EnCodec's."""
    voices = datasets.load("voices", "all", words="en", seconds=None)
    waveform = torch.cat([item.waveform for item in voices]).repeat(2)[: 10 * 16000]
    data = vqlab.compress(waveform, kbps=1.5)
    took = medians(
        {
            "compress": lambda: vqlab.compress(waveform, kbps=1.5),
            "decompress": lambda: vqlab.decompress(data),
        },
        repeat,
    )
    rows: list[Row] = [(f"{name} 10 s at 1.5 kbit/s", ms, None, None) for name, ms in took.items()]
    codec = vqlab.load_pretrained("speech")
    x = codec.features.analyse(waveform[None])

    def ours() -> None:
        codec.model.decode(codec.model.codes(x))

    candidates: dict[str, Callable[[], object]] = {"ours": ours}
    try:
        from encodec import EncodecModel
    except ImportError:
        pass
    else:
        model = EncodecModel.encodec_model_24khz(pretrained=False).eval()  # as fast as trained ones
        model.set_target_bandwidth(1.5)
        high = audio.resample(waveform, 16000, 24000)[None, None]

        def peer() -> None:
            with torch.no_grad():
                model.decode(model.encode(high))

        candidates["peer"] = peer
    took = medians(candidates, repeat)
    work = "networks alone, encode and decode 10 s; peer EnCodec 24 kHz"
    return [*rows, (work, took["ours"], took.get("peer"), None)]


def version(name: str) -> str:
    """Name and installed version, or that it is absent."""
    try:
        return f"{name} {importlib.metadata.version(name)}"
    except importlib.metadata.PackageNotFoundError:
        return f"{name} absent"


def table(rows: list[Row]) -> str:
    """Rows as Markdown; ratios are ours divided by the other, so below 1 is faster."""
    lines = [
        "| work | ours ms | peer ms | floor ms | ours / peer | ours / floor |",
        "|---|--:|--:|--:|--:|--:|",
    ]

    def number(value: float | None, digits: int = 1) -> str:
        return "–" if value is None else f"{value:.{digits}f}"

    for work, ours, peer, floor in rows:
        ratios = [ours / other if ours and other else None for other in (peer, floor)]
        cells = [work, number(ours), number(peer), number(floor), *(number(r, 2) for r in ratios)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2, help="threads for torch (default 2)")
    parser.add_argument("--repeat", type=int, default=5, help="measured repetitions (default 5)")
    parser.add_argument("--out", type=Path, help="also write it to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    names = ("torch", "vector-quantize-pytorch", "librosa", "torchaudio", "encodec")
    rows = quantizer_rows(options.repeat) + inversion_rows(options.repeat)
    rows += codec_rows(options.repeat)
    text = (
        f"{table(rows)}\n\n"
        f"Python {platform.python_version()}, {', '.join(version(name) for name in names)}; "
        f"{options.threads} thread(s), median of {options.repeat} rounds, {platform.machine()}. "
        "Peer of the quantiser: vector-quantize-pytorch. Milliseconds depend on the machine; "
        "compare the ratios."
    )
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
