"""Notebooks of the series in a real browser: run from end to end, then used as a learner does.

With VQLAB_SCREENSHOTS=docs/screenshots in the environment the pictures there are made again.
"""

import io
import os
from contextlib import contextmanager

import pytest
from _lab import (
    chromium,
    close_notebook,
    command,
    count_sounds,
    in_kernel,
    jupyterlab,
    microphone,
    open_lab,
    open_notebook,
    wait_in_kernel,
    wait_playing,
    wait_sound,
)
from _series import notebook
from _support import ROOT, need
from PIL import Image

from vqlab import audio

SERIES = ("00", "02", "05", "07", "10", "12")
VOICE = ROOT / "data/voices/en/goodbye.flac"  # what the microphone hears
LARGEST = 120_000  # bytes of a picture
# The one picture from outside, in the banners once `make publish` has set an address.
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"

# Makes the cell with this id the active one and brings it in sight.
FIND = """async (id) => {
  const {content} = window.jupyterapp.shell.currentWidget;
  const place = content.widgets.findIndex((cell) => cell.model.id === id);
  if (place < 0) throw new Error("there is no cell " + id);
  content.deselectAll();
  content.activeCellIndex = place;
  await content.scrollToItem(place, "start");
  content.widgets[place].node.dataset.cell = id;
}"""

# Of each code cell: id, number of its run, and what went wrong.
CELLS = """() => window.jupyterapp.shell.currentWidget.content.widgets
  .map((cell) => cell.model.toJSON()).filter((cell) => cell.cell_type === "code")
  .map((cell) => [cell.id, cell.execution_count,
    cell.outputs.filter((o) => o.output_type === "error").map((o) => o.ename + ": " + o.evalue)])"""

# Outputs, and parts of widgets, that are wider than the window leaves room for.
CUT = """() => [...document.querySelectorAll(".jp-OutputArea-output, .vqw-board, .vqw-scroll")]
  .filter((shown) => shown.scrollWidth > shown.clientWidth + 1)
  .map((shown) => shown.innerText.slice(0, 60))"""


