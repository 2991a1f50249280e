"""Build hook: pack data/ into the wheel as vqlab/_data, and experiments/ beside it.

An editable install leaves them out, because there the package reads both in the checkout.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKED = {"data": "vqlab/_data", "experiments": "vqlab/_data/experiments"}


class PackData(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        for folder, place in PACKED.items():
            if version == "standard" and (Path(self.root) / folder).is_dir():
                build_data["force_include"][folder] = place
