"""Train the WaveNet of notebook 13: it writes wavenet.safetensors in data/weights/relatives.

It runs the notebook's own cells, those tagged `defines`, with the bundled words and one thread; the
seed stands in the notebook. So the code that ships is the code that is read there.

    python tools/relatives.py --steps 700
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import nbformat
import torch

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks/13_around_the_bottleneck.ipynb"


def defined() -> dict[str, Any]:
    """What the notebook's cells define: its imports, those tagged `defines`, our answers."""
    from vqlab import lessons

    answers = {"mu_law": "13-mu-law", "causal_conv": "13-causal-conv", "highway": "13-highway"}
    names: dict[str, Any] = {name: lessons.find(key).right for name, key in answers.items()}
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        if cell.id == "nb13-imports" or "defines" in cell.metadata.get("tags", []):
            exec(cell.source, names)
    return names


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--steps", type=int, default=700)
    parser.add_argument("--out", type=Path, default=ROOT / "data/weights/relatives")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as nobodys:
        os.environ["VQLAB_MY_CODEC"] = str(Path(nobodys, "my_codec.py"))  # ours, whoever runs it
        names = defined()
    begun = time.process_time()
    net = names["trained_wavenet"](arguments.steps)
    minutes = (time.process_time() - begun) / 60
    arguments.out.mkdir(parents=True, exist_ok=True)
    path = arguments.out / "wavenet.safetensors"
    names["relatives"].save(net, path, {"steps": str(arguments.steps)})
    with torch.no_grad():
        bits = float(names["price"](net, names["test_mel"], names["clips"]))
    print(
        f"{path.name}: {arguments.steps} steps, {minutes:.1f} minutes of one core, "
        f"{path.stat().st_size} bytes; {bits:.2f} bits a sample of the test clips"
    )


if __name__ == "__main__":
    main()
