"""The player's fairness (levels, clipping, colours), its text, and what it refuses."""

import base64
import html
import io
import re

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vqlab import listen, load_pretrained, widgets
from vqlab.listen import player
from vqlab.widgets import blind

RATE = 16000


def word(amplitude=0.3, seconds=1.0, frequency=500.0, start=0.3, end=0.7):
    """A tone with silence around it, as a word has."""
    t = np.arange(int(seconds * RATE)) / RATE
    return amplitude * np.sin(2 * np.pi * frequency * t) * ((t >= start) & (t < end))


def sounds(page):
    """Every sound in the page, decoded as a browser does, at 16 bits."""
    uris = re.findall(r'src="data:audio/(?:flac|wav);base64,([^"]+)"', page)
    return [soundfile.read(io.BytesIO(base64.b64decode(uri)), dtype="int16")[0] for uri in uris]


def pictures(page):
    return [base64.b64decode(u) for u in re.findall(r'"data:image/png;base64,([^"]+)"', page)]


def rms(samples):
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64))))


def test_all_versions_get_the_level_of_the_first_and_it_is_said():
    made = listen.compare({"loud": word(0.4), "quiet": word(0.1), "same": word(0.4)}, RATE)
    levels = [rms(sound) for sound in sounds(made.html)]
    assert levels == pytest.approx([levels[0]] * 3, rel=1e-3)
    assert made.remarks == ("matched to the first version: quiet +12.0 dB",)
    assert "Matched to the first version: quiet +12.0 dB" in made.html


def test_pauses_and_noise_in_pauses_do_not_change_the_level():
    rng = np.random.default_rng(0)
    noisy = word(0.3) + 0.012 * rng.standard_normal(RATE)
    longer = np.concatenate([word(0.3), np.zeros(RATE)])
    made = listen.compare({"word": word(0.3), "noisy": noisy, "long pause": longer}, RATE)
    assert [v.gain_db for v in made.versions] == pytest.approx([0, 0, 0], abs=0.1)


def test_two_different_words_of_one_length_are_matched_too():
    late = word(0.1, start=0.76, end=0.96)
    made = listen.compare({"early": word(0.3, start=0.1, end=0.4), "late": late}, RATE)
    assert made.versions[1].gain_db == pytest.approx(20 * np.log10(3), abs=0.3)


def test_one_common_gain_keeps_every_version_from_clipping():
    peaky = word(0.1)
    peaky[8000] = 0.9  # matching to 0.4 would lift this peak far above full scale
    made = listen.compare({"a": word(0.4), "b": peaky}, RATE)
    a, b = sounds(made.html)
    assert np.abs(b).max() < 32767 and np.abs(b).max() > 32600
    assert np.count_nonzero(np.abs(b) > 32600) == 1  # nothing was flattened
    down = 20 * np.log10(np.abs(a).max() / 32768 / 0.4)
    assert down < -1
    assert any(f"all turned down {-down:.2g} dB so that nothing clips" in n for n in made.remarks)


def test_without_matching_the_levels_stay_as_they_were():
    made = listen.compare({"a": word(0.4), "b": word(0.1)}, RATE, match_level=False)
    a, b = sounds(made.html)
    assert rms(a) / rms(b) == pytest.approx(4, rel=1e-2)
    assert made.remarks == ("levels as they were",)


def test_silence_stays_silence():
    hiss = 1e-5 * np.random.default_rng(0).standard_normal(RATE)
    made = listen.compare({"silence": np.zeros(RATE), "word": word(), "hiss": hiss}, RATE)
    silence, heard, quiet = sounds(made.html)
    assert not silence.any() and heard.any()
    assert np.abs(quiet).max() <= 2
    assert "silent, left as it was: silence, hiss" in made.remarks
    assert listen.play(np.zeros(400)).html.count("silent") >= 2  # line, alt text


@settings(max_examples=40)
@given(
    st.lists(st.floats(1e-3, 30), min_size=1, max_size=3),
    st.integers(1, 3000),
    st.integers(0, 10_000),
)
def test_nothing_clips_whatever_the_levels(amplitudes, length, seed):
    rng = np.random.default_rng(seed)
    made = listen.compare(
        {str(k): a * rng.standard_normal(length) for k, a in enumerate(amplitudes)}
    )
    assert max(v.peak_db for v in made.versions) <= 0.0


def test_sixteen_bit_recordings_come_out_bit_for_bit():
    whole = np.random.default_rng(1).integers(-32768, 32768, 4000).astype(np.int16)
    whole[0] = -32768
    for given_as in (whole / 32768.0, torch.from_numpy(whole / 32768.0).float()[None]):
        assert np.array_equal(sounds(listen.play(given_as).html)[0], whole)


def test_labels_and_titles_are_text_and_never_markup():
    bad = "a \"quoted\" <script>alert(1)</script> & 'b' <!--PLAYER--> </audio>"
    page = listen.compare({bad: word(), "b": word()}, title=bad, bits={bad: 8}).html
    assert "<script>alert" not in page
    assert page.count("<script>") == page.count("</script>") == 1
    assert page.count("<audio ") == page.count("</audio>") == 2
    assert page.count(html.escape(bad)) >= 4  # title, label, alt text, label of the controls


