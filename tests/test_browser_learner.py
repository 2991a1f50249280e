"""A learner's way through 05, 06 and 10 in a real JupyterLab: what she writes is what she hears.

With VQLAB_SCREENSHOTS=FOLDER in the environment pictures of each stop are left there.
"""

import os

import pytest
from _lab import (
    chromium,
    close_notebook,
    command,
    in_kernel,
    jupyterlab,
    open_lab,
    open_notebook,
    wait_in_kernel,
)
from _series import notebook
from _support import ROOT, need
from test_browser_notebooks import BADGE, CELLS, find

from vqlab import lessons
from vqlab.lessons import own_file

NEAREST = """def nearest_code(vectors, codebook):
    return torch.cdist(vectors, codebook).argmin(dim=1)
"""

# What the cell with this id shows, as text; false while what it has is not drawn yet.
SHOWN = """(id) => {
  const {widgets} = window.jupyterapp.shell.currentWidget.content;
  const cell = widgets.find((cell) => cell.model.id === id);
  const text = cell.outputArea.node.innerText.trim();
  return (text || cell.model.outputs.length === 0) && {text};
}"""

# Code cells above the one with this id that have not run.
WAITING = """(id) => {
  const {widgets} = window.jupyterapp.shell.currentWidget.content;
  return widgets.slice(0, widgets.findIndex((cell) => cell.model.id === id))
    .filter((cell) => cell.model.type === "code" && !cell.model.executionCount)
    .map((cell) => cell.model.id);
}"""

# Whether the player in the cell with this id sounds.
PLAYS = """(id) => {
  const player = document.querySelector(`[data-cell="${id}"] .vqlab-player`);
  const state = player.vqlabPlayer.state();
  return state.playing && state.time > 0.02;
}"""

SHORTER = {
    "nb06-imports": ("300 if FAST else 1500", "10"),
    "nb06-s7-start": ("minutes=20", '"words", minutes=20'),
}
"""What she changes in a cell before she runs it."""

LONG = 1200
"""Seconds until a minute of training surely is over: it has low priority, and others may run."""


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A folder with three notebooks without outputs; her file will lie beside them."""
    nbformat = need("nbformat")
    folder = tmp_path_factory.mktemp("learner") / "notebooks"
    folder.mkdir()
    for number in ("05", "06", "10"):
        bare = nbformat.read(notebook(number), as_version=4)
        for cell in bare.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
            if cell.id in SHORTER:
                assert SHORTER[cell.id][0] in cell.source
                cell.source = cell.source.replace(*SHORTER[cell.id])
        nbformat.write(bare, folder / notebook(number).name)
    return folder


@pytest.fixture(scope="module")
def page(browser, series):
    """JupyterLab on that folder; in the end nothing has complained, and nothing trains."""
    need("jupyterlab")
    own = chromium(browser.browser_type)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("VQLAB_MY_CODEC", "VQLAB_TRAINING", "VQLAB_DATA"):
            patch.delenv(name, raising=False)
        with jupyterlab(series.parent, series) as address:
            page = own.new_page(viewport={"width": 1280, "height": 860})
            page.route(BADGE, lambda route: route.fulfill(content_type="image/svg+xml", body=""))
            complaints = open_lab(page, address)
            yield page
            own.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VQLAB_MY_CODEC", str(series / "my_codec.py"))
        assert not lessons.training().stop().running
    assert [complaint for complaint in complaints if complaint != BADGE] == []


def shown(page, name):
    """What a cell shows, once it is drawn: out of sight it is not."""
    find(page, name)
    return page.wait_for_function(SHOWN, arg=name).json_value()["text"]


def run(page, *names):
    """Run cells by their ids, one after the other, and what the last one shows."""
    for name in names:
        find(page, name)
        command(page, "notebook:run-cell")
        assert [e for cell, _, errors in page.evaluate(CELLS) if cell == name for e in errors] == []
    return shown(page, names[-1])


def run_above(page, name):
    """Run what stands above a cell; nothing goes wrong, and nothing is left out."""
    find(page, name)
    command(page, "notebook:run-all-above")
    assert [errors for _, _, errors in page.evaluate(CELLS) if errors] == []
    assert page.evaluate(WAITING, name) == []


def write(page, name, text):
    """Put a text in the place of what stands in a cell, by the keyboard."""
    find(page, name).locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)


def restart(page):
    """A new kernel for the shown notebook, without a question."""
    page.evaluate(
        "async () => { await window.jupyterapp.shell.currentWidget.sessionContext.session"
        ".kernel.restart(); }"
    )


def play(page, name, chosen=""):
    """Choose a sound in a cell's player and start it; it sounds."""
    player = find(page, name).locator(".vqlab-player")
    if chosen:
        player.locator(".vq-choice", has_text=chosen).first.click()
    player.locator(".vq-play").click()
    page.wait_for_function(PLAYS, arg=name)


def keep(page, name):
    """A picture of the window, where pictures are asked for."""
    if folder := os.environ.get("VQLAB_SCREENSHOTS"):
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
        page.mouse.move(0, 0)
        page.screenshot(path=ROOT / folder / f"learner_{name}.png")


