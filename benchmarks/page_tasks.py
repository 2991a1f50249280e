"""The longest task on the main thread of the codec's page while it is used.

    python benchmarks/page_tasks.py [--codec FILE]

The page is `codec.html` as the site has it, in a Chromium without a window, from a file and from a
server. A word is chosen and one of its integers changed; then the same with a minute of speech.
While a task lasts, the page answers to nothing: the aim is 100 ms.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from browsers import WEB, served
from page import ROOT, WEIGHTS, sounds

from vqlab import audio


def longest(browser: Any, address: str, recording: Path) -> Iterator[tuple[str, float, float]]:
    """What is done in the codec's page, and its main thread's longest task meanwhile, in ms: by the
    processor's time and by the clock, which on a busy machine is longer."""
    page = browser.new_page()
    page.set_default_timeout(600_000)
    chosen = """(label) => !document.getElementById('c-coded').hidden &&
        document.querySelector('#c-versions [aria-checked=true] b').textContent === label"""

    def word() -> None:
        page.get_by_role("button", name="Hello world").click()
        page.get_by_text("Hello world: ").wait_for()

    def change() -> None:
        page.focus(".c-cell[tabindex='0']")
        page.keyboard.press("+")
        page.wait_for_function(chosen, arg="Changed")

    def minute() -> None:
        page.set_input_files("#c-file", recording)
        page.get_by_text(f"{recording.name}: ").wait_for()

    steps: dict[str, Callable[[], object]] = {
        "the page opens": lambda: page.goto(address),
        "a word": word,
        "one of its integers changed": change,
        "a minute of speech": minute,
        "one of its integers changed again": change,
    }
    for name, step in steps.items():
        browser.start_tracing(page=page, categories=["disabled-by-default-devtools.timeline"])
        step()
        page.wait_for_timeout(1000)
        events = json.loads(browser.stop_tracing())["traceEvents"]
        main = [e["tid"] for e in events if e.get("args", {}).get("name") == "CrRendererMain"]
        tasks = [e for e in events if e["name"] == "RunTask" and e["tid"] in main]
        longest = max(tasks, key=lambda e: e.get("tdur", 0))
        yield name, longest["tdur"] / 1000, longest["dur"] / 1000
    page.close()


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--codec", type=Path, default=WEIGHTS)
    options = parser.parse_args(arguments)
    sys.path[:0] = [str(WEB), str(ROOT / "tests")]
    import codec_page
    from _lab import chromium
    from playwright.sync_api import sync_playwright

    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as running:
        folder, browser = Path(name), chromium(running.chromium)
        voices = [x for clip, x in sounds(80) if "/" in clip]
        body, _, codec = codec_page.write(options.codec, ROOT / "data", folder)
        audio.save(folder / "minute.wav", torch.cat(voices)[:950_000], codec.sample_rate)
        shell = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'
        (folder / "codec.html").write_text(shell + body, encoding="utf-8")
        with served(folder) as address:
            for place in (folder.as_uri(), address):
                found = longest(browser, f"{place}/codec.html", folder / "minute.wav")
                for what, processor, clock in found:
                    print(
                        f"{place.partition(':')[0]}, {what}: longest task {processor:.0f} ms of "
                        f"the processor, {clock:.0f} by the clock"
                    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
