"""Build hook: pack data/ into the wheel as vqlab/_data.

An editable install leaves it out, because there the package reads data/ in the checkout.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PackData(BuildHookInterface):
    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "standard" and (Path(self.root) / "data").is_dir():
            build_data["force_include"]["data"] = "vqlab/_data"
