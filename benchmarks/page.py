"""The codec of the page (web/codec.js) beside the package: same bytes, same sound, how fast.

    python benchmarks/page.py [--clips 80] [--plain] [--firefox firefox-esr]

Files are made by Python and by codec.js from the same samples, at four rates: of words, voices,
silence and noise, of 6 ms, 10 s and 14 s. Then both decode Python's file of 1 kbit/s, with the
weights as they are and with the decoder at 8 bits. codec.js runs in a Chromium without a window,
from a file and from a server; `--plain` denies it WebAssembly. Times are sums over all clips, and
Python computes with one thread. Last, the page itself (`codec.html`): the longest task on its main
thread while a word is chosen, one of its integers changed, and the same with a minute of speech.
"""

from __future__ import annotations

import argparse
import base64
import functools
import http.server
import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vqlab import audio, spectral
from vqlab.codec import Codec

ROOT = Path(__file__).resolve().parent.parent
WEB = ROOT / "web"
WEIGHTS = ROOT / "data/weights/speech.safetensors"
RATES = (0.5, 0.8, 1.0, 1.5)
"""kbit/s of the files; the third is decoded."""
SCRIPTS = ("codec.js", "runner.js")
MADE = ("sound.js", "voice.js", "kernel.js", "clips.js")


@dataclass(frozen=True)
class Clip:
    """A sound and what Python makes of it."""

    name: str
    samples: Tensor
    files: list[bytes]
    sound: Tensor


