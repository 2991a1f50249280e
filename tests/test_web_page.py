"""The codec's page in a real browser: word, file, microphone, edit, save, link, keys, phone."""

import base64
import binascii
import io
import os
import re
from contextlib import closing

import numpy as np
import pytest
import soundfile
import torch
from _lab import chromium, microphone, watched
from _support import HANG, ROOT, script
from PIL import Image

from vqlab.codec import Codec

RATE = 16000
SHOWN = """() => [...document.querySelectorAll('.c-column')].map(
    (column) => [...column.children].map((cell) => Number(cell.textContent)))"""


@pytest.fixture(scope="module")
def bench():
    return script("benchmarks", "page")


@pytest.fixture(scope="module")
def codec(bench):
    return Codec.load(bench.WEIGHTS)


@pytest.fixture(scope="module")
def word(bench, tmp_path_factory):
    """A recording as samples (samples,), and as a WAV file of 16 bits."""
    samples = dict(bench.sounds(8))["en/goodbye"]
    path = tmp_path_factory.mktemp("words") / "goodbye.wav"
    soundfile.write(path, samples.numpy(), RATE, subtype="PCM_16")
    return samples, path


@pytest.fixture
def page(browser, site):
    with watched(browser, site.as_uri(), accept_downloads=True) as page:
        page.goto((site / "codec.html").as_uri())
        yield page


def wait_heard(page, label):
    """Wait until a version is shown, chosen and played."""
    page.wait_for_function(
        """(label) => {
          const chosen = document.querySelector('#c-versions [aria-checked=true] b');
          const shown = !document.getElementById("c-coded").hidden;
          return shown && chosen && chosen.textContent === label;
        }""",
        arg=label,
    )


def saved(page, button="#c-save"):
    with page.expect_download() as download:
        page.click(button)
    return download.value.path().read_bytes()


def columns(codes):
    return [[int(code) for code in column if code >= 0] for column in codes[0].T]


def test_a_bundled_word_is_heard_and_versions_switch_at_the_same_place(page):
    page.get_by_role("button", name="Hello world").click()
    wait_heard(page, "1 kbit/s")
    assert page.locator(".c-version").count() == 4
    page.get_by_text("Choose a version while").wait_for()
    page.evaluate("""() => {
      const button = document.getElementById('c-play');
      if (button.textContent.includes('Pause')) button.click();
    }""")
    page.focus("#c-seek")
    page.keyboard.press("Home")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("1")
    assert "Original" in page.inner_text("#c-versions [aria-checked=true]")
    assert page.input_value("#c-seek") == "0.3" and page.locator("#c-coded").is_hidden()
    page.keyboard.press("ArrowUp")
    wait_heard(page, "1.5 kbit/s")
    drawn = "(canvas) => canvas.getContext('2d').getImageData(0, 0, 360, 112).data.some((x) => x)"
    assert all(page.locator("canvas").nth(k).evaluate(drawn) for k in range(4))
    if "VQLAB_SCREENSHOTS" in os.environ:  # the picture of README.md
        page.set_viewport_size({"width": 980, "height": 1180})
        page.get_by_role("button", name="right").click()
        page.get_by_text("right: 1.00 s").wait_for()
        page.locator(".c-column").nth(12).locator(".c-cell").first.click()
        page.fill("#c-code", "191")
        page.keyboard.press("Enter")
        wait_heard(page, "Changed")
        page.wait_for_function("() => document.getElementById('c-seek').value === '0'")
        page.evaluate("document.getElementById('c-listen').scrollIntoView()")
        page.mouse.wheel(0, -60)
        page.wait_for_timeout(300)
        panel = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(256)
        panel.save(ROOT / os.environ["VQLAB_SCREENSHOTS"] / "codec_page.png", optimize=True)


