"""Build hook: pack data/ into the wheel as vqlab/_data, and what else is read at run time.

An editable install leaves them out, because there the package reads all of them in the checkout.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

RESULTS = ["codecs/table.md", "words-small/results.csv"]  # what notebook 09 draws
PACKED = {
    "data": "vqlab/_data",
    "experiments": "vqlab/_data/experiments",
    "notebooks/beside": "vqlab/_data/beside",
    "notebooks/checks": "vqlab/_data/checks",
    "notebooks/plots": "vqlab/_data/plots",
    "notebooks/solutions": "vqlab/_data/solutions",
    "notebooks/widgets": "vqlab/_data/widgets",
    "benchmarks/clips_words.txt": "vqlab/_data/clips_words.txt",  # of the challenge
} | {f"docs/results/{name}": f"vqlab/_data/results/{name}" for name in RESULTS}


class PackData(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        for folder, place in PACKED.items():
            if version == "standard" and (Path(self.root) / folder).exists():
                build_data["force_include"][folder] = place
