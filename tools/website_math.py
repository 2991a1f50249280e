"""Formulas of the website: TeX to MathML, and the font that draws them."""

import html
import io
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from latex2mathml.converter import convert

# What latex2mathml does not read, in words that it reads.
READS = (
    (r"\\operatorname\*?\{([^{}]*\\,[^{}]*)\}", r"\\mathrm{\1}"),
    (r"\\operatorname\*", r"\\operatorname"),
    (r"\\arg(?![a-z])", r"\\operatorname{arg}"),
    (r"\\(begin|end)\{aligned\}", r"\\\1{split}"),
    (r"\\([lr])floor(?![a-z])", r"\\\1floor "),
)
# Code points of A, a, 0 in the alphabets that browsers no longer choose by an attribute.
ALPHABETS = {
    "sans-serif": (0x1D5A0, 0x1D5BA, 0x1D7E2),
    "bold": (0x1D400, 0x1D41A, 0x1D7CE),
    "double-struck": (0x1D538, 0x1D552, 0x1D7D8),
    "monospace": (0x1D670, 0x1D68A, 0x1D7F6),
}
GREEK_BOLD_ITALIC = 0x1D736 - 0x3B1  # from alpha
SIDES = {"left": "start", "right": "end", "center": "center"}


@cache
def formula(tex: str, *, block: bool) -> str:
    r"""A formula as MathML, with its TeX as annotation.

    Raises ValueError, naming the formula, when something in it cannot be converted.

    >>> "<mi>K</mi>" in formula("K", block=False)
    True
    """
    text = tex.strip()
    for pattern, word in READS:
        text = re.sub(pattern, word, text)
    try:
        result = convert(text, xmlns="", display="block" if block else "inline")
        math = ElementTree.fromstring(result)
    except Exception as error:
        raise ValueError(f"cannot convert the formula {tex!r}: {error!r}") from error
    left = "".join(math.itertext())
    if re.search(r"[\\$&]", left) or "<mo />" in result or 'linebreak="newline"' in result:
        raise ValueError(f"cannot convert the formula {tex!r}: {left!r} is left")
    tidy(math)
    inner = "".join(ElementTree.tostring(child, encoding="unicode") for child in math)
    note = f'<annotation encoding="application/x-tex">{html.escape(tex.strip())}</annotation>'
    kind = ' display="block"' if block else ""
    return f"<math{kind}><semantics><mrow>{inner}</mrow>{note}</semantics></math>"


def tidy(element: Element) -> None:
    """What browsers need to draw it as TeX does: letters of other alphabets, spaces, alignment."""
    for child in element:
        tidy(child)
        if child.tag == "mo" and re.fullmatch("[A-Za-z]{2,}", child.text or ""):
            child.tag = "mi"
        elif child.tag == "mo" and child.text in ("|", "\u2016") and "form" not in child.attrib:
            # A bar in a row: as high as a letter, without the spaces of an operator.
            child.attrib |= {"stretchy": "false", "lspace": "0", "rspace": "0"}
        elif child.text == "~":
            child.tag, child.text = "mo", "\u223c"
        elif child.tag == "mtable" and child.get("columnspacing", "").startswith("0em"):
            for cell in child.iter("mtd"):
                cell.set("style", cell.get("style", "") + ";padding-inline:0")
        elif child.tag == "mspace" and child.get("width") == "negativethinmathspace":
            child.set("width", "-0.167em")
        elif child.tag == "mtd" and "columnalign" in child.attrib:
            side = child.attrib.pop("columnalign")
            child.set("style", f"justify-items:{SIDES[side]};text-align:{side}")
        variant = child.get("mathvariant", "normal")
        if variant != "normal" and child.text:
            child.text = in_alphabet(child.text, variant)
            del child.attrib["mathvariant"]
    if element.tag in ("math", "mrow", "mtd", "mstyle"):
        element[:] = spaced(joined(list(element)))


def joined(row: list[Element]) -> list[Element]:
    """RMS as one word; latex2mathml gives three upright letters."""
    new: list[Element] = []
    for element in row:
        word = element.tag == "mi" and element.get("mathvariant") == "normal"
        if word and new and "joined" in new[-1].attrib:
            new[-1].text = (new[-1].text or "") + (element.text or "")
            continue
        if word:
            element.set("joined", "")
        new.append(element)
    for element in new:
        if element.attrib.pop("joined", None) is not None and len(element.text or "") > 1:
            del element.attrib["mathvariant"]  # several letters stand upright anyway
            element.set("class", "word")
    return new


def spaced(row: list[Element]) -> list[Element]:
    """A thin space between the name of a function and a neighbour that is no sign."""
    new: list[Element] = []
    for element in row:
        before = new[-1] if new else None
        if before is not None and (is_function(element) or is_function(before)):
            other = before if is_function(element) else element
            if other.tag not in ("mo", "mspace") or other.text in ("|", "\u2016"):
                new.append(Element("mspace", width="0.167em"))
        new.append(element)
    return new


def is_function(element: Element) -> bool:
    """log, min with its index, sg: the name of a function."""
    if element.tag in ("msub", "msup", "msubsup", "munder") and len(element):
        element = element[0]
    name = bool(re.fullmatch("[A-Za-z]{2,}", element.text or ""))
    return element.tag == "mi" and name and element.get("class") != "word"


def in_alphabet(text: str, variant: str) -> str:
    """
    >>> in_alphabet("H", "sans-serif"), in_alphabet("x2", "bold")
    ('𝖧', '𝐱𝟐')
    """
    if variant == "bold-italic" and len(text) == 1 and "α" <= text <= "ω":
        return chr(ord(text) + GREEK_BOLD_ITALIC)
    starts = ALPHABETS.get(variant.removesuffix("-italic"), ())
    letters = ""
    for letter in text:
        for first, last, start in zip("Aa0", "Zz9", starts, strict=False):
            if first <= letter <= last:
                letter = chr(ord(letter) + start - ord(first))
                break
        letters += letter
    return letters


def math_font(pages: str) -> bytes:
    """The part of STIX Two Math that the formulas in `pages` need, as WOFF.

    The subset keeps the tables by which brackets and roots grow, and the font's own copyright and
    licence (SIL Open Font License 1.1).
    """
    from fontTools import subset, ttLib

    texts = re.findall(r"<math.*?</math>", pages, flags=re.DOTALL)
    used = set(html.unescape(re.sub(r"<annotation.*?</annotation>|<[^>]+>", "", "".join(texts))))
    italic = {chr(code) for code in range(0x1D434, 0x1D468)} | {"\u210e"}
    greek = {chr(code) for code in range(0x1D6E2, 0x1D71C)}
    drawn = set("\u221a\u203e\u23de\u23df")  # roots, bars and braces that no text contains
    latin = {chr(code) for code in range(0x20, 0x7F)}
    options = subset.Options(name_IDs=["*"], flavor="woff", layout_features=["*"])
    options.drop_tables += ["DSIG"]
    ziamath = find_spec("ziamath")  # only its font is wanted, so it is not imported
    if ziamath is None or ziamath.origin is None:
        raise ValueError("the font of the formulas is missing: install ziamath")
    data = (Path(ziamath.origin).parent / "fonts/STIXTwoMath-Regular.ttf").read_bytes()
    font = ttLib.TTFont(io.BytesIO(data), recalcTimestamp=False)
    chooser = subset.Subsetter(options)
    chooser.populate(text="".join(used | drawn | italic | greek | latin))
    chooser.subset(font)
    font.flavor = "woff"
    memory = io.BytesIO()
    font.save(memory)
    return memory.getvalue()
