"""codec.js over a folder of clips, in Node and in browsers: how benchmarks/page.py runs it."""

from __future__ import annotations

import functools
import http.server
import json
import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WEB = Path(__file__).resolve().parent.parent / "web"
SCRIPTS = ("codec.js", "runner.js")
MADE = ("sound.js", "voice.js", "kernel.js", "clips.js")


def pages(folder: Path) -> None:
    """Write the pages that run codec.js over a folder's clips: `fast.html`, `plain.html` in plain
    JavaScript, and `sent.html`, which sends the result back to its server."""
    for script in SCRIPTS:
        shutil.copy(WEB / script, folder)
    result = "self.vqlabResult.catch(String)"  # what went wrong is a result, too
    send = f"<script>{result}.then((body) => fetch('result', {{method: 'POST', body}}))</script>"
    for name, plain, last in (
        ("fast", 0, ""),
        ("plain", 1, ""),
        ("sent", 0, send),
    ):
        scripts = "".join(f'<script src="{s}"></script>' for s in ("codec.js", *MADE))
        (folder / f"{name}.html").write_text(
            '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,">'
            f"<script>self.vqlabPlain = {plain}</script>{scripts}"
            f'<script src="runner.js"></script>{last}',
            encoding="ascii",
        )


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


def in_program(command: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    """What codec.js makes of the clips in the browser that a command starts, from a server."""
    sent: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with served(folder, sent) as address:
        address += "/sent.html"
        running = subprocess.Popen([*command, address], **quiet, start_new_session=True)
        try:
            result = sent.get(timeout=1200).decode()
        finally:
            os.killpg(running.pid, signal.SIGTERM)  # with all processes that it has started
            running.wait()
    if not result.startswith("["):
        raise RuntimeError(result)
    return json.loads(result)


def programs(profile: Path) -> dict[str, list[str]]:
    """Commands that start browsers other than Chromium without a window, as far as they are here.

    profile : an empty folder, which Firefox takes for its own files
    """
    found = {}
    firefox = shutil.which("firefox") or shutil.which("firefox-esr")
    if firefox:
        found["Firefox"] = [firefox, "--headless", "--no-remote", "--profile", str(profile)]
    webkit = min(Path("/usr/lib").glob("*/webkit2gtk-4*/MiniBrowser"), default=None)
    display = shutil.which("xvfb-run")  # it cannot do without a window, so it gets one unseen
    if webkit and display:
        found["WebKit"] = [display, "-a", str(webkit)]
    return found


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
