"""The widgets without a page: their Python halves are objects like any other."""

import base64
import io
import json
import re
import subprocess
import sys
from fractions import Fraction

import nbformat
import numpy as np
import pytest
import soundfile
import torch
from _support import HANG, ROOT
from hypothesis import given, settings
from hypothesis import strategies as st
from nbclient import NotebookClient

import vqlab
from vqlab import audio, edit, widgets
from vqlab.widgets import blind, plane

POINTS = [[-2.0, 1.5], [-1.2, 2.1], [0.4, 0.3], [1.8, -0.6], [1.1, -1.9], [1.9, -0.1]]
CODES = [[-1.5, 1.5], [1.0, 1.0], [1.5, -1.5], [-1.5, -1.5]]
RATE = 16000


def tone(frequency=440.0, seconds=0.5):
    time = torch.arange(round(seconds * RATE)) / RATE
    return 0.3 * torch.sin(2 * torch.pi * frequency * time)


def opened(uri):
    """The sound in a data URI, and its sample rate."""
    return soundfile.read(io.BytesIO(base64.b64decode(uri.partition(",")[2])), dtype="float32")


def message(widget, **content):
    """What the page sends, handled as in the kernel."""
    widget._message(widget, content, [])


@pytest.fixture(scope="module")
def codec():
    return vqlab.load_pretrained("speech")


@pytest.fixture(scope="module")
def word(codec):
    """Codes (1, 3, 6) and gain of a short sound."""
    sound, _ = audio.load(ROOT / "data/voices/en/hello.flac", sample_rate=RATE)
    return codec.encode(sound[4000 : 4000 + 6 * codec.samples_per_position], 3)


@pytest.fixture
def strip(codec, word):
    return widgets.code_strip(codec, *word)


def all_widgets(codec, word):
    return [
        widgets.voronoi(POINTS, CODES),
        widgets.code_strip(codec, *word),
        widgets.keyboard(codec, codes=[3, 1, 2]),
        widgets.recorder(),
        widgets.abx(tone(), tone(450.0)),
        widgets.trade_off(tone()),
    ]


# What all have in common


def test_import_vqlab_draws_in_no_widgets_and_the_name_is_there():
    code = (
        "import sys, vqlab; early = {'ipywidgets', 'anywidget'} & set(sys.modules);"
        "print(sorted(early), vqlab.widgets.abx.__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=HANG
    )
    assert done.stdout.strip() == "[] ABX", done.stderr


def test_every_widget_has_a_sentence_for_where_no_page_is(codec, word):
    for widget in all_widgets(codec, word):
        data = widget._repr_mimebundle_()[0]
        assert data["text/plain"] == repr(widget) == f"[{widget.sentence()}]"
        assert "application/vnd.jupyter.widget-view+json" in data
        assert 40 < len(data["text/plain"]) < 250


def test_no_widget_asks_the_network_for_anything(codec, word):
    for widget in all_widgets(codec, word):
        page = str(widget._esm) + str(widget._css)
        addresses = set(re.findall(r"\w+://[^\s\"'`)]+", page))
        assert addresses == {"http://www.w3.org/2000/svg"}  # a name, not an address
        assert not re.search(r"\bimport\b.+from|@import|fetch\(", page)


def test_what_crosses_over_is_text(codec, word):
    for widget in all_widgets(codec, word):
        state = {k: v for k, v in widget.get_state().items() if k not in ("layout", "comm")}
        json.dumps(state)  # nothing binary in it


def test_a_wrong_message_becomes_a_notice_and_a_good_one_takes_it_away(strip):
    message(strip, do="replace", position="three", stage=0, code=1)
    assert "position" in strip.notice
    message(strip, do="reset")
    assert strip.notice == ""


def page_sets(widget, **state):
    """What the page has changed, handled as in the kernel."""
    data = {"method": "update", "state": state, "buffer_paths": []}
    widget._handle_msg({"content": {"data": data}, "buffers": []})


def state_of(widget):
    return {k: v for k, v in widget.get_state().items() if k not in ("layout", "notice")}


