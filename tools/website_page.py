"""One page of the website: a notebook, a text or a source file as HTML."""

from __future__ import annotations

import html
import re
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, unquote

import mistune
import nbformat
from nbconvert.filters import ansi2html
from nbconvert.filters.markdown_mistune import MathBlockParser, MathInlineParser
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer, TextLexer, get_lexer_by_name, get_lexer_for_filename
from pygments.util import ClassNotFound
from website_math import formula

from vqlab.codec.packing import unpack


class Places(Protocol):
    """What a page asks of the site: its root, where a file is, which codec it has."""

    root: Path
    identity: bytes

    def place(self, target: Path, seen_from: Path) -> str: ...


class Renderer(mistune.HTMLRenderer):
    """Markdown to HTML: formulas as MathML, headings with their anchors, links to our pages."""

    def __init__(self, page: Page) -> None:
        super().__init__(escape=False)
        self.page = page

    def heading(self, text: str, level: int, **attrs: object) -> str:
        plain = html.unescape(re.sub(r"<annotation.*?</annotation>|<[^>]+>", "", text)).strip()
        words = plain.replace(" ", "-")  # as Jupyter does it
        if self.page.path.suffix == ".md":  # as GitHub does it
            words = re.sub(r"[^\w-]", "", words.lower())
        anchor = self.page.anchor(words)
        self.page.headings.append((level, plain, anchor))
        link = f'<a class="anchor" href="#{quote(anchor)}" aria-label="link to here">#</a>'
        return f'<h{level} id="{html.escape(anchor)}">{text} {link}</h{level}>\n'

    def inline_math(self, text: str) -> str:
        return formula(text, block=False)

    def block_math(self, text: str) -> str:
        return formula(text, block=True)

    def latex_environment(self, name: str, body: str) -> str:
        return formula(rf"\begin{{{name}}}{body}\end{{{name}}}", block=True)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        target = self.page.link(url)
        return f'<a href="{html.escape(target)}">{text}</a>' if target else text

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if re.match(r"\w+://", url):  # a badge, for example: its words are enough
            return html.escape(text)
        source = self.page.link(url)
        return f'<img src="{html.escape(source)}" alt="{html.escape(text)}">' if source else text

    def block_html(self, text: str) -> str:
        return self.inline_html(text) + "\n"

    def inline_html(self, text: str) -> str:
        """Markup that stands in the text: as it is, but for where its links lead."""
        return re.sub(r'(?<=\s)(src|href)="([^"]+)"', self._place, text)

    def _place(self, match: re.Match[str]) -> str:
        return f'{match[1]}="{html.escape(self.page.link(html.unescape(match[2])))}"'

    def block_code(self, code: str, info: str | None = None) -> str:
        try:
            lexer = get_lexer_by_name((info or "text").split()[0])
        except ClassNotFound:
            lexer = TextLexer()
        return coloured(code, lexer)

    def table(self, text: str) -> str:
        return f'<div class="wide"><table>{text}</table></div>\n'


def coloured(code: str, lexer: object) -> str:
    return str(highlight(code, lexer, HtmlFormatter(cssclass="code")))


