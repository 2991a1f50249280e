"""Put the tables that commands made into README.md, so that no figure is typed by hand.

Between ``<!-- table PATH -->`` and ``<!-- end -->`` stands the text of the file PATH.

    python tools/tables.py           rewrite README.md
    python tools/tables.py --check   say whether it is up to date
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MARKED = re.compile(r"(<!-- table (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(text: str, root: Path = ROOT) -> str:
    """``text`` with every marked table as its file has it now."""

    def table(match: re.Match[str]) -> str:
        body = (root / match[2]).read_text(encoding="utf-8").strip()
        return f"{match[1]}{body}\n{match[3]}"

    return MARKED.sub(table, text)


def main() -> int:
    readme = ROOT / "README.md"
    old = readme.read_text(encoding="utf-8")
    new = filled(old)
    if "--check" in sys.argv[1:]:
        stale = old != new
        print("README.md is stale: run tools/tables.py" if stale else "README.md is up to date")
        return int(stale)
    readme.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
