"""Write what the page loads: a codec's numbers in two files, the decoder's at 8 bits.

    python web/export.py data/weights/speech.safetensors FOLDER

`sound` holds what decoding needs (codebooks, tables, decoder), `voice` the encoder. Both are
safetensors in gzip, which takes a tenth less. Each lies there twice: as it is, for pages that come
from a server, and as a script with the same bytes in base64, because a page opened from a disk may
load scripts but no data.

Only the large matrices of the decoder's network are rounded, each row to whole multiples of a step
of its own: the codes of a sound do not depend on the decoder, so they stay what the Python package
finds. In the first and the last layer, whose errors weigh most, each `RUN` numbers have a step of
their own. The linear map beside the network is small, and a third of what rounding all changes.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import math
import sys
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from vqlab.codec import Codec
from vqlab.files import load_tensors

KERNEL = Path(__file__).with_name("kernel.wasm")
ROUNDED = 10_000
"""Numbers from which a matrix of the decoder is rounded; smaller ones are not worth it."""
RUN = 32
"""Numbers that share a step in the first and the last layer."""


def parts(path: Path, *, bits: int = 8) -> dict[str, bytes]:
    """The files `sound` and `voice` of a codec, as safetensors.

    bits : of the decoder's large matrices, 8 or (as they are stored) 16

    Raises ValueError for a codec of another kind than the page can compute.
    """
    codec = Codec.load(path)
    check(codec)
    tensors, metadata = load_tensors(path)
    tensors = {name: t.contiguous() for name, t in tensors.items() if t.dtype != torch.bool}
    voice = {name: t for name, t in tensors.items() if name.startswith("encoder.")}
    sound = {name: t for name, t in tensors.items() if name not in voice}
    network = [name for name in sound if name.startswith("decoder.network.")]
    layers = sorted({int(name.split(".")[2]) for name in network})
    for name in network if bits == 8 else []:
        tensor = sound[name]
        outer = int(name.split(".")[2]) in (layers[0], layers[-1])
        if tensor.numel() >= ROUNDED:
            sound |= rounded(
                name, tensor, math.gcd(RUN, tensor.numel()) if outer else tensor[0].numel()
            )
    about = {"codec": metadata["codec"], "identity": codec.identity().hex()}
    return {"sound": save(sound, about), "voice": save(voice, about)}


def rounded(name: str, tensor: Tensor, run: int) -> dict[str, Tensor]:
    """A matrix as int8, and its steps: each `run` numbers in order are multiples of one of them."""
    runs = tensor.float().reshape(-1, run)
    step = runs.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
    whole = (runs / step).round().to(torch.int8).reshape(tensor.shape)
    return {name: whole, f"{name}.step": step[:, 0].contiguous()}


def check(codec: Codec) -> None:
    """Raise ValueError, in one sentence, for a codec that codec.js cannot compute."""
    config, kind = codec.features.config, codec.recipe.architecture
    if kind != "variable_speech":
        raise ValueError(f"the page computes codecs of the kind variable_speech, not {kind}")
    if codec.features.scale != "db" or config.n_fft & (config.n_fft - 1):
        raise ValueError(
            f"the page computes mel decibels with windows of a power of two, not {config.n_fft} "
            f"samples and the scale {codec.features.scale!r}"
        )
    sizes = codec.model.bottleneck.codebook_sizes
    if codec.model.stride in (1, 7) or max(sizes) > 65_536:
        raise ValueError(
            "the page computes strides other than 1 and 7 and at most 65,536 codes a stage, not a "
            f"stride of {codec.model.stride} and {max(sizes):,} codes"
        )


def export(path: Path, out: Path, *, bits: int = 8) -> None:
    """Write the files of a codec, and the kernel, into the folder ``out``."""
    out.mkdir(parents=True, exist_ok=True)
    for name, tensors in parts(path, bits=bits).items():
        data = gzip.compress(tensors, mtime=0)
        (out / f"{name}.bin").write_bytes(data)
        script(out / f"{name}.js", name, data)
    script(out / "kernel.js", "kernel", KERNEL.read_bytes())


def script(path: Path, name: str, data: bytes) -> None:
    """Write a script that puts ``data``, in base64, into a table of the page."""
    text = base64.b64encode(data).decode("ascii")
    line = f'(self.vqlabParts = self.vqlabParts || {{}}).{name} = "{text}";\n'
    path.write_text(line, encoding="ascii")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write what the codec's page loads.")
    parser.add_argument("codec", type=Path, help="a codec.safetensors")
    parser.add_argument("out", type=Path, help="folder for the files")
    options = parser.parse_args(arguments)
    try:
        export(options.codec, options.out)
    except (ValueError, FileNotFoundError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
