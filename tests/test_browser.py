"""The player in a real browser: alone, in company, without JavaScript, and in JupyterLab."""

import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest
from _lab import jupyterlab, surroundings, wait_playing
from _support import HANG, need

from vqlab import listen

RATE = 16000
LONG = 6.0  # seconds: a busy machine must not reach the end within a test
LOW, HIGH = 500, 3000  # Hz: what is heard tells which version sounds

HEARD = """async (root) => {
  const {context, output} = window.vqlabPlayers, node = context.createAnalyser();
  node.fftSize = 4096;
  node.smoothingTimeConstant = 0;
  output.connect(node);
  await new Promise((done) => setTimeout(done, 200));
  const levels = new Float32Array(node.frequencyBinCount);
  node.getFloatFrequencyData(levels);
  output.disconnect(node);
  const best = levels.indexOf(Math.max(...levels));
  return [best * context.sampleRate / node.fftSize, levels[best]];
}"""


def tone(frequency, seconds=LONG):
    return 0.2 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)


def two_tones(seconds=LONG):
    return listen.compare(
        {"low": tone(LOW, seconds), "high": tone(HIGH, seconds)},
        RATE,
        bits={"high": 1000},
        title="Two tones",
    )


@pytest.fixture
def open_page(browser, tmp_path):
    """Open HTML as a page of its own; the test fails on any message, error or request."""
    contexts, complaints = [], []

    def opener(markup, javascript=True):
        path = tmp_path / f"page{len(contexts)}.html"
        path.write_text(markup, encoding="utf-8")
        contexts.append(browser.new_context(java_script_enabled=javascript))
        page = contexts[-1].new_page()
        page.set_default_timeout(1000 * HANG)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if request.url.startswith((path.as_uri(), "data:"))
                else complaints.append(request.url)
            ),
        )
        page.goto(path.as_uri())
        return page

    yield opener
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_page, tmp_path):
    return open_page(two_tones().save(tmp_path / "saved.html").read_text(encoding="utf-8"))


def state(page, number=0):
    return page.locator(".vqlab-player").nth(number).evaluate("root => root.vqlabPlayer.state()")


def heard(page):
    """Frequency in Hz and level in dB of the loudest tone that goes to the loudspeaker."""
    return page.evaluate(HEARD)


def test_play_moves_the_clock_and_pause_stops_it(page):
    page.click(".vq-play")
    wait_playing(page)
    before = state(page)["time"]
    page.wait_for_function(
        "before => window.vqlabPlayers.playing.state().time > before + 0.1", arg=before
    )
    assert "Pause" in page.inner_text(".vq-play")
    page.click(".vq-play")
    at = state(page)["time"]
    page.wait_for_timeout(100)
    assert not state(page)["playing"] and state(page)["time"] == at > 0
    line = page.locator(".vq-frame").first.evaluate(
        "f => (f.querySelector('.vq-line').getBoundingClientRect().left + 1"
        " - f.getBoundingClientRect().left) / f.getBoundingClientRect().width"
    )
    assert line == pytest.approx(at / LONG, abs=0.01)


def test_switching_keeps_the_place_and_changes_what_is_heard(page):
    page.click(".vq-play")
    wait_playing(page)
    frequency, level = heard(page)
    assert frequency == pytest.approx(LOW, abs=30) and level > -40
    apart = page.evaluate("""() => {
      const player = document.querySelector('.vqlab-player').vqlabPlayer;
      const before = [player.state().time, performance.now()];
      document.querySelectorAll('.vq-choice')[1].click();
      const after = [player.state().time, performance.now()];
      return (after[0] - before[0]) - (after[1] - before[1]) / 1000;
    }""")
    assert abs(apart) < 0.05
    frequency, level = heard(page)
    assert frequency == pytest.approx(HIGH, abs=30) and level > -40
    assert state(page)["playing"] and state(page)["gains"] == pytest.approx([0, 1], abs=0.01)
    assert page.locator(".vq-choice").nth(1).get_attribute("aria-checked") == "true"


