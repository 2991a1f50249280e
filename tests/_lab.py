"""A real JupyterLab for the tests in a browser, and how they speak with its notebooks."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from _support import HANG, ROOT, missing

FOLDERS = (
    "JUPYTER_CONFIG_DIR",
    "JUPYTER_DATA_DIR",
    "JUPYTER_RUNTIME_DIR",
    "IPYTHONDIR",
    "JUPYTERLAB_WORKSPACES_DIR",
    "JUPYTERLAB_SETTINGS_DIR",
)

READY = """(name) => {
  const shown = window.jupyterapp.shell.currentWidget;
  return shown && shown.context && shown.context.path === name && shown.sessionContext.isReady
    && shown.sessionContext.session && shown.sessionContext.session.kernel;
}"""

IN_KERNEL = """async (code) => {
  const {kernel} = window.jupyterapp.shell.currentWidget.sessionContext.session;
  const future = kernel.requestExecute({code, store_history: false});
  let text = "";
  future.onIOPub = ({content}) => { text += content.text || content.evalue || ""; };
  await future.done;
  return text;
}"""

CLOSE = """async () => {
  const shown = window.jupyterapp.shell.currentWidget;
  await shown.sessionContext.shutdown();
  shown.dispose();
}"""


def chromium(playwright, *arguments):
    """Chromium without a window and without a sandbox, with these command-line arguments."""
    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        missing("no Chromium is installed")
    always = ["--no-sandbox", "--disable-dev-shm-usage"]
    always += ["--autoplay-policy=no-user-gesture-required"]
    return playwright.launch(executable_path=program, args=[*always, *arguments])


def microphone(path: Path) -> list[str]:
    """Arguments for a Chromium whose microphone plays a WAV file again and again."""
    fake = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    return [*fake, f"--use-file-for-fake-audio-capture={path}"]


@contextmanager
def watched(browser, allowed: str, **options: Any) -> Iterator[Any]:
    """A page; at the end there must have been no message, error or request beyond `allowed`."""
    context, bad = browser.new_context(**options), []
    page = context.new_page()
    page.set_default_timeout(1000 * HANG)
    page.on("console", lambda message: bad.append(message.text))
    page.on("pageerror", lambda error: bad.append(str(error)))

    def asked(request):
        if not request.url.startswith((allowed, "data:", "blob:")):
            bad.append(request.url)

    context.on("request", asked)
    yield page
    context.close()
    assert bad == []


def surroundings(home: Path) -> dict[str, str]:
    """Environment variables with which Jupyter keeps all its own files in `home`."""
    inside = {name: str(home / name.lower()) for name in FOLDERS}
    return dict(os.environ, HOME=str(home), PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1") | inside


@contextmanager
def jupyterlab(home: Path, notebooks: Path) -> Iterator[str]:
    """The address of a JupyterLab that shows `notebooks` and keeps its own files in `home`.

    Its pages have `window.jupyterapp`, through which a test can run its commands.
    """
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    command += [f"--port={port}", "--ServerApp.port_retries=0", "--IdentityProvider.token="]
    command += ["--LabApp.news_url=None", "--LabApp.expose_app_in_browser=True"]
    log = home / "log.txt"
    with log.open("w") as file:
        server = subprocess.Popen(
            [*command, f"--ServerApp.root_dir={notebooks}"],
            env=surroundings(home),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        end = time.monotonic() + HANG
        while True:
            try:
                urllib.request.urlopen(f"{address}/api/status", timeout=2).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < end, log.read_text()[-2000:]
                time.sleep(0.2)
        yield address
    finally:
        server.terminate()
        with suppress(subprocess.TimeoutExpired):  # what it still has to do is no concern of a test
            server.wait(HANG)
        server.kill()
        server.wait()


def open_lab(page, address: str) -> list[str]:
    """Show JupyterLab; return the list to which complaints are added.

    A complaint is an error in the console or of the page, or a request to any other machine.
    """
    complaints: list[str] = []
    own = (address, address.replace("http", "ws", 1), "data:", "blob:")

    def asked(url):
        if not url.startswith(own):
            complaints.append(url)

    page.set_default_timeout(1000 * HANG)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("request", lambda request: asked(request.url))
    page.on("websocket", lambda socket: asked(socket.url))
    page.goto(f"{address}/lab?reset", wait_until="commit")
    page.wait_for_function("window.jupyterapp")
    page.evaluate("async () => { await window.jupyterapp.restored; }")
    return complaints


def open_notebook(page, name: str) -> None:
    """Show a notebook and wait until its kernel is ready."""
    command(page, "docmanager:open", path=name)
    page.wait_for_function(READY, arg=name)


def close_notebook(page) -> None:
    """End the shown notebook's kernel and close it unsaved."""
    page.evaluate(CLOSE)


def command(page, name: str, **arguments: str) -> None:
    """Run a command of JupyterLab, such as "notebook:run-all-cells", and wait for its end."""
    page.evaluate(
        "async ([name, args]) => { await window.jupyterapp.commands.execute(name, args); }",
        [name, arguments],
    )


def in_kernel(page, expression: str):
    """The value of an expression in the notebook's kernel."""
    answer = page.evaluate(IN_KERNEL, f"import json; print(json.dumps({expression}))")
    return json.loads(answer)


def wait_in_kernel(page, expression: str, seconds: float = HANG) -> None:
    end = time.monotonic() + seconds
    while not in_kernel(page, f"bool({expression})"):
        if time.monotonic() > end:
            pytest.fail(f"{expression} did not come true in {seconds} s")
        page.wait_for_timeout(100)


def wait_text(page, selector: str, text: str) -> None:
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector).innerText.includes(text)",
        arg=[selector, text],
    )


def count_sounds(page) -> None:
    """Count those that begin from now on: a short one may be over before a slow test looks."""
    page.evaluate("""() => {
      let playing = window.vqlabPlayers.playing;
      window.vqlabBegun = 0;
      Object.defineProperty(window.vqlabPlayers, "playing", {
        configurable: true, // counted anew
        get: () => playing,
        set(one) { playing = one; if (one) window.vqlabBegun++; },
      });
    }""")


def wait_sound(page) -> None:
    """Wait until one has begun since `count_sounds`."""
    page.wait_for_function("() => window.vqlabBegun > 0")


def wait_playing(page, number: int = 0) -> None:
    """Wait until the player with this number in the page sounds."""
    page.wait_for_function(
        "n => { const s = document.querySelectorAll('.vqlab-player')[n].vqlabPlayer.state();"
        " return s.playing && s.time > 0.02; }",
        arg=number,
    )