@pytest.fixture(scope="module")
def lab(browser, tmp_path_factory):
    """JupyterLab at laptop width on copies without outputs; a list of complaints comes with it."""
    nbformat = need("nbformat")
    need("jupyterlab")
    place = tmp_path_factory.mktemp("series")
    notebooks = place / "notebooks"
    notebooks.mkdir()
    for number in SERIES:
        bare = nbformat.read(notebook(number), as_version=4)
        for cell in bare.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(bare, notebooks / notebook(number).name)
    waveform, rate = audio.load(VOICE)
    audio.save(place / "voice.wav", audio.resample(waveform, rate, 48_000), 48_000)
    own = chromium(browser.browser_type, *microphone(place / "voice.wav"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VQLAB_TRAINING", "off")  # what a cell of 12 starts would outlive the tests
        with jupyterlab(place, notebooks) as address:
            page = own.new_page(viewport={"width": 1280, "height": 860})
            page.route(BADGE, lambda route: route.fulfill(content_type="image/svg+xml", body=""))
            yield page, open_lab(page, address)
            own.close()


@contextmanager
def opened(lab, number):
    """The page with this notebook; nothing may have complained when it is left."""
    page, complaints = lab
    complaints.clear()
    open_notebook(page, notebook(number).name)
    try:
        yield page
    finally:
        close_notebook(page)
    assert [complaint for complaint in complaints if complaint != BADGE] == []


def find(page, name):
    """The cell with this id, active and in sight."""
    page.evaluate(FIND, name)
    return page.locator(f".jp-Cell[data-cell={name}]")


def run_all(page):
    command(page, "notebook:run-all-cells")
    assert_all_ran(page)


def assert_all_ran(page):
    """Each code cell ran once, in order, without an error, and what it shows has room."""
    cells = page.evaluate(CELLS)
    assert [(name, errors) for name, _, errors in cells if errors] == []
    assert [count for _, count, _ in cells] == list(range(1, len(cells) + 1))
    assert page.evaluate(CUT) == []


def value(page, name):
    """Python for what the cell with this id gave."""
    count = next(count for cell, count, _ in page.evaluate(CELLS) if cell == name)
    return f"Out[{count}]"


def centre(thing):
    """x and y of the middle of something that is brought in sight."""
    thing.scroll_into_view_if_needed()
    box = thing.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def picture(page, name, shown, *, dark=False):
    """Keep a picture of the notebook with `shown` in sight, where pictures are asked for."""
    folder = os.environ.get("VQLAB_SCREENSHOTS")
    if not folder:
        return
    page.mouse.move(0, 0)
    page.add_style_tag(content=".Toastify { display: none }")  # JupyterLab asks about its news
    colours(page, "Dark" if dark else "Light")
    shown.scroll_into_view_if_needed()
    panel = Image.open(io.BytesIO(page.locator(".jp-NotebookPanel").screenshot()))
    panel = panel.convert("RGB").quantize(
        256, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE
    )
    path = ROOT / folder / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    panel.save(path, optimize=True)
    assert path.stat().st_size <= LARGEST
    colours(page, "Light")


def colours(page, name):
    """Let JupyterLab have its theme of this name, "Dark" or "Light"."""
    theme = f"JupyterLab {name}"
    command(page, "apputils:change-theme", theme=theme)
    page.wait_for_function("theme => document.body.dataset.jpThemeName === theme", arg=theme)


def test_start_here_plays_and_switches_between_versions(lab):
    with opened(lab, "00") as page:
        run_all(page)
        player = find(page, "nb00-hear-player").locator(".vqlab-player[data-ready]")
        player.locator(".vq-loop").click()  # one second is soon over
        player.locator(".vq-play").click()
        wait_playing(page)
        player.get_by_role("radio").nth(2).click()
        page.wait_for_function(
            "() => { const s = window.vqlabPlayers.playing.state();"
            " return s.version === 2 && s.playing && s.gains[2] > 0.99; }"
        )
        page.keyboard.press("1")
        page.wait_for_function("() => window.vqlabPlayers.playing.state().version === 0")
        player.locator(".vq-play").click()
        page.wait_for_function("() => !window.vqlabPlayers.playing")
        picture(page, "00_player", player)
        picture(page, "00_player_dark", player, dark=True)


def test_a_slider_of_time_and_frequency_draws_another_picture(lab):
    with opened(lab, "02") as page:
        run_all(page)
        cell = find(page, "nb02-s6-slider")
        image, slider = cell.locator("img").first, cell.get_by_role("slider")
        image.wait_for()
        before = image.get_attribute("src")
        slider.focus()
        page.keyboard.press("ArrowRight")
        page.wait_for_function(
            "([cell, before]) => { const image = cell.querySelector('img');"
            " return image && image.src !== before; }",
            arg=[cell.element_handle(), before],
        )
        picture(page, "02_window", slider)


def test_the_vq_layer_follows_a_dragged_point(lab):
    with opened(lab, "05") as page:
        run_all(page)
        plane = find(page, "nb05-s1-move-plane").locator(".vqw-plane")
        point = plane.get_by_role("button", name="point 5 at")
        code = plane.get_by_role("button", name="code 3 at")
        start, end = centre(point.locator(".vqw-dot")), centre(code.locator(".vqw-square"))
        page.mouse.move(*start)
        page.mouse.down()
        page.mouse.move(end[0] + 60, end[1] - 30, steps=8)
        shown = float(plane.locator(".vqw-loss").inner_text())  # at once, the button still down
        page.mouse.up()
        assert "gets code 3" in point.get_attribute("aria-label") and shown != 0.399
        wait_in_kernel(page, f"plane.assignment[5] == 3 and abs(plane.loss - {shown}) < 6e-4")
        picture(page, "05_plane", plane)
        picture(page, "05_plane_dark", plane, dark=True)


def test_a_blind_trial_of_the_ladder_is_answered(lab):
    with opened(lab, "07") as page:
        run_all(page)
        test = find(page, "nb07-s6-abx-run").locator(".vqw-listening")
        test.locator(".vqw-three .vqw-main").click()  # X
        answer = test.get_by_role("button", name="X is A")
        page.wait_for_function("button => !button.disabled", arg=answer.element_handle())
        answer.click()
        wait_in_kernel(page, "blind.answers == ['a'] and blind.trial == 2")
        for key in "abx":
            page.keyboard.press(key)
        page.wait_for_function("button => !button.disabled", arg=answer.element_handle())
        page.keyboard.press("2")
        wait_in_kernel(page, "blind.answers == ['a', 'b'] and blind.right is None")
        picture(page, "07_blind_test", test)


def test_a_voice_from_the_microphone_goes_through_the_whole_notebook(lab):
    with opened(lab, "10") as page:
        find(page, "nb10-mine")
        command(page, "notebook:run-all-above")
        recorder = find(page, "nb10-recorder").locator(".vqw-recording")
        recorder.get_by_role("button", name="Record").click()
        wait_in_kernel(page, "recorder.source == 'microphone'")
        find(page, "nb10-mine")
        command(page, "notebook:run-all-below")
        assert_all_ran(page)
        assert in_kernel(page, "[source, len(voice)]") == ["microphone", 64_000]
        alike = "np.correlate(voice, bundled.waveform).max() / bundled.waveform.square().sum()"
        assert in_kernel(page, f"float({alike})") > 0.3  # 1 where no sample was lost
        picture(page, "10_recorder", find(page, "nb10-recorder"))


def test_codes_are_clicked_and_keys_pressed(lab):
    with opened(lab, "12") as page:
        run_all(page)
        keys = find(page, "nb12-keyboard").locator(".vqw-keys")
        keyboard = value(page, "nb12-keyboard")
        count_sounds(page)
        keys.locator(".vqw-key").nth(3).click()
        page.keyboard.press("w")  # the first row holds ten keys, so this is the twelfth
        wait_in_kernel(page, f"{keyboard}.played == [{keyboard}.board[k]['code'] for k in (3, 11)]")
        wait_sound(page)
        picture(page, "12_keyboard", keys)
        page.wait_for_function("() => !window.vqlabPlayers.playing")  # the key has faded
        strip = find(page, "nb12-strip").locator(".vqw-strip")
        edited = value(page, "nb12-strip")
        strip.get_by_role("gridcell").nth(7).click()
        page.keyboard.press("Enter")
        number = strip.get_by_role("spinbutton")
        changed = (int(number.input_value()) + 1) % 1024
        count_sounds(page)
        page.keyboard.type(str(changed))
        page.keyboard.press("Enter")
        wait_in_kernel(page, f"{edited}.changed() == [(7, 0)]")
        assert in_kernel(page, f"{edited}.grid[0][7]") == changed
        wait_sound(page)  # it is heard
        picture(page, "12_strip", strip)
        picture(page, "12_strip_dark", strip, dark=True)