def test_versions_run_in_step_to_the_sample(open_page):
    """A version and its negative cancel when both sound, so they run at the same sample."""
    sound = tone(LOW)
    page = open_page(listen.compare({"a": sound, "b": -sound}, RATE).html)
    page.click(".vq-play")
    wait_playing(page)
    assert heard(page)[1] > -40
    page.evaluate("""() => {  // from now on every gain stays open
      const player = window.vqlabPlayers.playing, make = AudioContext.prototype.createGain;
      AudioContext.prototype.createGain = function () {
        const gain = make.call(this);
        Object.defineProperty(gain.gain, 'value', { set() {}, get: () => 1 });
        return gain;
      };
      player.pause();
      player.play();
    }""")
    wait_playing(page)
    assert heard(page)[1] < -80


def test_a_click_in_a_picture_moves_there(page):
    box = page.locator(".vq-picture").nth(1).bounding_box()
    page.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + 50)
    assert state(page)["time"] == pytest.approx(0.75 * LONG, abs=0.03)
    assert state(page)["version"] == 1 and not state(page)["playing"]
    page.keyboard.press(" ")
    wait_playing(page)
    assert state(page)["time"] > 0.74 * LONG


def test_keys_play_seek_choose_and_loop(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "vq-play"
    page.keyboard.press(" ")
    wait_playing(page)
    page.keyboard.press(" ")
    assert not state(page)["playing"]
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert state(page)["time"] == pytest.approx(0.2, abs=1e-6)
    for key, version in [
        ("2", 1),
        ("1", 0),
        ("9", 0),
        ("ArrowDown", 1),
        ("ArrowDown", 0),
        ("ArrowUp", 1),
    ]:
        page.keyboard.press(key)
        assert state(page)["version"] == version, key
    radios = page.get_by_role("radiogroup").get_by_role("radio")
    assert [radios.nth(k).get_attribute("tabindex") for k in (0, 1)] == ["-1", "0"]
    focused = page.evaluate(
        "() => [document.activeElement.innerText,"
        " getComputedStyle(document.activeElement).outlineStyle]"
    )
    assert "high" in focused[0] and focused[1] == "solid"
    page.keyboard.press("l")
    assert state(page)["loop"]


def test_loop_goes_round_in_step_and_without_it_the_sound_ends(open_page):
    page = open_page(two_tones(0.4).html)
    page.click(".vq-loop")
    page.click(".vq-play")
    wait_playing(page)
    page.wait_for_timeout(900)
    assert state(page)["playing"] and state(page)["time"] < 0.4
    page.click(".vq-loop")
    page.wait_for_function("() => !window.vqlabPlayers.playing")
    assert state(page)["time"] == 0 and "Play" in page.inner_text(".vq-play")


def test_players_in_one_page_leave_each_other_alone_but_take_turns(open_page):
    same = two_tones().html  # one output shown twice, and a third player
    page = open_page(
        "<!doctype html><meta charset=utf-8>"
        + same
        + same
        + listen.play(tone(1000), RATE, "alone").html
    )
    assert page.locator(".vqlab-player[data-ready]").count() == 3
    assert page.locator(".vq-bar").count() == 3
    page.locator(".vq-play").nth(0).click()
    wait_playing(page, 0)
    page.locator(".vqlab-player").nth(1).locator(".vq-choice").nth(1).click()
    assert [state(page, k)["version"] for k in (0, 1)] == [0, 1]
    page.locator(".vq-play").nth(1).click()
    wait_playing(page, 1)
    assert [state(page, k)["playing"] for k in range(3)] == [False, True, False]
    assert state(page, 0)["time"] > 0
    assert heard(page)[0] == pytest.approx(HIGH, abs=30)
    page.locator(".vq-play").nth(2).click()
    wait_playing(page, 2)
    assert heard(page)[0] == pytest.approx(1000, abs=30)


def test_a_removed_player_falls_silent(page):
    page.click(".vq-loop")
    page.click(".vq-play")
    wait_playing(page)
    page.evaluate("document.querySelector('.vqlab-player').remove()")
    page.wait_for_function("() => !window.vqlabPlayers.playing")


def test_seeking_while_playing_keeps_playing(page):
    page.click(".vq-play")
    wait_playing(page)
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "() => document.querySelector('.vqlab-player').vqlabPlayer.state().playing"
    )
    assert state(page)["time"] > 0.5
    assert heard(page)[0] == pytest.approx(LOW, abs=30)


