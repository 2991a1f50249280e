"""The package is a house with floors: a module may import from its own floor and from below."""

import ast

import pytest
from _support import ROOT

FLOORS = [
    "_paths _torchaudio distributed",
    "audio spool spectral inversion features",
    "quantize quantize_steps vector_quantizer quantizer_variants fsq codebook_stats networks "
    "models",
    "datasets",
    "training runs batches checkpoints experiments measures metrics evaluation "
    "codec codec_file levels entropy packing prior prior_training classifier pretrained edit "
    "result_table",
    "cli codec_plots colab commands listen live player plots reconstruct result_plots run_plots "
    "widgets lessons",
]
PACKAGE = ROOT / "vqlab"
FILES = sorted(p for p in PACKAGE.rglob("*.py") if p.parent != PACKAGE or p.name[:2] != "__")


def floor_of(module: str) -> int:
    floors = [number for number, names in enumerate(FLOORS) if module in names.split()]
    assert floors, f"vqlab.{module} has no floor yet: give it one in tests/test_layers.py"
    return floors[0]


def imports(source: str, module: str) -> set[str]:
    """The vqlab modules that a source imports anywhere, functions included.

    >>> sorted(imports("from . import audio\\nfrom ..plots import line", "vqlab.datasets.words"))
    ['datasets', 'plots']
    >>> sorted(imports("import vqlab.codec\\nfrom vqlab import cli, __version__", "vqlab.models"))
    ['cli', 'codec']
    """
    full = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            full |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = ".".join(module.split(".")[: -node.level]) if node.level else ""
            base = ".".join(part for part in (above, node.module) if part)
            full |= {f"{base}.{alias.name}" for alias in node.names}
    inside = {name.split(".")[1] for name in full if name.startswith("vqlab.")}
    return {name for name in inside if not name.startswith("__")}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_downward_only(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    upward = {
        name
        for name in imports(path.read_text(), ".".join(("vqlab", *parts)))
        if floor_of(name) > floor_of(parts[0])
    }
    assert not upward
