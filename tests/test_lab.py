"""`make lab` as a person meets it: JupyterLab opens, the first notebook runs, its player plays."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest
from _support import HANG, ROOT, missing, need

CELLS = """() => {
  const cells = window.jupyterapp.shell.currentWidget.content.model.cells;
  const code = [...Array(cells.length).keys()].map((i) => cells.get(i))
    .filter((cell) => cell.type === 'code');
  return code.map((cell) => ({
    count: cell.executionCount,
    errors: cell.toJSON().outputs.filter((output) => output.output_type === 'error')
      .map((output) => output.evalue),
  }));
}"""


STATUS = "window.jupyterapp.shell.currentWidget.sessionContext.session?.kernel?.status"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """The address that `make lab` prints, with its token."""
    need("make")
    environment_folder = Path(sys.prefix)
    if environment_folder.parent != ROOT:
        missing("the tests do not run in the environment that `make lab` uses")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    home = tmp_path_factory.mktemp("home")
    config = home / "config"
    config.mkdir()
    settings = {"LabApp": {"expose_app_in_browser": True}}
    (config / "jupyter_lab_config.json").write_text(json.dumps(settings))
    environment = dict(os.environ, JUPYTER_CONFIG_DIR=str(config), VENV=environment_folder.name)
    log = home / "log.txt"
    with log.open("w") as file:
        server = subprocess.Popen(
            ["make", "lab", f"PORT={port}", "BROWSER=no"], cwd=ROOT, env=environment,
            stdout=file, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    try:
        end = time.monotonic() + HANG
        while not (found := re.search(r"http://\S+\?token=\w+", log.read_text())):
            assert server.poll() is None and time.monotonic() < end, log.read_text()[-2000:]
            time.sleep(0.3)
        yield found[0]
    finally:
        os.killpg(server.pid, 15)
        try:
            server.wait(HANG)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, 9)


def test_the_first_notebook_opens_runs_and_plays(browser, lab):
    notebook = ROOT / "notebooks" / "00_start_here.ipynb"
    saved = notebook.read_bytes()
    with closing(browser.new_page(viewport={"width": 1280, "height": 900})) as page:
        page.set_default_timeout(1000 * HANG)
        problems = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        # What is run here must not be saved over the notebook in the checkout.
        page.route(
            re.compile(r"/api/contents/"),
            lambda route: (
                route.abort() if route.request.method in ("PUT", "PATCH") else route.continue_()
            ),
        )
        page.goto(lab, wait_until="commit")
        page.wait_for_selector(".jp-Notebook .vqlab-player[data-ready]")
        assert page.title().startswith("00_start_")

        page.wait_for_function(f"() => {STATUS} === 'idle'")
        # Without the saved outputs, what is found afterwards was made now.
        run = "command => window.jupyterapp.commands.execute(command)"
        page.evaluate(run, "notebook:clear-all-cell-outputs")
        assert not any(cell["count"] for cell in page.evaluate(CELLS))
        page.evaluate(run, "notebook:run-all-cells")
        page.wait_for_function(
            f"() => ({CELLS})().every((cell) => cell.count) && {STATUS} === 'idle'"
        )
        cells = page.evaluate(CELLS)
        assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))
        assert [error for cell in cells for error in cell["errors"]] == []

        page.evaluate("() => window.jupyterapp.shell.currentWidget.content.scrollToItem(0)")
        page.wait_for_selector(".jp-Notebook .vqlab-player[data-ready]")
        player = page.locator(".vqlab-player[data-ready]").first
        player.locator(".vq-play").click()
        page.wait_for_function(
            "() => window.vqlabPlayers.playing && window.vqlabPlayers.playing.state().time > 0.05"
        )
        before = player.evaluate("root => root.vqlabPlayer.state()")
        player.locator(".vq-choice").nth(1).click()
        after = player.evaluate("root => root.vqlabPlayer.state()")
        assert (before["version"], after["version"]) == (0, 1)
        assert problems == []
        if picture := os.environ.get("VQLAB_SCREENSHOT"):
            page.screenshot(path=picture)
    assert notebook.read_bytes() == saved