def test_a_wav_file_is_compressed_edited_with_keys_and_opened_in_python(page, codec, word):
    samples, path = word
    page.set_input_files("#c-file", path)
    wait_heard(page, "1 kbit/s")
    assert saved(page) == codec.compress(samples, 1.0)
    before = page.evaluate(SHOWN)
    page.focus(".c-cell[tabindex='0']")
    for key in ("Home", "ArrowRight", "+"):
        page.keyboard.press(key)
    wait_heard(page, "Changed")
    page.focus("#c-code")
    page.keyboard.press("Control+A")
    page.keyboard.type("37")
    page.keyboard.press("Enter")
    page.wait_for_function(
        "() => document.querySelectorAll('.c-column')[1].firstChild.textContent === '37'"
    )
    page.focus(".c-cell[tabindex='0']")
    page.keyboard.press("h")
    page.wait_for_function(
        "(n) => document.querySelectorAll('.c-column').length === n", arg=len(before) + 1
    )
    shown, data = page.evaluate(SHOWN), saved(page)
    codes, length, gain_db = codec.from_bytes(data)
    assert columns(codes) == shown and shown[1][0] == shown[2][0] == 37
    sound = soundfile.read(io.BytesIO(saved(page, "#c-wav")))[0]
    assert len(sound) == length == len(shown) * 640
    level = [
        float(torch.as_tensor(x).double().square().mean().log10())
        for x in (sound, codec.decode(codes, length, gain_db))
    ]
    assert level[0] == pytest.approx(level[1], abs=0.05)  # half a decibel
    for _ in range(3):
        page.get_by_role("button", name="Undo").click()
    page.wait_for_function(
        f"(before) => JSON.stringify(({SHOWN})()) === JSON.stringify(before)", arg=before
    )


def test_what_she_types_while_a_change_is_drawn_stays(page):
    page.get_by_role("button", name="yes").click()
    wait_heard(page, "1 kbit/s")
    page.evaluate("""() => {
      new MutationObserver((_, observer) => {
        const chosen = document.querySelector("#c-versions [aria-checked=true] b");
        if (chosen?.textContent !== "Changed") return;
        observer.disconnect();
        const field = document.getElementById("c-code");
        field.focus();
        field.value = "37";
        field.dispatchEvent(new Event("input"));
      }).observe(document.getElementById("c-versions"), { childList: true, subtree: true });
    }""")
    page.focus(".c-cell[tabindex='0']")
    page.keyboard.press("+")
    wait_heard(page, "Changed")
    drawn = "() => [...document.querySelectorAll('canvas')].every((c) => c.width !== 300)"
    page.wait_for_function(drawn)  # its pictures, too
    assert page.evaluate("document.activeElement.id") == "c-code"
    assert page.input_value("#c-code") == "37"


def test_two_words_exchange_columns_with_keys_and_undo_gives_both_back(page, codec):
    page.get_by_role("button", name="yes").click()
    wait_heard(page, "1 kbit/s")
    page.locator(".c-column").nth(12).locator(".c-cell").first.click()
    page.select_option("#c-other", label="no")
    yes, heard = page.evaluate(SHOWN), page.locator(".c-version").count()
    page.focus(".c-cell[tabindex='0']")
    page.keyboard.press("r")  # all from here on
    wait_heard(page, "Changed")
    joined = page.evaluate(SHOWN)
    assert joined[:12] == yes[:12] and joined[12:] != yes[12:]
    assert columns(codec.from_bytes(saved(page))[0]) == joined
    page.get_by_role("radio", name="“no”, changed").click()
    wait_heard(page, "“no”, changed")
    other = page.evaluate(SHOWN)
    assert [column[0] for column in other[12:]] == [column[0] for column in yes[12:]]
    page.focus(".c-cell[tabindex='0']")
    page.keyboard.press("x")  # this column goes back, from the other one's side
    page.wait_for_function(f"(one) => ({SHOWN})()[12][0] === one", arg=joined[12][0])
    page.get_by_role("radio", name="Changed").first.click()
    wait_heard(page, "Changed")
    assert page.evaluate(SHOWN)[12][0] == yes[12][0]
    for _ in range(2):
        page.get_by_role("button", name="Undo").click()
    wait_heard(page, "1 kbit/s")
    assert page.evaluate(SHOWN) == yes and page.locator(".c-version").count() == heard
    assert page.get_by_role("button", name="Undo").is_disabled()


def test_a_link_says_its_word(page, site, codec, word):
    samples, _ = word
    data = codec.compress(samples, 0.5)
    text = binascii.b2a_base64(data, newline=False).decode().replace("+", "-").replace("/", "_")
    page.goto((site / "codec.html").as_uri() + "#v=" + text.rstrip("="))
    page.reload()
    page.get_by_role("button", name="sent to you").click()
    wait_heard(page, "Received")
    assert saved(page) == data
    page.get_by_role("button", name="Copy a link").click()
    page.wait_for_function("() => location.hash.length > 20")
    assert page.evaluate("location.hash") == "#v=" + text.rstrip("=")


