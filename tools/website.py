"""Build the series as a static website in dist/html: no network, no server, no kernel.

    python tools/website.py [FOLDER]

Every notebook becomes a page as it is saved, with its pictures and players; other files of the
project that a page links to come along, recursively. The pages lie as their sources lie in the
project, so links stay as they are but for their endings. Three decisions:

- Formulas become MathML here (latex2mathml), so a page needs no script for them, they can be
  selected and read aloud, and they follow the theme. Browsers need a font with mathematical
  tables to draw them well, and many Linux machines have none: a part of STIX Two Math (Open Font
  License, from the wheel of ziamath) lies beside the pages. A formula that cannot be converted is
  an error, not a raw `$`.
- Searching happens in the browser: search-index.js holds the words of every section.
- The codec itself is a page, codec.html, made by web/codec_page.py; index.html is website_front's.
- A policy in each page forbids requests to other places, so nothing can creep in.
"""

import argparse
import html
import json
import shutil
import sys
from pathlib import Path
from urllib.parse import quote

from pygments.formatters import HtmlFormatter

from vqlab.files import write_whole

ROOT = Path(__file__).resolve().parent.parent
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "web"))
import codec_page  # noqa: E402
from website_front import front  # noqa: E402
from website_math import math_font  # noqa: E402
from website_page import Page, sections  # noqa: E402

LIVE = '<p><a class="speak" href="../codec.html">● Speak to this codec, in your browser</a></p>'
POLICY = {
    "default-src": "'none'",
    "img-src": "'self' file: data:",
    "media-src": "data:",
    "font-src": "'self' file:",
    "style-src": "'self' file: 'unsafe-inline'",
    "script-src": "'self' file: 'unsafe-inline'",
}
PAGES = {".ipynb", ".md", ".py", ".yaml", ".toml", ".txt", ".csv", ".json", ".cff"}  # shown
COPIED = {".png", ".svg", ".jpg", ".wav", ".flac", ".vql"}  # taken along as they are
LARGEST = 2_000_000  # bytes of a file that is taken along because a page links to it


