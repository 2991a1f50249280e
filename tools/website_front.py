"""The site's front page: one sound, the way to speak yourself, ten comparisons, the map."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import replace
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
    (0, "change the integers", "One integer of a word changed: which part of the sound moves?"),
    (0, "how many bytes", "The same word in fewer and fewer bytes: when does it stop being clear?"),
    (1, "how many samples", "A sweep sampled too slowly: a tone that rises comes back falling."),
    (1, "how many bits", "A voice in fewer and fewer bits a sample: noise, and why dither helps."),
    (3, "throw away", "Two sounds with their phases swapped: which of them do you hear?"),
    (3, "griffin-lim", "A spectrogram turned back into sound: how many steps until it is speech?"),
    (
        5,
        "axes are wrong",
        "One line of code with its axes wrong: nothing fails, except to your ear.",
    ),
    (7, "listen fairly", "A blind test: can you tell the two apart when no label helps you?"),
    (10, "does it fail", "Where the codec fails: music, two speakers at once, noise."),
    (12, "single code", "The codebook as a keyboard: what does each integer sound like alone?"),
]
"""Notebook, words of a heading in it, and what is heard there."""
PATHS = [
    ("Two hours, from a word to your own codec", (0, 5, 6, 10)),
    ("Sound first", (0, 1, 2, 3)),
    ("All of it", range(13)),
]


def front(pages: Sequence[Page], sounds: Sequence[Clip], codec: Codec) -> str:
    """The body of index.html; `pages` are the notebooks', in order."""
    clip = next(clip for clip in sounds if clip.key == SHOWN)
    data = clip.files[1]
    seconds, whole = len(clip.samples) / codec.sample_rate, 2 * len(clip.samples)
    label = f"{len(data)} bytes"
    decoded = codec.decode(*codec.from_bytes(data))
    player = listen.compare(
        {"Original": clip.samples, label: decoded},
        codec.sample_rate,
        bits={"Original": 8 * whole / seconds, label: 8 * len(data) / seconds},
    )
    player = replace(player, title=f"“{clip.label}”, {seconds:.2f} s: {whole:,} bytes, {label}")
    return (
        "<h1>vqlab: hear a neural codec being built</h1>"
        f"<p>A spoken word goes in, a few integers come out, and a voice comes back: this one "
        f"takes {whole:,} bytes as samples and {len(data)} as integers. Switch while it plays.</p>"
        f'<p><a class="speak" href="codec.html">● Speak yourself</a></p>{player.html}'
        f"<p class='small'>{VOICE}</p>"
        f"<h2>Ten comparisons worth a minute</h2><ol class='ten'>{comparisons(pages)}</ol>"
        "<h2>The series</h2><p>These notebooks build that machine step by step, and you hear every "
        "step. Here you read and listen; to change a number and run a cell again, open them in "
        f'Jupyter (<a href="README.html">how</a>).</p><ul>{paths(pages)}</ul>'
        f'<ol class="contents">{"".join(contents(page) for page in pages)}</ol>'
    )


def comparisons(pages: Sequence[Page]) -> str:
    rows = []
    for number, words, text in COMPARISONS:
        page = pages[number]
        found = [a for level, heading, a in page.headings if words in heading.lower() and level > 1]
        anchor = (found or [page.headings[0][2]])[0]
        rows.append(
            f'<li><a href="{address(page)}#{quote(anchor)}">{text}</a> '
            f"<small>{html.escape(page.title)}</small></li>"
        )
    return "".join(rows)


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
