"""A learner's way through 05 in a real JupyterLab: what she writes is what she hears.

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
    wait_playing,
)
from _series import notebook
from _support import ROOT, need
from test_browser_notebooks import BADGE, CELLS, find

from vqlab.lessons import own_file

NEAREST = """def nearest_code(vectors, codebook):
    return torch.cdist(vectors, codebook).argmin(dim=1)
"""

# What the cell with this id shows, as text.
SHOWN = """(id) => {
  const {widgets} = window.jupyterapp.shell.currentWidget.content;
  return widgets.find((cell) => cell.model.id === id).outputArea.node.innerText;
}"""


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A folder with the notebook, without outputs; her file will lie beside it."""
    nbformat = need("nbformat")
    folder = tmp_path_factory.mktemp("learner") / "notebooks"
    folder.mkdir()
    bare = nbformat.read(notebook("05"), as_version=4)
    for cell in bare.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    nbformat.write(bare, folder / notebook("05").name)
    return folder


@pytest.fixture(scope="module")
def page(browser, series):
    """JupyterLab on that folder; in the end nothing has complained."""
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
    assert [complaint for complaint in complaints if complaint != BADGE] == []


def run(page, *names):
    """Run cells by their ids, one after the other, and what the last one shows."""
    for name in names:
        find(page, name)
        command(page, "notebook:run-cell")
        assert [e for cell, _, errors in page.evaluate(CELLS) if cell == name for e in errors] == []
    return page.evaluate(SHOWN, names[-1])


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


def keep(page, name):
    """A picture of the window, where pictures are asked for."""
    if folder := os.environ.get("VQLAB_SCREENSHOTS"):
        (ROOT / folder).mkdir(parents=True, exist_ok=True)
        page.mouse.move(0, 0)
        page.screenshot(path=ROOT / folder / f"learner_{name}.png")


def test_pieces_are_solved_one_by_one_and_used(page, series):
    """Before, ours; then piece by piece hers, in the cells below and in her file."""
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
    find(page, "nb05-hear-player").locator(".vq-play").click()
    wait_playing(page)
    keep(page, "05_heard")
    close_notebook(page)