def test_pieces_are_solved_one_by_one_and_used(page, series):
    """05: before, ours; then piece by piece hers, in the cells below and in her file."""
    open_notebook(page, notebook("05").name)
    above = ("imports", "six-points", "step1", "step1-run", "step2", "step2-run")
    run(page, *(f"nb05-{name}" for name in above))
    unsolved = run(page, "nb05-stub-nearest-code", "nb05-check-nearest-code")
    assert "not attempted yet" in unsolved
    assert "ours, until yours passes" in run(page, "nb05-mine-nearest-code")
    assert in_kernel(page, "nearest_code.__code__.co_filename").endswith("my_codec.py")
    run(page, "nb05-one-hot", "nb05-step3-run")

    wrong = NEAREST.replace("argmin", "argmax")
    write(page, "nb05-stub-nearest-code", wrong)
    told = run(page, "nb05-stub-nearest-code", "nb05-check-nearest-code")
    assert "the smallest distance is wanted" in told and not (series / "my_codec.py").exists()
    keep(page, "05_hint")
    reference = own_file.reference()[1]
    texts = {"nearest-code": NEAREST} | {
        name: reference[f"05-{name}"].text for name in ("straight-through", "vq-layer", "residual")
    }
    for name, text in texts.items():
        write(page, f"nb05-stub-{name}", text)
        told = run(page, f"nb05-stub-{name}", f"nb05-check-{name}")
        assert f"Passed: 05-{name}; it is in my_codec.py." in told
        assert f"05-{name}: yours." in run(page, f"nb05-mine-{name}")
        assert f"# --- 05-{name} --- yours" in (series / "my_codec.py").read_text()
    assert "ipykernel" in in_kernel(page, "nearest_code.__code__.co_filename")
    run(page, "nb05-step3-run")
    keep(page, "05_passed")

    restart(page)
    run(page, "nb05-imports", "nb05-load")
    assert "05-vq-layer: yours, from my_codec.py." in run(page, "nb05-hear-train")
    cells = "VectorQuantizer.forward.__globals__['nearest_code'].__code__.co_names"
    assert "cdist" in in_kernel(page, cells)  # her layer finds by her function
    run(page, "nb05-hear-player")
    play(page, "nb05-hear-player")
    keep(page, "05_heard")
    close_notebook(page)


def test_training_outlives_the_kernel_and_newer_versions_are_heard(page):
    """06: her training goes on without her kernel; the player gains a version, then another."""
    open_notebook(page, notebook("06").name)
    run_above(page, "nb06-s7-state")
    assert "05-residual: yours, from my_codec.py." in shown(page, "nb06-pieces")
    assert "ours, until yours passes" in shown(page, "nb06-mine-loop")
    assert "Training runs" in shown(page, "nb06-s7-start")
    process = in_kernel(page, "lessons.training().state['process']")
    assert "2,000 steps, ours" in run(page, "nb06-s7-versions")
    keep(page, "06_started")
    restart(page)
    run_above(page, "nb06-s7-download")
    assert in_kernel(page, "lessons.training().state['process']") == process
    wait_in_kernel(page, "lessons.training().kept()", LONG)
    assert not in_kernel(page, "lessons.training().stop().running")

    assert "Training is stopped" in run(page, "nb06-s7-state")
    first = run(page, "nb06-s7-versions")
    assert "1 min" in first and "1.2 min" not in first
    write(page, "nb06-s7-start", 'lessons.start_training("words", minutes=1.2)')
    assert "Training runs" in run(page, "nb06-s7-start")
    wait_in_kernel(page, "not lessons.training().running", LONG)
    assert "versions after minute: 1, 1.2" in run(page, "nb06-s7-state")
    assert "1.2 min" in run(page, "nb06-s7-curve", "nb06-s7-versions")
    play(page, "nb06-s7-versions", "1.2 min")
    keep(page, "06_newer")
    table = run(page, "nb06-progress")
    assert "4 of 23 pieces are yours" in table and "finished" in table
    keep(page, "06_progress")
    close_notebook(page)


def test_her_file_alone_compresses(page, series):
    """10: the file alone, with her pieces, her weights and ours for the rest."""
    open_notebook(page, notebook("10").name)
    run_above(page, "nb10-alone-run")
    assert "Your codec, 1 min old." in shown(page, "nb10-hear-player")
    assert "4 of 23 pieces are yours" in shown(page, "nb10-fill")
    told = run(page, "nb10-alone-run")
    assert "voice.mine" in told and "back.wav" in told and "Error" not in told
    checked = run(page, "nb10-alone-check")
    assert "the same bytes as here: True" in checked and "damaged" in checked
    keep(page, "10_alone")
    run(page, "nb10-fair-table", "nb10-fair-player")
    play(page, "nb10-fair-player", "yours")
    keep(page, "10_fair")
    close_notebook(page)
    text = (series / "my_codec.py").read_text()
    assert text.count(" --- yours ") == 4 and text.count(" --- ours ") == 19