@pytest.mark.parametrize("junk", [None, 3, "take", [], [["do", "reset"]], True, 0.5])
def test_a_message_that_is_no_dictionary_is_ignored(codec, word, junk):
    for widget in all_widgets(codec, word):
        before = state_of(widget)
        widget._handle_custom_msg(junk, [])
        widget.set_state(junk)
        assert state_of(widget) == before and widget.notice == ""


@pytest.mark.parametrize(
    "name, value",
    [
        *(("points", v) for v in (None, 7, "ab", {}, [], [[1]], [[0, 0]] * 65, [[1, None]])),
        *(("points", v) for v in ([["a", "b"]], [[10**400, 0]], [[float("nan"), 0]], [[[1, 2]]])),
        *(("played", v) for v in (None, {}, [-1], [1024], ["1"], [1.5], [1] * 201, [10**30])),
        *(("n_fft", v) for v in (None, 7, "512", [512], 10**30)),
    ],
)
def test_a_refused_value_leaves_the_old_one_and_the_page_gets_it_back(codec, name, value):
    widget = {
        "points": lambda: widgets.voronoi(POINTS, CODES),
        "played": lambda: widgets.keyboard(codec, codes=[3, 1, 2]),
        "n_fft": lambda: widgets.trade_off(tone()),
    }[name]()
    before, sent = state_of(widget), []
    widget.send_state = sent.append
    page_sets(widget, **{name: value})
    assert state_of(widget) == before
    assert widget.notice and "\n" not in widget.notice
    assert [name] in sent


def test_good_values_from_the_page_are_taken(codec):
    plane, keys, slider = (
        widgets.voronoi(POINTS, CODES),
        widgets.keyboard(codec, codes=[3, 1, 2]),
        widgets.trade_off(tone()),
    )
    page_sets(plane, points=[[0, 1], [2, 2]])
    page_sets(keys, played=[3, 3, 1])
    page_sets(slider, n_fft=256)
    assert plane.points == [[0.0, 1.0], [2.0, 2.0]] and len(plane.assignment) == 2
    assert keys.played == [3, 3, 1] and slider.n_fft == 256
    assert plane.notice == keys.notice == slider.notice == ""


def test_the_page_sets_nothing_that_is_the_kernels(codec, word):
    for widget in all_widgets(codec, word):
        before = state_of(widget)
        own = {name: value for name, value in before.items() if name not in widget._from_page}
        page_sets(widget, **{name: 10**9 for name in own}, nonsense=1)
        assert state_of(widget) == before and widget.notice == ""


def test_a_long_sound_is_refused_before_it_is_sent(tmp_path):
    long = tmp_path / "hour.flac"
    soundfile.write(long, np.zeros(121 * RATE), RATE)
    with pytest.raises(ValueError, match="hour.flac lasts 121 s, taken are at most 120 s"):
        widgets.recorder(clip=long)
    with pytest.raises(ValueError, match="lasts 41.0 s: give at most 40 s"):
        widgets.abx(tone(seconds=41), tone(450.0, seconds=41))


# voronoi


def brute_force(points, codes):
    squares = [
        [sum((a - b) ** 2 for a, b in zip(p, c, strict=True)) for c in codes] for p in points
    ]
    best = [min(range(len(codes)), key=row.__getitem__) for row in squares]
    return best, sum(map(min, squares)) / (2 * len(points))


def test_six_points_and_four_codes_as_worked_by_hand():
    """Squared distances 0.25, 0.45, 0.85, 0.90, 0.32, 1.96 to the codes of notebook 05."""
    here = widgets.voronoi(POINTS, CODES)
    assert here.assignment == [0, 0, 1, 2, 2, 1]
    squares = [0.25, 0.45, 0.85, 0.90, 0.32, 0.81 + 1.21]
    assert here.loss == pytest.approx(sum(squares) / 12)
    assert "without points: code 3" in here.sentence()


place = st.tuples(*[st.floats(-3, 3, allow_nan=False)] * 2)


