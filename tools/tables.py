"""Put the tables that commands made into the texts, so that no figure is typed by hand.

Between `<!-- table PATH -->` and `<!-- end -->` stands the text of the file PATH, in README.md,
in docs/results.md, and in the model card of the shipped weights.

    python tools/tables.py           rewrite them
    python tools/tables.py --check   say whether they are up to date
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from vqlab.files import write_whole

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "docs/results.md", "data/weights/README.md")
MARKED = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str, root: Path = ROOT) -> str:
    """`text` with every marked table as its file has it now."""

    def table(match: re.Match[str]) -> str:
        body = (root / match[2]).read_text(encoding="utf-8").strip()
        return f"{match[1]}{body}\n{match[3]}"

    return MARKED.sub(table, text)


def main() -> int:
    stale = []
    for document in DOCUMENTS:
        path = ROOT / document
        old = path.read_text(encoding="utf-8")
        new = filled(old)
        if new != old:
            stale.append(document)
        if "--check" not in sys.argv[1:]:
            write_whole(path, new.encode())
    if "--check" in sys.argv[1:]:
        print(f"stale: {', '.join(stale)}: run tools/tables.py" if stale else "up to date")
        return int(bool(stale))
    return 0


if __name__ == "__main__":
    sys.exit(main())
