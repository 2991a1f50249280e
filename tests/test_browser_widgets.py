"""The widgets in a real browser: one JupyterLab, one notebook, pointer, keys and a microphone."""

import numpy as np
import pytest
import soundfile
from _lab import (
    chromium,
    command,
    count_sounds,
    in_kernel,
    jupyterlab,
    microphone,
    open_lab,
    open_notebook,
    wait_in_kernel,
    wait_sound,
    wait_text,
)
from _support import need

RATE = 16000
MICROPHONE, FILE = 1000, 2000  # Hz of the tones that the fake microphone and the upload hold

CELLS = [
    """
import numpy as np, torch, vqlab
from vqlab import edit, listen, widgets
codec = vqlab.load_pretrained("speech")
codes = torch.tensor([[[419, 152, 473, 549, 321, 793], [354, 238, 796, 533, 964, 815]]])
wave = lambda hz: 0.3 * torch.sin(2 * torch.pi * hz * torch.arange(4000) / 16000)
plane = widgets.voronoi([[-2, 1.5], [-1.2, 2.1], [0.4, 0.3]], [[-1.5, 1.5], [1, 1], [1.5, -1.5]])
plane""",
    "strip = widgets.code_strip(codec, codes)\nstrip",
    "keys = widgets.keyboard(codec, codes=range(30))\nkeys",
    "rec = widgets.recorder(seconds=0.6)\nrec",
    "test = widgets.abx(wave(500), wave(3000), trials=5, names=('low', 'high'))\ntest",
    "slider = widgets.trade_off(wave(500))\nslider",
]


def write_tone(path, frequency, rate, channels=1):
    time = np.arange(2 * rate) / rate
    sound = 0.4 * np.sin(2 * np.pi * frequency * time)
    soundfile.write(path, np.repeat(sound[:, None], channels, axis=1), rate, subtype="PCM_16")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("widgets")


@pytest.fixture(scope="module")
def page(browser, place):
    """The notebook in JupyterLab, all cells run; the last test reads the page's complaints."""
    nbformat = need("nbformat")
    need("jupyterlab")
    notebooks = place / "notebooks"
    notebooks.mkdir()
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source) for source in CELLS]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})
    nbformat.write(notebook, notebooks / "widgets.ipynb")
    write_tone(place / "microphone.wav", MICROPHONE, 48000)
    write_tone(place / "file.wav", FILE, 44100, channels=2)
    own = chromium(browser.browser_type, *microphone(place / "microphone.wav"))
    with jupyterlab(place, notebooks) as address:
        page = own.new_page(viewport={"width": 1200, "height": 4200})  # so that all is in sight
        page.complaints = open_lab(page, address)
        open_notebook(page, "widgets.ipynb")
        command(page, "notebook:run-all-cells")
        page.wait_for_selector(".vqw-window")
        yield page
        own.close()


def test_a_dragged_point_takes_another_code_and_the_kernel_follows(page):
    plane = page.locator(".vqw-plane")
    point = plane.get_by_role("button", name="point 0 at")
    code = plane.get_by_role("button", name="code 2 at")
    start, end = point.bounding_box(), code.bounding_box()
    before = float(plane.locator(".vqw-loss").inner_text())
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] - 17)
    page.mouse.down()
    page.mouse.move(400, start["y"] + 60, steps=3)
    page.mouse.move(end["x"] + end["width"] / 2 + 20, end["y"] + end["height"] / 2, steps=5)
    shown = float(plane.locator(".vqw-loss").inner_text())  # at once, the button still down
    page.mouse.up()
    assert shown != before and "gets code 2" in point.get_attribute("aria-label")
    wait_in_kernel(page, f"plane.assignment[0] == 2 and abs(plane.loss - {shown}) < 6e-4")
    assert in_kernel(page, "plane.points[1:]") == [[-1.2, 2.1], [0.4, 0.3]]


def test_keys_move_a_code_and_buttons_ask_the_kernel(page):
    plane = page.locator(".vqw-plane")
    code = plane.get_by_role("button", name="code 1 at")
    code.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowUp")
    wait_in_kernel(page, "plane.codes[1] == [1.1, 1.01]")
    plane.get_by_role("button", name="One k-means step").click()
    wait_in_kernel(page, "plane.codes[1] == plane.points[2]")
    page.wait_for_function(
        "() => document.querySelector('[data-kind=codes][data-number=\"1\"]')"
        ".getAttribute('aria-label').includes('at 0.40, 0.30')"
    )
    point = plane.get_by_role("button", name="point 2 at")
    assert "vqw-on" in point.get_attribute("class")  # a ring, and the code's number in it
    plane.get_by_role("button", name="New codes").click()
    wait_in_kernel(page, "plane.codes[1] != plane.points[2]")
    plane.get_by_role("button", name="Start again").click()
    wait_in_kernel(page, "plane.codes == [[-1.5, 1.5], [1, 1], [1.5, -1.5]]")