@settings(max_examples=40)
@given(st.lists(place, min_size=1, max_size=7), st.lists(place, min_size=1, max_size=5))
def test_the_loss_is_that_of_brute_force(points, codes):
    here = widgets.voronoi(points, codes)
    best, loss = brute_force(points, codes)
    assert here.loss == pytest.approx(loss, abs=1e-9)
    for i, (given_to, nearest) in enumerate(zip(here.assignment, best, strict=True)):
        apart = [np.hypot(*np.subtract(points[i], codes[k])) for k in (given_to, nearest)]
        assert apart[0] == pytest.approx(apart[1], abs=1e-6)  # the same, or a tie


def test_setting_points_or_codes_moves_assignment_and_loss():
    here = widgets.voronoi(torch.tensor(POINTS), np.array(CODES))
    here.points = [[1.5, -1.5], *POINTS[1:]]
    assert here.assignment[0] == 2
    here.codes = torch.tensor(CODES[:1])
    assert here.assignment == [0] * 6 and here.loss == pytest.approx(
        brute_force(here.points, CODES[:1])[1]
    )


def test_a_step_puts_each_code_at_the_mean_of_its_points_and_unused_ones_stay():
    here = widgets.voronoi(POINTS, CODES)
    before = here.loss
    after = here.step()
    assert here.codes[0] == pytest.approx([-1.6, 1.8])
    assert here.codes[1] == pytest.approx([1.15, 0.1])
    assert here.codes[2] == pytest.approx([1.45, -1.25])
    assert here.codes[3] == CODES[3]
    assert after == here.loss < before
    for _ in range(5):
        here.step()
    assert here.step() == here.loss  # settled
    here.reset()
    assert here.codes == CODES and here.loss == before


def test_the_buttons_of_the_plane_do_what_the_methods_do():
    here, other = widgets.voronoi(POINTS, CODES), widgets.voronoi(POINTS, CODES)
    message(here, do="codes")
    other.reseed()
    assert here.codes == other.codes != CODES and here.points == POINTS
    message(here, do="points")
    assert here.points != POINTS
    assert np.abs(here.points + here.codes).max() <= here.size
    message(here, do="reset")
    message(here, do="step")
    other.reset()
    other.step()
    assert here.codes == other.codes
    message(here, do="dance")
    assert "dance" in here.notice


@pytest.mark.parametrize("wrong", [[], [[1.0]], [[1.0, float("nan")]], "ab", [[0, 0]] * 65])
def test_what_is_no_plane_of_points_is_refused(wrong):
    with pytest.raises(ValueError, match="points"):
        widgets.voronoi(wrong, CODES)
    here = widgets.voronoi(POINTS, CODES)
    with pytest.raises(ValueError, match="codes"):
        here.codes = wrong
    assert here.codes == CODES and plane.MOST == 64


# code_strip


def test_a_change_in_the_strip_is_that_of_edit(strip, codec, word):
    codes, gain_db = word
    message(strip, do="replace", position=2, stage=1, code=77)
    wanted = edit.replace(codes, 2, 1, 77)
    assert strip.codes.equal(wanted) and strip.grid == wanted[0].tolist()
    assert strip.waveform.equal(edit.sound(wanted, codec, gain_db=gain_db))
    assert strip.changed() == [(2, 1)]
    sound, rate = opened(strip._sound)
    heard = strip.waveform / max(1, strip.waveform.abs().max())  # turned down before it clips
    assert rate == RATE and np.abs(sound - heard.numpy()).max() < 1e-4


def test_a_code_taken_away_takes_the_finer_ones_with_it(strip, word):
    message(strip, do="replace", position=0, stage=1, code=-1)
    assert strip.grid[0][0] >= 0 and [row[0] for row in strip.grid[1:]] == [-1, -1]
    assert len(strip.changed()) == 2


def test_undo_and_reset_go_back(strip, word):
    first = strip._sound
    strip.replace(1, 0, 5)
    strip.replace(2, 0, 6)
    strip.undo()
    assert strip.codes.equal(edit.replace(word[0], 1, 0, 5))
    strip.reset()
    assert strip.codes.equal(word[0]) and strip._sound == first
    strip.undo()
    assert strip.changed() == [(1, 0)]
    strip.undo()
    strip.undo()  # nothing left
    assert strip.changed() == []


def test_chance_gives_any_code_but_the_present_one(strip):
    before = strip.grid[0][3]
    message(strip, do="random", position=3, stage=0)
    assert 0 <= strip.grid[0][3] < 1024 and strip.grid[0][3] != before