class Site:
    """All pages, and what they draw in."""

    def __init__(self, root: Path, out: Path) -> None:
        self.root, self.out = root, out
        self.pages: dict[Path, Page] = {}
        self.waiting: list[Path] = []
        self.sound = ""  # MB of the decoder, as the codec's page loads it
        self.identity = b""  # of that codec

    def place(self, target: Path, seen_from: Path) -> str:
        """The relative address of a file of the project, which is taken along; "" for others."""
        if not target.is_relative_to(self.root) or not target.is_file():
            return ""
        if target.suffix not in PAGES | COPIED or target.stat().st_size > LARGEST:
            if target.suffix != ".ipynb":
                return ""
        if target not in self.pages and target not in self.waiting:
            self.waiting.append(target)
        steps = "../" * (len(seen_from.relative_to(self.root).parts) - 1)
        return quote(steps + self.name(target))

    def name(self, path: Path) -> str:
        inside = path.relative_to(self.root)
        return (inside.with_suffix(".html") if path.suffix in PAGES else inside).as_posix()

    def build(self) -> None:
        weights = self.root / "data/weights/speech.safetensors"
        codec_body, sounds, codec = codec_page.write(weights, self.root / "data", self.out)
        self.identity = codec.identity()
        self.sound = codec_page.megabytes(self.out / "codec/sound.bin")
        series = sorted((self.root / "notebooks").glob("[0-9]*.ipynb"))
        self.waiting = [*series, self.root / "README.md"]
        while self.waiting:
            path = self.waiting.pop(0)
            if path.suffix in COPIED:
                target = self.out / self.name(path)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, target)
            elif path not in self.pages:
                self.pages[path] = Page(self, path)
                self.pages[path].write()
        for path, page in self.pages.items():
            live = path in series and path.stem[:2] in ("00", "10", "12")
            body = (LIVE if live else "") + page.body
            self.write(self.name(path), page.title, body, page.headings, self.neighbours(path))
        self.write("codec.html", "The codec, live", codec_body, [], "", policy=codec_page.POLICY)
        body = front([self.pages[path] for path in series], sounds, codec, self.out)
        self.write("index.html", "vqlab: hear a neural codec being built", body, [], "")
        self.write_search_index()
        for name in ("website.css", "website.js"):
            style = (HERE / name).read_text(encoding="utf-8")
            if name.endswith("css"):
                style += code_styles()
            write_whole(self.out / name, style.encode())
        text = "".join(page.body for page in self.pages.values())
        write_whole(self.out / "math.woff", math_font(text))

    def neighbours(self, path: Path) -> str:
        """Links to the notebooks before and after this one."""
        series = [page for page in self.pages if page.suffix == ".ipynb"]
        if path not in series:
            return ""
        at = sorted(series).index(path)
        links = []
        for other, sign in ((at - 1, "← {}"), (at + 1, "{} →")):
            if 0 <= other < len(series):
                page = self.pages[sorted(series)[other]]
                name = quote(self.name(page.path).rpartition("/")[2])
                links.append(f'<a href="{name}">{sign.format(html.escape(page.title))}</a>')
        return f'<nav class="neighbours" aria-label="neighbours">{" ".join(links)}</nav>'

    def write(
        self,
        name: str,
        title: str,
        body: str,
        headings: list[tuple[int, str, str]],
        after: str,
        *,
        policy: dict[str, str] | None = None,
    ) -> None:
        up = "../" * name.count("/")
        inside = "".join(
            f'<li><a href="#{quote(anchor)}">{html.escape(text)}</a></li>'
            for level, text, anchor in headings
            if level == 2
        )
        rules = "; ".join(f"{key} {value}" for key, value in (POLICY | (policy or {})).items())
        aside = f'<aside><nav aria-label="on this page"><ul>{inside}</ul></nav></aside>'
        page = (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{rules}">\n'
            '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
            f'<link rel="stylesheet" href="{up}website.css">\n<title>{html.escape(title)}</title>\n'
            f"</head>\n<body data-sound='{self.sound}'>\n"
            f"<header><a class='home' href='{up}index.html'>vqlab · contents</a>\n"
            f'<form role="search" data-up="{up}"><input type="search" name="q" '
            'placeholder="Search (press /)" aria-label="search the series" autocomplete="off">'
            "</form></header>\n"
            f'<div id="found" role="region" aria-label="found" aria-live="polite" hidden></div>\n'
            f'<div class="page">{aside if inside else ""}<main>{body}{after}</main></div>\n'
            f'<script src="{up}website.js" defer></script>\n</body>\n</html>\n'
        )
        target = self.out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, page.encode())

    def write_search_index(self) -> None:
        """A list of sections: address, page, heading, words. A script, since pages on a disk may
        load scripts but not data."""
        entries = []
        for path, page in self.pages.items():
            if path.suffix not in (".ipynb", ".md"):
                continue
            for anchor, heading, text in sections(page):
                at = f"{self.name(path)}#{quote(anchor)}" if anchor else self.name(path)
                entries.append([at, page.title, heading, text])
        data = json.dumps(entries, ensure_ascii=False, separators=(",", ":"))
        write_whole(self.out / "search-index.js", f"window.vqlabIndex={data};\n".encode())


def code_styles() -> str:
    light = HtmlFormatter(style="default", cssclass="code").get_style_defs(".code")
    light += "\n.code .ow { color: #8015c8 }"  # the style's own is too pale on our panels
    dark = HtmlFormatter(style="github-dark", cssclass="code").get_style_defs(".code")
    return f"\n{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


def build(root: Path, out: Path) -> Site:
    """Write the site of the project in `root` into `out`, which is emptied first."""
    if out.exists():
        if not (out / "search-index.js").exists() and any(out.iterdir()):
            raise ValueError(f"{out} holds something else than this website: name another folder")
        shutil.rmtree(out)
    out.mkdir(parents=True)
    site = Site(root.resolve(), out)
    site.build()
    return site


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Build the series as a static website.")
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "dist" / "html")
    out = parser.parse_args(arguments).folder
    try:
        site = build(ROOT, out)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{len(site.pages)} pages, {size / 1e6:.1f} MB: open {out / 'index.html'} in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())