def test_a_code_of_the_strip_is_changed_by_pointer_and_by_keys(page):
    strip = page.locator(".vqw-strip")
    strip.get_by_role("gridcell").nth(2).click()
    number = strip.get_by_role("spinbutton")
    assert number.input_value() == "473"
    number.fill("48")
    strip.get_by_role("button", name="Change").click()
    page.wait_for_selector(".vqw-strip .vqw-changed")
    wait_in_kernel(page, "strip.codes.equal(edit.replace(codes, 2, 0, 48))")
    page.wait_for_function("() => window.vqlabPlayers.context.currentTime > 0")  # it was heard
    strip.get_by_role("gridcell").nth(2).focus()
    for key in ("ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    assert number.input_value() == "533"
    page.keyboard.type("1024")
    page.keyboard.press("Enter")
    wait_text(page, ".vqw-strip .vqw-notice", "0 to 1023")
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    wait_in_kernel(page, "strip.codes.equal(codes)")
    assert page.evaluate("document.activeElement.className").startswith("vqw-cell")


def test_a_key_is_pressed_and_its_code_is_kept(page):
    keys = page.locator(".vqw-keys")
    count_sounds(page)
    keys.get_by_role("button", name="key 3: code 2,", exact=False).click()
    page.keyboard.press("w")  # the first row holds ten keys, so this is the twelfth
    wait_in_kernel(page, "keys.played == [2, 11]")
    wait_sound(page)
    assert "Played: 2 11" in keys.inner_text()
    keys.get_by_role("button", name="All in a row").click()
    wait_in_kernel(page, "keys._answer.get('code') == -1")
    keys.get_by_role("button", name="Forget them").click()
    wait_in_kernel(page, "keys.played == []")


def loudest(page):
    """Frequency in Hz and seconds of the recorder's sound in the kernel."""
    return in_kernel(
        page,
        "[float(torch.fft.rfft(rec.waveform).abs().argmax()) * 16000 / len(rec.waveform),"
        " len(rec.waveform) / 16000]",
    )


def test_the_microphone_arrives_as_a_waveform(page):
    recorder = page.locator(".vqw-recording")
    recorder.get_by_role("button", name="Record").click()
    wait_in_kernel(page, "rec.source == 'microphone'")
    frequency, seconds = loudest(page)
    assert frequency == pytest.approx(MICROPHONE, abs=10)
    assert seconds == pytest.approx(0.6, abs=0.01)
    wait_text(page, ".vqw-recording", "Now: microphone, 0.60 s.")
    count_sounds(page)
    recorder.get_by_role("button", name="Play").click()
    wait_sound(page)


def test_a_file_is_decoded_by_the_browser_and_the_clip_comes_back(page, place):
    page.locator(".vqw-recording input[type=file]").set_input_files(place / "file.wav")
    wait_in_kernel(page, "'file.wav' in rec.source")
    frequency, seconds = loudest(page)
    assert frequency == pytest.approx(FILE, abs=5) and seconds == pytest.approx(2.0, abs=0.01)
    page.locator(".vqw-recording").get_by_role("button", name="Take the clip that is here").click()
    wait_in_kernel(page, "'bundled' in rec.source")


def test_a_refused_microphone_is_said_in_a_sentence(page, place):
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () =>"
        " Promise.reject(new DOMException('no', 'NotAllowedError')); }"
    )
    recorder = page.locator(".vqw-recording")
    recorder.get_by_role("button", name="Record").click()
    wait_text(page, ".vqw-recording", "did not allow the microphone")
    assert "bundled clip" in recorder.inner_text()
    unread = place / "notes.wav"
    unread.write_text("no sound")
    page.locator(".vqw-recording input[type=file]").set_input_files(unread)
    wait_text(page, ".vqw-recording", "cannot read this as sound")


def test_the_blind_test_is_taken_with_keys_and_told_at_the_end(page):
    test = page.locator(".vqw-listening")
    truth = in_kernel(page, "test._truth")
    test.focus()
    page.keyboard.press("1")  # X was not heard yet: no answer
    for trial, x in enumerate(truth, 1):
        wait_text(page, ".vqw-listening", f"Trial {trial} of 5")
        assert "right" not in test.inner_text().replace("answer was right is told", "")
        for key in "abx":
            page.keyboard.press(key)
        page.wait_for_function("() => !document.querySelector('.vqw-answers button').disabled")
        page.keyboard.press("1" if x == "a" else "2")
    wait_text(page, ".vqw-listening", "5 of 5 right")
    text = test.inner_text()
    assert "1 / 2^5 = 1/32 = 0.0312" in text and "you hear a difference" in text
    assert [cell.upper() for cell in truth] == test.locator("tr").nth(1).locator(
        "td"
    ).all_inner_texts()
    assert in_kernel(page, "test.answers") == truth


def test_the_slider_changes_the_picture_at_once(page):
    slider = page.locator(".vqw-window")
    picture = slider.locator("img")
    before = picture.get_attribute("src")
    slider.get_by_role("slider").focus()
    page.keyboard.press("ArrowRight")
    wait_text(page, ".vqw-window", "1024 samples, 64.0 ms")
    assert picture.get_attribute("src") != before
    assert "window of 1024 samples" in picture.get_attribute("alt")
    assert "32.0 ms in time × 31.3 Hz in frequency = 1" in slider.inner_text()
    wait_in_kernel(page, "slider.n_fft == 1024")


def test_a_cell_that_is_run_again_leaves_nothing_playing(page):
    page.locator(".vqw-window").get_by_role("button", name="Play").click()
    page.evaluate("window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')")
    page.wait_for_selector(".vqw-window", state="detached")
    page.wait_for_function("() => !window.vqlabPlayers.playing")


def test_nobody_complained_and_nothing_was_asked_of_the_network(page):
    assert page.complaints == []