@pytest.mark.parametrize(
    "position, stage, code, word_in_answer",
    [(0, 0, 1024, "1023"), (0, 0, -1, "-1"), (6, 0, 1, "position"), (0, 3, 1, "stage")],
)
def test_what_the_strip_has_not_is_refused_and_changes_nothing(
    strip, position, stage, code, word_in_answer
):
    before = strip.codes
    message(strip, do="replace", position=position, stage=stage, code=code)
    assert word_in_answer in strip.notice
    assert strip.codes.equal(before) and strip.grid == before[0].tolist()


def test_the_given_codes_stay_as_they_are_and_long_ones_are_refused(codec, word):
    codes = word[0].clone()
    strip = widgets.code_strip(codec, codes)
    strip.replace(0, 0, 9)
    strip.codes[0, 0, 0] = 5
    assert codes.equal(word[0]) and strip.codes[0, 0, 0] == 9
    with pytest.raises(ValueError, match="251"):
        widgets.code_strip(codec, codes[..., :1].expand(-1, -1, 251))


# keyboard


def test_a_key_sounds_as_its_code_held(codec):
    keys = widgets.keyboard(codec, codes=[7, 300])
    assert [key["code"] for key in keys.board] == [7, 300]
    wanted = edit.sound(torch.full((1, 1, 10), 300), codec)
    assert keys.hear(300).equal(wanted)
    message(keys, do="hear", code=300)
    sound, _ = opened(keys._answer["sound"])
    first = keys._answer
    message(keys, do="hear", code=300)
    assert keys._answer != first  # or the page would not learn of the second answer
    assert keys._answer["code"] == 300 and np.abs(sound - wanted.numpy()).max() < 1e-4


def test_played_keys_are_codes_and_a_tune(codec):
    keys = widgets.keyboard(codec, codes=[4, 5, 6])
    assert keys.codes.shape == (1, 1, 0)
    message(keys, do="tune")
    assert "nothing was played" in keys.notice
    keys.played = [5, 4, 5]
    assert keys.codes.tolist() == [[[5, 4, 5]]]
    stretched = keys.codes.repeat_interleave(3, dim=2)  # of a key's 10 positions a third
    assert keys.tune().equal(edit.sound(stretched, codec))


def test_pages_hold_forty_keys_the_most_used_first(codec):
    keys = widgets.keyboard(codec)
    share = widgets.keys.shares(codec)
    first = [key["code"] for key in keys.board]
    assert len(first) == 40 and keys.pages == 26
    assert share[first].min() >= np.sort(share)[-40]
    message(keys, do="page", page=25)
    assert len(keys.board) == 24 and keys.page == 25
    message(keys, do="page", page=26)
    assert "26" in keys.notice and keys.page == 25


def test_shares_are_those_at_which_the_chain_of_codes_rests(codec):
    """Two groups of two codes: 3/4 of what follows group 0, 1/2 of what follows 1, is in it."""
    from types import SimpleNamespace

    tables = SimpleNamespace(
        context=np.array([0, 0, 1, 1]),
        first=np.array([[2, 1, 1, 0], [1, 0, 0, 1]]),
    )
    codec_like = SimpleNamespace(tables=tables)
    # At rest: group 0 has 2/3, group 1 has 1/3.
    wanted = [2 / 3 * 0.5 + 1 / 3 * 0.5, 2 / 3 * 0.25, 2 / 3 * 0.25, 1 / 3 * 0.5]
    assert widgets.keys.shares(codec_like) == pytest.approx(wanted)
    assert widgets.keys.shares(codec).sum() == pytest.approx(1)


@pytest.mark.parametrize("codes, word_in_answer", [([-1], "-1"), ([], "empty")])
def test_keys_that_the_codec_has_not_are_refused(codec, codes, word_in_answer):
    with pytest.raises(ValueError, match=word_in_answer):
        widgets.keyboard(codec, codes=codes)


# recorder


