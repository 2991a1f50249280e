"""Write or check the stored files that every later version must read.

    python tools/golden.py make 3   # once for each version of the format
    python tools/golden.py check    # under any Python and numpy: the same codes?

`tests/golden` holds, for each version, a small codec, files it wrote, and the codes they hold.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import platform
from pathlib import Path

import constriction
import numpy as np
import torch

from vqlab.codec import Codec, Recipe
from vqlab.codec.context import Net
from vqlab.features import Features
from vqlab.spectral import MelConfig

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden"
SECONDS = (0.01, 0.5, 1.0, 7.3)


def sound(seconds: float, seed: int) -> torch.Tensor:
    """Noise that comes and goes."""
    samples = round(16000 * seconds)
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(seed))
    level = -35 + 25 * torch.sin(torch.arange(samples) * 2 * math.pi / 5000 + seed)
    return noise * 10 ** (level / 20)


def nets(stages: int, size: int, hidden: int = 8) -> list[Net]:
    """Networks of random whole numbers for the first `stages`, of `size` codes each."""
    draw = np.random.default_rng(0)
    found = []
    for stage in range(stages):
        windows = [(0, -1, -1), (0, -9, -2)]
        windows += [(row, 0, 0) for row in range(stage)] + [(0, -4, 4)] * (stage > 0)
        found.append(
            Net(
                windows=np.array(windows),
                tables=draw.integers(-128, 128, (len(windows), size, hidden)),
                bias=draw.integers(-99, 99, hidden),
                out=draw.integers(-128, 128, (size, hidden)),
                out_bias=draw.integers(-9999, 9999, size),
                shift=np.array(8),
            )
        )
    return found


def make(version: int) -> None:
    torch.manual_seed(0)
    sizes = {"n_mels": 16, "dim": 8, "codebook_size": 48, "stages": 4, "width": 16}
    blocks = {"encoder_blocks": 1, "decoder_blocks": 1, "fine_blocks": 1}
    features = Features(MelConfig(n_fft=256, hop_length=160, n_mels=16), mean=-50, std=20)
    codec = Codec(Recipe("variable_speech", sizes | blocks), features)
    x = features.analyse(torch.stack([sound(1.0, seed) for seed in range(16)]))
    codec.model.start(x)
    codec.model.train()
    for _ in range(30):
        codec.model(x)
    codec.model.eval()
    codec.fit_tables([sound(1.0, seed) for seed in range(50)])
    if version == 3:
        codec.tables = dataclasses.replace(codec.tables, nets=nets(3, sizes["codebook_size"]))
    folder = GOLDEN / f"version{version}"
    folder.mkdir(parents=True)  # fails where there is one: a stored file is never replaced
    codec.save(folder / "codec.safetensors")
    codec = Codec.load(folder / "codec.safetensors")
    held = {}
    for n, seconds in enumerate(SECONDS):
        name = f"{n}.vql"
        data = codec.compress(sound(seconds, 100 + n), 0.6)
        (folder / name).write_bytes(data)
        codes, samples, gain_db = codec.from_bytes(data)
        held[name] = {"samples": samples, "gain_db": gain_db, "codes": codes[0].tolist()}
    (folder / "codes.json").write_text(json.dumps(held) + "\n")


def check() -> None:
    count = 0
    for folder in sorted(GOLDEN.iterdir()):
        codec = Codec.load(folder / "codec.safetensors")
        for name, expected in json.loads((folder / "codes.json").read_text()).items():
            codes, samples, gain_db = codec.from_bytes((folder / name).read_bytes())
            found = {"samples": samples, "gain_db": gain_db, "codes": codes[0].tolist()}
            if found != expected:
                raise SystemExit(f"{folder.name}/{name} does not decode to its codes")
            count += 1
    versions = {
        "Python": platform.python_version(),
        "numpy": np.__version__,
        "torch": torch.__version__,
        "constriction": getattr(constriction, "__version__", None) or _version("constriction"),
    }
    said = ", ".join(f"{name} {version}" for name, version in versions.items())
    print(f"{count} stored files decode to their codes under {said}")


def _version(name: str) -> str:
    from importlib.metadata import version

    return version(name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("what", choices=["make", "check"])
    parser.add_argument("version", type=int, nargs="?", choices=[2, 3], help="to make")
    given = parser.parse_args()
    if given.what == "check":
        check()
    elif given.version is None:
        parser.error("make needs a version of the format")
    else:
        make(given.version)