def test_without_javascript_plain_controls_labels_and_pictures_remain(open_page):
    page = open_page(two_tones().html, javascript=False)
    assert page.locator("audio[controls]:visible").count() == 2
    assert page.locator("img:visible").count() == 2
    text = page.inner_text("body")
    assert "low" in text and "high · 1.0 kbit/s · peak −14.0 dBFS" in text
    assert "Play" not in text


def test_where_decoding_fails_plain_controls_come_back(open_page):
    page = open_page(two_tones().html)
    assert page.locator("audio:visible").count() == 0
    page.evaluate(
        "() => { AudioContext.prototype.decodeAudioData = () => Promise.reject(Error('no flac')); }"
    )
    page.click(".vq-play")
    page.wait_for_selector("audio:visible")
    assert page.locator("audio:visible").count() == 2
    assert "no flac" in page.inner_text(".vq-bar")


def test_markup_in_a_label_is_shown_as_text(open_page):
    label = '<img src=x onerror="document.title=1"> </script>'
    page = open_page(listen.compare({label: tone(LOW), "b": tone(HIGH)}, RATE).html)
    assert page.inner_text(".vq-label").endswith(label)
    assert page.title() != "1"


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a folder with a trusted and an untrusted notebook of saved players."""
    nbformat = need("nbformat")
    need("jupyterlab")
    home = tmp_path_factory.mktemp("lab")
    notebooks = home / "notebooks"
    notebooks.mkdir()
    made = two_tones()
    for name in ("trusted", "untrusted"):
        output = nbformat.v4.new_output(
            "execute_result", {"text/html": made.html, "text/plain": repr(made)}, execution_count=1
        )
        cells = [
            nbformat.v4.new_markdown_cell(name),  # trust goes by content: it must differ
            nbformat.v4.new_code_cell("player", outputs=[output], execution_count=1),
        ]
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(
            nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel}),
            notebooks / f"{name}.ipynb",
        )
    subprocess.run(
        [sys.executable, "-m", "jupyter", "trust", notebooks / "trusted.ipynb"],
        env=surroundings(home),
        check=True,
        capture_output=True,
    )
    with jupyterlab(home, notebooks) as address:
        yield address


def test_jupyterlab_runs_a_saved_player_on_opening_a_trusted_notebook(browser, lab):
    with closing(browser.new_page()) as page:
        page.set_default_timeout(1000 * HANG)
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{lab}/lab/tree/trusted.ipynb?reset", wait_until="commit")
        page.wait_for_selector(".vqlab-player[data-ready]")
        page.click(".vq-play")
        wait_playing(page)
        page.keyboard.press(" ")
        assert not state(page)["playing"]
        for key, version in [("2", 1), ("1", 0), ("ArrowDown", 1)]:
            page.keyboard.press(key)
            assert state(page)["version"] == version
        assert errors == []


def test_jupyterlab_keeps_plain_controls_in_an_untrusted_notebook(browser, lab):
    with closing(browser.new_page()) as page:
        page.set_default_timeout(1000 * HANG)
        page.goto(f"{lab}/lab/tree/untrusted.ipynb?reset", wait_until="commit")
        page.wait_for_selector(".jp-OutputArea audio")
        assert page.locator(".vqlab-player[data-ready]").count() == 0
        assert page.locator(".jp-OutputArea audio:visible").count() == 2
        page.wait_for_function(
            "() => [...document.querySelectorAll('.jp-OutputArea audio')]"
            ".every((a) => Math.abs(a.duration - 6) < 0.01)"
        )
        pictures = page.locator(".jp-OutputArea img")
        assert "low: 6.00 s" in pictures.first.get_attribute("alt")
        assert "high · 1.0 kbit/s" in page.inner_text(".jp-OutputArea-output")