class Page:
    """One file of the project on its way to becoming a page."""

    def __init__(self, site: Places, path: Path) -> None:
        self.site, self.path = site, path
        self.headings: list[tuple[int, str, str]] = []
        self.used: set[str] = set()
        self.players: list[tuple[str, str]] = []  # anchor of the heading above, the player
        self.title = path.relative_to(site.root).as_posix()
        self.body = ""
        inline = MathInlineParser(hard_wrap=False)
        self.markdown = mistune.Markdown(
            Renderer(self), MathBlockParser(), inline, [mistune.import_plugin("table")]
        )

    def anchor(self, wanted: str) -> str:
        anchor, number = wanted, 1
        while anchor in self.used:
            number += 1
            anchor = f"{wanted}-{number}"
        self.used.add(anchor)
        return anchor

    def link(self, url: str) -> str:
        """Where a link of this file leads on the site; "" if what it means is not taken along."""
        if re.match(r"[a-z]+:", url) or url.startswith("#"):
            return url
        name, mark, anchor = url.partition("#")
        target = (self.path.parent / unquote(name)).resolve()
        place = self.site.place(target, self.path)
        return f"{place}{mark}{anchor}" if place else ""

    def write(self) -> None:
        if self.path.suffix == ".ipynb":
            book = nbformat.read(self.path, as_version=4)
            self.body = "".join(self.cells(book))
        elif self.path.suffix == ".md":
            self.body = str(self.markdown(self.path.read_text(encoding="utf-8")))
        else:
            text = self.path.read_text(encoding="utf-8")
            try:
                lexer = get_lexer_for_filename(self.path.name)
            except ClassNotFound:
                lexer = TextLexer()
            self.body = f"<h1>{html.escape(self.title)}</h1>{coloured(text, lexer)}"
        if self.headings and self.path.suffix in (".ipynb", ".md"):
            self.title = self.headings[0][1]

    def cells(self, book: NotebookNode) -> Iterator[str]:
        for cell in book.cells:
            if cell.cell_type == "markdown":
                # Who has this page has no file to upload: without an address that line is no use.
                text = re.sub(r"^\[Open in Colab\]\(.*\n?", "", cell.source, flags=re.MULTILINE)
                try:
                    yield f'<section class="text">{self.markdown(text)}</section>\n'
                except ValueError as error:
                    raise ValueError(f"{self.path.name}, cell {cell.get('id')}: {error}") from error
            elif cell.cell_type == "code":
                code = coloured(cell.source, PythonLexer())
                title = re.match(r"# @title (.*)", cell.source)
                if "bootstrap" in cell.metadata.get("tags", []):
                    code = f"<details><summary>Set-up</summary>{code}</details>"
                elif title and cell.metadata.get("jupyter", {}).get("source_hidden"):
                    code = f"<details><summary>{html.escape(title[1])}</summary>{code}</details>"
                outputs = "".join(self.output(output) for output in cell.outputs)
                shown = f'<div class="outputs">{outputs}</div>' if outputs else ""
                yield f'<section class="cell">{code}{shown}</section>\n'

    def output(self, output: NotebookNode) -> str:
        if output.output_type == "stream":
            return f'<pre class="{output.name}">{ansi2html(output.text)}</pre>'
        if output.output_type == "error":
            return f'<pre class="stderr">{ansi2html(chr(10).join(output.traceback))}</pre>'
        data = output.data
        if "text/html" in data:
            text = str(data["text/html"])
            if text.startswith('<div class="vqlab-player"'):
                text = live(text, self.site.identity)
                self.players.append((self.headings[-1][2], text))
            return text
        for kind in ("image/png", "image/jpeg"):
            if kind in data:
                alt = html.escape(data.get("text/plain", "picture"))
                code = data[kind].replace("\n", "")
                return f'<img src="data:{kind};base64,{code}" alt="{alt}">'
        if "image/svg+xml" in data:
            return str(data["image/svg+xml"])
        if "text/markdown" in data:
            return f'<div class="text">{self.markdown(data["text/markdown"])}</div>'
        return f"<pre>{html.escape(data.get('text/plain', ''))}</pre>"


def live(player: str, identity: bytes) -> str:
    """The player without files of another codec than the site's, whose page could not open them."""

    def kept(match: re.Match[str]) -> str:
        return match[0] if unpack(b64decode(match[1])).identity == identity else ""

    return re.sub(r' data-vql="([^"]*)"', kept, player)


def teaser(page: Page) -> str:
    """The first sentences of "What you will hear", up to about 200 characters."""
    for _, heading, text in sections(page):
        if heading == "What you will hear":
            sentences = re.split(r"(?<=\.) ", text[:1000])
            while len(sentences) > 1 and len(" ".join(sentences)) > 200:
                sentences.pop()
            return html.escape(" ".join(sentences))
    return ""


def sections(page: Page) -> Iterator[tuple[str, str, str]]:
    """Anchor, heading and plain text of each section of a page."""
    parts = re.split(r'(?=<h[1-4] id=")', page.body)
    titles = iter(page.headings)
    for part in parts:
        _, heading, anchor = next(titles) if part.startswith("<h") else (0, page.title, "")
        text = re.sub(r"<(script|style|math|h[1-4])\b.*?</\1>", " ", part, flags=re.DOTALL)
        text = re.sub(r'<img[^>]*?\balt="([^"]*)"[^>]*>', r" \1 ", text)
        text = html.unescape(re.sub(r"</?(span|b|i|em|strong|a|code)\b[^>]*>", "", text))
        text = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", text)).split())
        if text:
            yield anchor, heading, text