def test_a_player_of_the_site_hands_its_file_over_and_its_integers_can_be_changed(page, site):
    page.goto((site / "index.html").as_uri())
    link, before = page.locator(".vq-change"), page.locator(".vqlab-player [data-vql]")
    data = base64.b64decode(before.first.get_attribute("data-vql"))
    assert "MB" in link.inner_text() and link.count() == before.count() == 1
    link.click()
    page.wait_for_url("**/codec.html#*")
    wait_heard(page, "Received")
    assert saved(page) == data
    page.get_by_text(f"{len(data)} bytes: ").wait_for()  # the name it had in the player
    page.focus(".c-cell[tabindex='0']")
    page.keyboard.press("+")
    wait_heard(page, "Changed")
    assert saved(page) != data


@pytest.mark.parametrize(
    "name, data, sentence",
    [
        ("empty.vql", b"", "does not begin like one"),
        ("cut.vql", b"VQL2" + bytes(20), "damaged or cut off"),
        ("notes.txt", b"these are no samples", "cannot read that file as a sound"),
    ],
)
def test_a_file_that_is_none_is_refused_in_one_sentence(page, name, data, sentence):
    page.set_input_files("#c-file", {"name": name, "mimeType": "audio/wav", "buffer": data})
    page.wait_for_function(
        "(text) => document.getElementById('c-say').textContent.includes(text)", arg=sentence
    )


def test_the_microphone_is_recorded_compressed_and_opened_in_python(browser, site, codec, tmp_path):
    tone = 0.4 * np.sin(2 * np.pi * 500 * np.arange(96_000) / 48_000)
    soundfile.write(tmp_path / "tone.wav", tone, 48_000, subtype="PCM_16")
    with closing(chromium(browser.browser_type, *microphone(tmp_path / "tone.wav"))) as own:
        with watched(own, site.as_uri(), permissions=["microphone"]) as page:
            page.goto((site / "codec.html").as_uri())
            page.get_by_role("button", name="Speak yourself").click()
            page.get_by_text(re.compile(r"Recording: (0\.[5-9]|[1-9])")).wait_for()
            page.click("#c-record")
            wait_heard(page, "1 kbit/s")
            data = saved(page)
            page.focus("#c-seek")
            page.keyboard.press("1")
            own, rate = soundfile.read(io.BytesIO(saved(page, "#c-wav")), dtype="float32")
    assert rate == RATE and codec.compress(torch.from_numpy(own), 1.0) == data
    codes, length, gain_db = codec.from_bytes(data)
    sound = codec.decode(codes, length, gain_db).numpy()
    assert length > 0.4 * RATE
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(length)))
    assert spectrum.argmax() * RATE / length == pytest.approx(500, abs=30)


def test_without_webassembly_the_bytes_are_the_same(browser, site, codec, word):
    samples, path = word
    text = (site / "codec.html").read_text(encoding="utf-8")
    place = site / "plain.html"
    place.write_text(text.replace(" 'wasm-unsafe-eval'", ""), encoding="utf-8")
    with closing(browser.new_page()) as page:
        page.set_default_timeout(1000 * HANG)
        page.goto(place.as_uri())
        page.set_input_files("#c-file", path)
        wait_heard(page, "1 kbit/s")
        assert saved(page) == codec.compress(samples, 1.0)
    place.unlink()


def test_from_a_server_on_a_phone_in_the_dark(browser, site):
    with script("benchmarks", "browsers").served(site) as address:
        options = {"viewport": {"width": 360, "height": 740}, "color_scheme": "dark"}
        with watched(browser, address, **options) as page:
            page.goto(f"{address}/codec.html")
            page.get_by_role("button", name="stop").click()
            wait_heard(page, "1 kbit/s")
            wide = "document.documentElement.scrollWidth"
            assert page.evaluate(wide) == 360
            page.goto(f"{address}/index.html")
            assert page.evaluate(wide) == 360
            back = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert max(map(int, re.findall(r"\d+", back))) < 60


def test_sizes_stay_what_a_friend_waits_for(site):
    def size(*names):
        return sum((site / name).stat().st_size for name in names)

    before = ["codec.html", "website.css", "website.js", "codec/page.css"]
    before += [f"codec/{name}" for name in script("web", "codec_page").SCRIPTS]
    first = ["codec/kernel.js", "codec/sound.bin", "codec/clips/voices_en_hello.js"]
    assert size(*before) <= 500_000 and size(*first) <= 8_000_000
    assert size(*before, *first, "codec/voice.bin") <= 16_000_000