def test_before_anything_is_recorded_the_bundled_clip_is_there():
    rec = widgets.recorder()
    clip, _ = audio.load(ROOT / "data/voices/en/welcome.flac", sample_rate=RATE)
    assert rec.waveform.equal(clip) and rec.sample_rate == RATE and "welcome" in rec.source


def test_float32_bytes_become_the_waveform():
    rec, sound, seen = widgets.recorder(), tone(), []
    rec.observe(lambda change: seen.append(change["new"]), "source")
    samples = base64.b64encode(sound.numpy().astype("<f4").tobytes()).decode()
    message(rec, do="take", source="microphone", samples=samples)
    assert rec.waveform.equal(sound) and rec.source == "microphone" and rec.notice == ""
    message(rec, do="take", source="microphone", samples=samples)
    assert seen.count("microphone") == 2
    message(rec, do="clip")
    assert "bundled" in rec.source


@pytest.mark.parametrize(
    "data, word_in_answer",
    [
        (b"", "0 bytes"),
        (b"\0\0\0", "3 bytes"),
        (np.array([np.nan, 0.1], "<f4").tobytes(), "NaN"),
        (bytes(4000), "silence"),
    ],
)
def test_what_is_no_recording_leaves_the_old_sound(data, word_in_answer):
    rec = widgets.recorder()
    before = rec.waveform
    message(rec, do="take", source="x", samples=base64.b64encode(data).decode())
    assert word_in_answer in rec.notice and rec.waveform.equal(before)
    message(rec, do="take", source="x", samples="*")
    assert "whole" in rec.notice


def test_a_crackling_recording_is_taken_and_said_so_and_a_long_one_is_cut():
    rec = widgets.recorder()
    rec.receive((tone(seconds=61) * 4).clamp(-1, 1).numpy().tobytes(), "loud")
    assert "full scale" in rec.notice and len(rec.waveform) == 60 * RATE


@pytest.mark.parametrize("seconds", [0, 121])
def test_lengths_that_no_message_can_carry_are_refused(seconds):
    with pytest.raises(ValueError, match="seconds"):
        widgets.recorder(seconds=seconds)


# abx


def test_the_p_value_counts_the_ways_that_tosses_can_fall():
    for trials in range(1, 10):
        rights = [tosses.bit_count() for tosses in range(2**trials)]
        for right in range(trials + 1):
            ways = sum(count >= right for count in rights)
            assert blind.chance(right, trials) == Fraction(ways, 2**trials)


@pytest.mark.parametrize("right, trials", [(11, 10), (-1, 10), (0, 0)])
def test_more_right_answers_than_trials_are_refused(right, trials):
    with pytest.raises(ValueError, match="trials"):
        blind.chance(right, trials)


def test_the_p_value_is_written_out():
    assert blind.written_out(9, 10) == "(10 + 1) / 2^10 = 11/1024 = 0.0107"
    assert blind.written_out(3, 12).startswith("(220 + 495 + … + 1) / 2^12 = 4017/4096")
    assert blind.written_out(20, 20) == "1 / 2^20 = 1/1048576 = 9.5e-07"


def test_answers_are_counted_against_what_x_was():
    test = widgets.abx(tone(), tone(450.0), trials=8, names=("original", "other"))
    truth = list(test._truth)
    for k, x in enumerate(truth):
        assert test.right is None and test.p_value is None and test.result == ""
        message(test, do="answer", trial=k + 1, choice=x if k else "ab"[x == "a"])
    assert test.done and test.right == 7 and test.p_value == pytest.approx(9 / 256)
    assert "7 of 8 right" in test.result and "(8 + 1) / 2^8 = 9/256" in test.result
    assert "you hear a difference" in test.result and test.result in test.sentence()
    with pytest.raises(ValueError, match="restart"):
        test.answer("a")


def test_an_answer_counts_once_and_only_for_its_trial():
    test = widgets.abx(tone(), tone(450.0), trials=3)
    message(test, do="answer", trial=1, choice="a")
    message(test, do="answer", trial=1, choice="b")
    assert test.answers == ["a"] and test.trial == 2
    message(test, do="answer", trial=2, choice="x")
    assert "'x'" in test.notice and test.answers == ["a"]