def sounds(count: int) -> Iterator[tuple[str, Tensor]]:
    """`count` sounds by name, of whole numbers of 16 bits: the odd ones first, then recordings."""
    voices = sorted((ROOT / "data/voices").glob("*/*.flac"))
    words = sorted((ROOT / "data/words").glob("*/*.flac"))
    noise = torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    several = torch.cat([audio.load(path, sample_rate=16_000)[0] for path in voices[:12]])
    odd = {
        "silence": torch.zeros(16_000),
        "noise": 0.1 * noise,
        "soft noise": 0.001 * noise,
        "6 ms": 0.1 * noise[:96],
        "1 sample": 0.1 * noise[:1],
        "10 s": several[:160_000],
        "14 s": several[:224_000],
    }
    for name, waveform in list(odd.items())[:count]:
        yield name, whole(waveform)
    paths = [
        path for pair in zip(voices, words[:: len(words) // 60], strict=False) for path in pair
    ]
    paths += words[1 :: len(words) // 60]
    for path in paths[: max(0, count - len(odd))]:
        yield f"{path.parent.name}/{path.stem}", whole(audio.load(path, sample_rate=16_000)[0])


def whole(waveform: Tensor) -> Tensor:
    """The waveform in steps of 1 / 32768."""
    return (waveform * 32768).round().clamp(-32768, 32767) / 32768


def prepare(
    folder: Path, codec: Codec, named: Sequence[tuple[str, Tensor]]
) -> tuple[list[Clip], dict[str, float]]:
    """Write the page's clips into `folder`; what Python makes of them, and its seconds."""
    clips, seconds = [], {"encoding": 0.0, "decoding": 0.0}
    for name, waveform in named:
        start = time.perf_counter()
        found = codec.analysis(waveform)
        files = [found.compress(kbps) for kbps in reversed(RATES)][::-1]  # one search serves all
        middle = time.perf_counter()
        sound = codec.decode(*codec.from_bytes(files[2]))
        seconds["encoding"] += middle - start
        seconds["decoding"] += time.perf_counter() - middle
        clips.append(Clip(name, waveform, files, sound))
    given = [
        {
            "samples": text((clip.samples * 32768).numpy().astype("<i2").tobytes()),
            "rates": RATES,
            "heard": text(clip.files[2]),
        }
        for clip in clips
    ]
    (folder / "clips.js").write_text(f"self.vqlabClips = {json.dumps(given)};\n", encoding="ascii")
    for name in SCRIPTS:
        shutil.copy(WEB / name, folder)
    return clips, seconds


def pages(folder: Path) -> None:
    """Write pages that run codec.js over the clips: `fast.html`, `plain.html` in plain JS, and
    `sent.html`, which sends the result back to its server."""
    send = "<script>fetch('result', {method: 'POST', body: self.vqlabResult})</script>"
    for name, plain, last in (("fast", 0, ""), ("plain", 1, ""), ("sent", 0, send)):
        scripts = "".join(f'<script src="{s}"></script>' for s in ("codec.js", *MADE))
        (folder / f"{name}.html").write_text(
            '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'
            f"<script>self.vqlabPlain = {plain}</script>{scripts}"
            f'<script src="runner.js"></script>{last}',
            encoding="ascii",
        )


def text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def in_node(folder: Path, *, plain: bool = False) -> list[dict[str, Any]]:
    """What codec.js makes of the clips in Node."""
    command = ["node", "runner.js", str(folder), *(["plain"] if plain else [])]
    subprocess.run(command, cwd=WEB, check=True)
    return json.loads((folder / "result.json").read_text())


def in_browser(browser: Any, address: str) -> list[dict[str, Any]]:
    """What codec.js makes of the clips in a page of a browser that Playwright drives."""
    page = browser.new_page()
    page.set_default_timeout(600_000)
    page.goto(address)
    found = page.evaluate("self.vqlabResult")
    page.close()
    return json.loads(found)


def in_firefox(program: str, folder: Path) -> list[dict[str, Any]]:
    """What codec.js makes of the clips in a Firefox without a window, from a server."""
    sent: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    with served(folder, sent) as address, tempfile.TemporaryDirectory() as profile:
        command = [program, "--headless", "--no-remote", "--profile", profile]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        firefox = subprocess.Popen([*command, f"{address}/sent.html"], **quiet)
        try:
            return json.loads(sent.get(timeout=1200))
        finally:
            firefox.terminate()
            firefox.wait()


@contextmanager
def served(folder: Path, sent: queue.SimpleQueue[bytes] | None = None) -> Iterator[str]:
    """The address of a server of `folder`; what pages post is put into `sent`."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(204)
            self.end_headers()
            if sent is not None:
                sent.put(data)

    handler = functools.partial(Quiet, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()


def different(clips: Sequence[Clip], found: Sequence[dict[str, Any]]) -> list[str]:
    """Clips and rates whose files are not Python's, or do not come back as they were."""
    wrong = []
    for clip, mine in zip(clips, found, strict=True):
        for kbps, file, other in zip(RATES, clip.files, mine["files"], strict=True):
            if text(file) != other or not mine["again"]:
                wrong.append(f"{clip.name} at {kbps:g} kbit/s")
    return wrong


def apart_db(clip: Clip, found: dict[str, Any], codec: Codec) -> float:
    """Mean difference in dB between the log-mel spectrograms of both decoded sounds."""
    sound = torch.from_numpy(np.frombuffer(base64.b64decode(found["sound"]), "<f4").copy())
    if len(sound) != len(clip.sound):
        raise ValueError(f"{clip.name}: {len(sound)} samples, not {len(clip.sound)}")
    mels = [spectral.log_mel(x, codec.features.config) for x in (sound, clip.sound)]
    return float((mels[0] - mels[1]).abs().mean())


def page_tasks(browser: Any, address: str, recording: Path) -> Iterator[tuple[str, float, float]]:
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


def report(
    title: str,
    clips: Sequence[Clip],
    found: Sequence[dict[str, Any]],
    codec: Codec,
    python: dict[str, float],
) -> None:
    """Print how far what a browser made is from Python's, and the times of both."""
    seconds = sum(len(clip.samples) for clip in clips) / codec.sample_rate
    wrong = different(clips, found)
    apart = [apart_db(*pair, codec) for pair in zip(clips, found, strict=True)]
    print(
        f"{title}: {len(wrong)} files differ {wrong or ''}; sound {np.mean(apart):.4f} dB apart, "
        f"at most {max(apart):.4f}"
    )
    for work in ("encoding", "decoding"):
        mine = sum(one[work] for one in found)
        print(
            f"  {work}: {mine / seconds:.3f} s for a second, Python "
            f"{python[work] / seconds:.3f}, ratio {mine / python[work]:.2f}"
        )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clips", type=int, default=80)
    parser.add_argument("--plain", action="store_true", help="without WebAssembly")
    parser.add_argument("--firefox", metavar="PROGRAM", help="run it in this Firefox, too")
    options = parser.parse_args(arguments)
    sys.path[:0] = [str(WEB), str(ROOT / "tests")]
    import codec_page
    from _lab import chromium
    from export import export
    from playwright.sync_api import sync_playwright

    torch.set_num_threads(1)
    codec = Codec.load(WEIGHTS)
    with tempfile.TemporaryDirectory() as name, sync_playwright() as running:
        folder, browser = Path(name), chromium(running.chromium)
        clips, python = prepare(folder, codec, list(sounds(options.clips)))
        pages(folder)
        page = "plain.html" if options.plain else "fast.html"
        seconds = sum(len(clip.samples) for clip in clips) / codec.sample_rate
        print(f"{len(clips)} sounds, {seconds:.0f} s, {len(clips) * len(RATES)} files")
        with served(folder) as address:
            for bits, place in ((16, folder.as_uri()), (16, address), (8, address)):
                export(WEIGHTS, folder, bits=bits)
                report(
                    f"{place.partition(':')[0]}, decoder at {bits} bits",
                    clips,
                    in_browser(browser, f"{place}/{page}"),
                    codec,
                    python,
                )
            if options.firefox:
                export(WEIGHTS, folder, bits=16)
                found = in_firefox(options.firefox, folder)
                report("Firefox, decoder at 16 bits", clips, found, codec, python)
            voices = [x for clip, x in sounds(80) if "/" in clip]
            audio.save(folder / "minute.wav", torch.cat(voices)[:950_000], codec.sample_rate)
            body, *_ = codec_page.write(WEIGHTS, ROOT / "data", folder)
            shell = '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'
            (folder / "codec.html").write_text(shell + body, encoding="utf-8")
            for place in (folder.as_uri(), address):
                found = page_tasks(browser, f"{place}/codec.html", folder / "minute.wav")
                for what, processor, clock in found:
                    print(
                        f"{place.partition(':')[0]}, {what}: longest task {processor:.0f} ms of "
                        f"the processor, {clock:.0f} by the clock"
                    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
