"""The site's front page: one sound, the way to speak yourself, ten comparisons, the map."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from codec_page import Clip
from website_page import Page, teaser

from vqlab import listen
from vqlab.codec import Codec

SHOWN = "voices_en_hello"
"""The bundled sound of the first screen."""
VOICE = (
    "Voice: Allison Smith, from Asterisk’s core sounds "
    '(<a href="https://creativecommons.org/licenses/by-sa/3.0/">CC BY-SA 3.0</a>); what is made of '
    'it stays under that licence. <a href="data/voices/README.html">All voices</a>.'
)
COMPARISONS = [
    (0, "change one", "One integer of a word changed: which part of the sound moves?"),
    (0, "what you will hear", "A word in fewer and fewer bytes: when does it stop being clear?"),
    (1, "how many samples", "A sweep sampled too slowly: a tone that rises comes back falling."),
    (1, "how many bits", "A voice in fewer and fewer bits a sample: how the noise grows."),
    (3, "become a sound", "Two words with their phases exchanged: which of them do you hear?"),
    (3, "griffin-lim", "A spectrogram turned back into sound: how many steps until it is speech?"),
    (7, "only the bottleneck", "One word through three networks that differ in one layer."),
    (8, "axes are wrong", "One line with its axes wrong: nothing fails, except to your ear."),
    (10, "codecs fail", "Where a codec fails: two people at once, a whisper, an organ."),
    (12, "single code", "The codebook as a keyboard: what does each integer sound like alone?"),
]
"""Notebook, words of a heading in it, and what is heard there: in the first player below it."""
PATHS = [
    ("Two hours, from a word to your own codec", (0, 5, 6, 10)),
    ("Sound first", (0, 1, 2, 3)),
    ("All of it", range(14)),
]


def front(pages: Sequence[Page], sounds: Sequence[Clip], codec: Codec, out: Path) -> str:
    """The body of index.html in the site `out`; `pages` are the notebooks', in order."""
    clip = next(clip for clip in sounds if clip.key == SHOWN)
    data = clip.files[1]
    seconds, whole = len(clip.samples) / codec.sample_rate, 2 * len(clip.samples)
    label = f"{len(data)} bytes"
    decoded = codec.decode(*codec.from_bytes(data))
    player = listen.compare(
        {"Original": clip.samples, label: decoded},
        codec.sample_rate,
        bits={"Original": 8 * whole / seconds, label: 8 * len(data) / seconds},
        files={label: data},
    )
    player = replace(player, title=f"“{clip.label}”, {seconds:.2f} s: {whole:,} bytes, {label}")
    return (
        "<h1>vqlab: hear a neural codec being built</h1>"
        f"<p>A spoken word goes in, a few integers come out, and a voice comes back: this one "
        f"takes {whole:,} bytes as samples and {len(data)} as integers. Switch while it plays.</p>"
        f'<p><a class="speak" href="codec.html">● Speak yourself</a></p>{player.html}'
        f"<p class='small'>{VOICE}</p>"
        f"{comparisons(pages, out)}"
        "<h2>The series</h2><p>These notebooks build that machine step by step, and you hear every "
        "step. Here you read and listen; to change a number and run a cell again, open them in "
        f'Jupyter (<a href="README.html">how</a>).</p><ul>{paths(pages)}</ul>'
        f'<ol class="contents">{"".join(contents(page) for page in pages)}</ol>'
    )


def comparisons(pages: Sequence[Page], out: Path) -> str:
    """Ten rows; the players are written into the folder `comparisons`, and loaded when asked."""
    rows, largest = [], 0
    (out / "comparisons").mkdir()
    for k, (number, words, text) in enumerate(COMPARISONS):
        page = pages[number]
        found = [a for level, heading, a in page.headings if words in heading.lower() and level > 1]
        players = [player for above, player in page.players if above in found[:1]]
        if not players:
            raise ValueError(
                f"{page.path.name} has no player below a heading with {words!r}: change COMPARISONS"
            )
        link = f'<a href="{address(page)}#{quote(found[0])}">'
        table = "self.vqlabComparisons = self.vqlabComparisons || {}"
        line = f"({table})[{k}] = {json.dumps(players[0])};\n"
        (out / f"comparisons/{k}.js").write_text(line, encoding="ascii")
        largest = max(largest, len(line))
        rows.append(
            f'<li><details data-player="{k}"><summary>{text}</summary><div class="sound"></div>'
            f"<p>{link}How it is made: {html.escape(page.title)}</a></p></details></li>"
        )
    return (
        "<h2>Ten comparisons worth a minute</h2><p>Open one to hear it here: each loads at most "
        f"{largest / 1e6:.1f} MB.</p><ol class='ten'>{''.join(rows)}</ol>"
    )


def paths(pages: Sequence[Page]) -> str:
    rows = []
    for name, numbers in PATHS:
        steps = [
            f'<a href="{address(pages[n])}#{quote(pages[n].headings[0][2])}">{n:02}</a>'
            for n in numbers
            if n < len(pages)
        ]
        rows.append(f"<li>{name}: {' → '.join(steps)}</li>")
    return "".join(rows)


def contents(page: Page) -> str:
    parts = [
        f'<a href="{address(page)}#{quote(anchor)}">{html.escape(text)}</a>'
        for level, text, anchor in page.headings
        if level == 2 and re.match(r"\d+ ·", text)
    ]
    minutes = re.search(r"About (\d+) minutes", page.body)
    time = f" <small>{minutes[1]} minutes</small>" if minutes else ""
    return (
        f'<li><a class="notebook" href="{address(page)}">{html.escape(page.title)}</a>{time}'
        f"<div>{teaser(page)}</div>"
        f"<details><summary>{len(parts)} sections</summary>{'<br>'.join(parts)}</details></li>\n"
    )


def address(page: Page) -> str:
    return f"notebooks/{page.path.stem}.html"