def test_x_is_the_drawn_one_and_nothing_in_the_page_says_which():
    a, b = tone(), tone(450.0)
    test = widgets.abx(a, b, trials=6)
    first = list(test._truth)
    for x in first:
        state = test.get_state()
        assert not state["result"] and not state["_rows"] and "_truth" not in state
        sounds = test._sounds
        assert len({sounds["a"], sounds["b"], sounds["x"]}) == 3  # a copy of its own
        heard, wanted = opened(sounds["x"])[0], {"a": a, "b": b}[x].numpy()
        other = {"a": b, "b": a}[x].numpy()
        assert np.abs(heard - wanted).max() < 2e-3 < np.abs(heard - other).max()
        test.answer("a")
    assert test._rows == [[x, "a"] for x in first]
    test.restart()
    assert len(test._truth) == 6 and test.answers == [] and test._rows == [] and not test.done


def test_the_order_is_another_each_time():
    orders = {tuple(widgets.abx(tone(), tone(450.0), trials=40)._truth) for _ in range(3)}
    assert len(orders) == 3


def test_a_and_b_are_brought_to_one_level():
    test = widgets.abx(tone(), 0.25 * tone(450.0))
    levels = [float(np.square(opened(test._sounds[key])[0]).mean()) for key in "ab"]
    assert levels[0] == pytest.approx(levels[1], rel=0.02)


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(ValueError, match="same sound"):
        widgets.abx(tone(), tone())
    with pytest.raises(ValueError, match="trials"):
        widgets.abx(tone(), tone(450.0), trials=0)


# trade_off


def test_the_two_blurs_multiply_to_one_and_are_those_of_the_window():
    slider = widgets.trade_off(tone())
    assert slider.n_fft == 512
    for n_fft in slider.lengths:
        slider.n_fft = n_fft
        assert slider.seconds_blur * slider.hz_blur == pytest.approx(1)
    slider.n_fft = 256
    window = torch.hann_window(256, periodic=True)
    wide = int((window >= 0.5).sum()) / RATE
    assert slider.seconds_blur == pytest.approx(wide, rel=0.01)
    spectrum = torch.fft.rfft(window, 256 * 64).abs()
    half = 2 * int((spectrum >= spectrum[0] / 2).sum()) / 64 * RATE / 256
    assert slider.hz_blur == pytest.approx(half, rel=0.02)


def test_there_is_a_picture_for_every_length():
    from PIL import Image

    slider = widgets.trade_off(tone(2000.0), highest=4000)
    assert slider.n_fft in slider.lengths == [64, 128, 256, 512, 1024, 2048, 4096]
    for uri, n_fft in zip(slider._pictures, slider.lengths, strict=True):
        picture = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
        levels = np.asarray(picture)
        loud = levels[:, levels.shape[1] // 2]
        assert abs(int(loud.argmax()) / len(loud) - 0.5) < 0.06  # 2 kHz, half-way up to 4 kHz
        rows = (loud > 0.9 * loud.max()).sum() * 4000 / len(loud)
        assert (rows > 100) == (n_fft <= 256)  # a tone is broad where the window is short
    with pytest.raises(ValueError, match="500"):
        slider.n_fft = 500
    with pytest.raises(ValueError, match="seconds|10 s"):
        widgets.trade_off(tone(seconds=11))


# knobs

KNOBS = """\
from ipywidgets import IntSlider
from IPython.display import HTML
from vqlab import widgets
n = IntSlider(2, 1, 9)
widgets.knobs(lambda n: HTML(f"<p>{n * n}</p>"), n=n)
"""


def test_knobs_show_an_output_of_the_cell_which_a_program_can_run_and_a_file_can_keep():
    cells = [nbformat.v4.new_code_cell(source) for source in (KNOBS, "n.value = 5")]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(notebook, timeout=HANG, startup_timeout=HANG, kernel_name="python3")
    client.execute(cwd=ROOT)
    shown = [out.data["text/html"] for out in cells[0].outputs if "text/html" in out.data]
    assert shown == ["<p>25</p>"]  # which the second cell has replaced where it stood
    models = {state["_model_name"] for state in client.widget_state.values()}
    assert "IntSliderModel" in models and "OutputModel" not in models  # the one that is waited for