def test_the_rate_stands_beside_the_label():
    page = listen.compare(
        {"original": word(), "a": word(), "b": word(), "c": word()},
        bits={"a": 1000, "b": 2304, "c": 256_000},
    ).html
    heads = re.findall(r'<p class="vq-head"><strong>(.*?)</strong> · <span>(.*?)</span>', page)
    assert heads == [
        ("original", "– kbit/s"),
        ("a", "1.0 kbit/s"),
        ("b", "2.3 kbit/s"),
        ("c", "256 kbit/s"),
    ]
    assert "kbit/s" not in re.sub(
        r"<(script|style)>.*?</\1>", "", listen.play(word()).html, flags=re.S
    )


def test_the_page_keeps_the_files_that_versions_were_decoded_from():
    codec = load_pretrained("speech")
    data = codec.compress(torch.from_numpy(word()).float(), 1.0)
    heard = codec.decode(*codec.from_bytes(data))
    made = listen.compare({"original": word(), "decoded": heard}, RATE, files={"decoded": data})
    kept = re.findall(r'<div class="vq-version"(?: data-vql="([^"]*)")?>', made.html)
    assert kept[0] == ""
    again = codec.decode(*codec.from_bytes(base64.b64decode(kept[1])))
    torch.testing.assert_close(again, heard)


def test_alternative_text_says_what_is_true():
    sound = np.concatenate([word(0.5, frequency=1000, start=0.5, end=0.6), np.zeros(4000)])
    alt = html.unescape(re.search(r'alt="([^"]+)"', listen.play(sound, RATE, "tone").html)[1])
    assert alt.startswith("Waveform and spectrogram of tone: 1.25 s, peak −6.0 dBFS")
    assert 0.5 <= float(re.search(r"loudest at ([\d.]+) s", alt)[1]) <= 0.6
    low, high = map(int, re.search(r"between (\d+) and (\d+) Hz", alt).groups())
    assert low <= 1000 <= high and high - low < 100
    assert "0 to 8 kHz" in alt


def test_one_colour_scale_serves_all_pictures():
    from PIL import Image

    loud, quiet = pictures(
        listen.compare({"a": word(0.5), "b": word(0.005)}, RATE, match_level=False).html
    )
    brightest = [
        int(np.asarray(Image.open(io.BytesIO(p)))[player.STRIP :].max()) for p in (loud, quiet)
    ]
    assert brightest[0] == 33  # the last of 32 colours after two others
    assert brightest[1] == pytest.approx(33 - 40 / 70 * 31, abs=1)  # 40 dB lower


def test_a_player_of_three_seconds_long_versions_is_small():
    rng = np.random.default_rng(0)  # speech-like worst case: noise with a word's envelope
    noise = 0.1 * rng.standard_normal(RATE) * (np.abs(word()) > 0.001)
    page = listen.compare({"a": noise, "b": noise * 0.5, "c": word()}, RATE).html
    assert len(page) < 200_000
    assert all(len(p) < 20_000 for p in pictures(page))
    assert "http" not in page and "//" not in re.sub(r"// .*|base64,[^\"]*", "", page)


def test_a_long_player_warns_with_its_size():
    noise = 0.1 * np.random.default_rng(0).standard_normal(40 * RATE)
    with pytest.warns(UserWarning, match=r"takes \d\.\d MB"):
        listen.play(noise)._repr_html_()


@pytest.mark.parametrize("length", [1, 2, 50, 359, 361, 70_000])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_any_length_and_rate_gives_a_player(length, rate):
    page = listen.play(0.1 * np.random.default_rng(0).standard_normal(length), rate).html
    assert len(sounds(page)[0]) == length
    assert f'data-seconds="{length / rate:.6f}"' in page


@pytest.mark.parametrize(
    ("waveform", "says"),
    [
        (np.zeros(0), r"'x' has the shape \(0,\)"),
        (np.zeros((2, 100)), r"'x' has the shape \(2, 100\)"),
        (np.array([0.0, np.nan, np.inf]), "'x' has 2 samples that are NaN or infinite"),
        (np.zeros(10, np.int16), "'x' holds int16"),
        (torch.zeros(10, dtype=torch.int16), "'x' holds int16"),
    ],
)
def test_what_cannot_be_played_is_refused_in_a_sentence(waveform, says):
    with pytest.raises(ValueError, match=says):
        listen.compare({"x": waveform})


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="nothing to play"):
        listen.compare({})
    with pytest.raises(ValueError, match="bits has 'z'"):
        listen.compare({"a": word()}, bits={"z": 1000})
    with pytest.raises(ValueError, match="files has 'z'"):
        listen.compare({"a": word()}, files={"z": b"VQL"})
    with pytest.raises(ValueError, match="bits per second, a number"):
        listen.compare({"a": word()}, bits={"a": "many"})
    with pytest.raises(ValueError, match="sample_rate"):
        listen.compare({"a": word()}, 16)


def test_save_writes_a_whole_page_or_leaves_the_old_one(tmp_path, monkeypatch):
    made = listen.compare({"a": word()}, title="A & B")
    path = made.save(tmp_path / "page.html")
    text = path.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>") and text.rstrip().endswith("</html>")
    assert "<title>A &amp; B</title>" in text and made.html in text

    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        listen.play(word()).save(path)
    assert path.read_text(encoding="utf-8") == text
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(FileNotFoundError, match="the folder does not exist; make it first"):
        made.save(tmp_path / "missing" / "page.html")


def test_the_plain_text_form_names_the_versions():
    assert repr(listen.compare({"a": word(), "b": word()})) == "[player: a (1.00 s), b (1.00 s)]"


def test_the_blind_test_is_at_hand_here_too():
    test = widgets.abx(word(), -word(), 8000, trials=3, names=("up", "down"))
    assert isinstance(test, blind.ABX) and test.trials == 3
