import importlib
import itertools
import math
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from _support import need
from hypothesis import given, settings
from hypothesis import strategies as st

import vqlab
from vqlab import audio, metrics

RATE = 16000


@pytest.fixture
def speech() -> torch.Tensor:
    """1.5 s that STOI and PESQ take for speech: a buzz and noise, in four syllables a second."""
    generator = torch.Generator().manual_seed(3)
    t = torch.arange(int(1.5 * RATE)) / RATE
    buzz = sum(torch.sin(2 * math.pi * 120 * k * t) / k for k in range(1, 30))
    noise = torch.randn(len(t), generator=generator)
    syllables = (0.5 - 0.5 * torch.cos(2 * math.pi * 4 * t)) ** 2
    return 0.1 * syllables * (buzz + 0.3 * noise * torch.cos(2 * math.pi * 2 * t))


def noise(samples: int, *, level: float = 0.1, seed: int = 0) -> torch.Tensor:
    return level * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def item(waveform, speaker="a", name="stop/a_nohash_0.wav", sample_rate=RATE):
    return SimpleNamespace(
        waveform=waveform,
        sample_rate=sample_rate,
        label="stop",
        speaker=speaker,
        path=Path("/somewhere/else") / name,
    )


def test_log_mel_distance_of_a_sound_to_itself_is_zero():
    assert metrics.log_mel_distance(noise(RATE), noise(RATE)) == 0.0


@pytest.mark.parametrize("factor, db", [(0.5, 6.0206), (2.0, 6.0206), (0.1, 20.0), (-1.0, 0.0)])
def test_a_wrong_level_costs_its_decibels(factor, db):
    sound = noise(RATE)  # far above the floor in every band, so every cell moves by the same
    assert metrics.log_mel_distance(sound, factor * sound) == pytest.approx(db, abs=1e-3)


def test_losing_the_whole_sound_costs_its_height_over_the_floor():
    # Every cell falls to the floor, 80 dB under the loudest cell, so the distance is 80 dB less
    # the mean depth of the original's cells under the loudest.
    sound = noise(RATE)
    power = mel_by_librosa(sound)
    depth = 10 * np.log10(power.max()) - 10 * np.log10(power).mean()
    assert metrics.log_mel_distance(sound, 0 * sound) == pytest.approx(80 - depth, abs=1e-3)


def test_what_lies_80_db_under_the_originals_maximum_does_not_count():
    sound = torch.cat([noise(RATE), torch.zeros(RATE)])
    faint = torch.cat([noise(RATE), noise(RATE, level=1e-6)])  # -100 dB against the first second
    loud = torch.cat([noise(RATE), noise(RATE, level=1e-3)])
    assert metrics.log_mel_distance(sound, faint) < 0.05
    assert metrics.log_mel_distance(sound, loud) > 5
    assert metrics.log_mel_distance(0 * sound, sound) is None


def test_the_floor_hangs_on_the_original_however_loud_the_decoded_sound_is():
    # The second half lies 55 dB under the first (about 65 dB under the loudest cell): above the
    # floor, and 20 dB more in the decoded sound must not lift the floor over it. Every cell
    # is 20 dB too loud.
    sound = torch.cat([noise(RATE), noise(RATE, level=0.1 * 10 ** (-55 / 20))])
    assert metrics.log_mel_distance(sound, 10 * sound) == pytest.approx(20, abs=0.3)


def mel_by_librosa(sound):
    librosa = need("librosa")
    return librosa.feature.melspectrogram(
        y=sound.numpy(), sr=RATE, n_fft=1024, hop_length=256, n_mels=80, fmin=0, fmax=8000
    )


@pytest.mark.filterwarnings("ignore:n_fft=1024 is too large")
@pytest.mark.parametrize("samples", [100, 500, 4096, 16000, 16001])
def test_log_mel_distance_equals_librosas_spectrograms(samples):
    original, decoded = noise(samples), noise(samples, level=0.01, seed=1)
    power, other = mel_by_librosa(original), mel_by_librosa(decoded)
    floor = power.max() * 1e-8
    expected = np.abs(10 * np.log10(np.maximum(power, floor) / np.maximum(other, floor))).mean()
    assert metrics.log_mel_distance(original, decoded) == pytest.approx(expected, abs=1e-4)


def test_other_sample_rates_are_brought_to_16_khz_first():
    low = noise(8000)
    high = audio.resample(low, 8000, RATE), audio.resample(0.5 * low, 8000, RATE)
    expected = metrics.log_mel_distance(*high)
    assert metrics.log_mel_distance(low, 0.5 * low, 8000) == pytest.approx(expected, rel=1e-6)


def test_a_sound_scored_against_itself_gets_the_best_values(speech):
    need("pystoi"), need("pesq")
    scores = metrics.score(speech, speech)
    assert tuple(scores) == metrics.METRICS
    assert scores["stoi"] == pytest.approx(1, abs=1e-4)
    assert scores["estoi"] == pytest.approx(1, abs=1e-4)
    assert scores["pesq_wb"] == pytest.approx(4.64, abs=0.01)
    assert scores["pesq_nb"] == pytest.approx(4.55, abs=0.01)
    assert scores["log_mel_db"] == 0


def test_more_noise_is_worse_by_every_measure(speech):
    need("pystoi"), need("pesq")
    steps = [metrics.score(speech, speech + noise(len(speech), level=x)) for x in (0.01, 0.1)]
    for name in metrics.METRICS:
        better, worse = steps[0][name], steps[1][name]
        assert (better < worse) if name == "log_mel_db" else (better > worse), name


def test_stoi_and_estoi_are_the_librarys(speech):
    library = need("pystoi")
    decoded = speech + noise(len(speech), level=0.03)
    x, y = speech.numpy(), decoded.numpy()
    for measure, extended in ((metrics.stoi, False), (metrics.estoi, True)):
        expected = library.stoi(x, y, RATE, extended=extended)
        assert measure(speech, decoded) == pytest.approx(expected, rel=1e-6)


def test_narrow_band_pesq_does_not_hear_the_upper_band(speech):
    need("pesq")
    limited = audio.resample(audio.resample(speech, RATE, 8000), 8000, RATE)
    assert metrics.pesq_nb(speech, limited) > 4.5
    assert metrics.pesq_wb(speech, limited) < 4.5


def test_pesq_is_the_librarys_at_16_and_at_8_khz(speech):
    library = need("pesq")
    decoded = speech + noise(len(speech), level=0.03)
    low = [audio.resample(x, RATE, 8000).numpy() for x in (speech, decoded)]
    expected = library.pesq(RATE, speech.numpy(), decoded.numpy(), "wb")
    assert metrics.pesq_wb(speech, decoded) == pytest.approx(expected, rel=1e-6)
    expected = library.pesq(8000, *low, "nb")
    assert metrics.pesq_nb(speech, decoded) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("samples", [1, 300, 5000, RATE])
def test_stoi_is_undefined_below_thirty_frames_of_speech(speech, samples):
    need("pystoi")
    short = torch.zeros(samples)
    short[:4000] = speech[2000:6000][:samples]  # at most a quarter of a second is not silent
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metrics.stoi(short, short) is None
        assert metrics.estoi(short, short) is None


def test_a_tiny_stoi_is_a_value_and_not_taken_for_undefined(speech, monkeypatch):
    pystoi = need("pystoi")
    monkeypatch.setattr(pystoi, "stoi", lambda *args, **kwargs: 1e-5)
    assert metrics.stoi(speech, speech) == 1e-5


def test_pesq_is_undefined_without_speech_and_for_very_short_sounds(speech):
    need("pesq")
    for measure in (metrics.pesq_wb, metrics.pesq_nb):
        assert measure(0 * speech, speech) is None
        assert measure(speech, 0 * speech) is None
        assert measure(speech[:3000], speech[:3000]) is None


def test_a_silent_original_has_no_score_at_all(speech):
    need("pystoi"), need("pesq")
    assert set(metrics.score(0 * speech, speech).values()) == {None}


def test_a_recording_too_long_for_pesq_keeps_its_other_scores(speech):
    need("pystoi"), need("pesq")
    long = speech.repeat(14)  # 21 s
    with pytest.raises(ValueError, match="up to 20 s, not 21.0 s"):
        metrics.pesq_wb(long, long)
    with pytest.warns(UserWarning, match="PESQ is left out: the clip lasts 21.0 s"):
        scores = metrics.score(long, long)
    assert scores["pesq_wb"] is None and scores["pesq_nb"] is None
    assert scores["stoi"] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(
    "original, decoded, said",
    [
        (noise(100), noise(99), "100 samples, the decoded sound 99"),
        (noise(100).view(1, 100), noise(100), r"original sound has the shape \(1, 100\)"),
        (noise(100), noise(100) / 0, "decoded sound has 100 samples that are NaN or infinite"),
        (noise(0), noise(0), r"shape \(0,\)"),
    ],
)
def test_sounds_that_do_not_match_are_refused(original, decoded, said):
    with pytest.raises(ValueError, match=said):
        metrics.log_mel_distance(original, decoded)


@pytest.mark.parametrize("library", ["pystoi", "pesq"])
def test_a_missing_library_is_named_with_the_way_to_get_it(library, monkeypatch, speech):
    monkeypatch.setitem(sys.modules, library, None)
    measure = metrics.stoi if library == "pystoi" else metrics.pesq_wb
    with pytest.raises(ImportError, match=f"{library}.*pip install {library}"):
        measure(speech, speech)


def test_importing_metrics_needs_neither_pystoi_nor_pesq(monkeypatch):
    for name in ("pystoi", "pesq"):
        monkeypatch.setitem(sys.modules, name, None)  # an import of it now fails
    for name in [n for n in sys.modules if n.startswith("vqlab.metrics")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(vqlab, "metrics", metrics)  # puts it back afterwards
    fresh = importlib.import_module("vqlab.metrics")
    assert fresh is not metrics
    assert fresh.log_mel_distance(noise(9), noise(9)) == 0


@pytest.fixture
def quick(monkeypatch):
    """Score by the greatest difference alone, so that cutting and counting can be seen."""
    monkeypatch.setattr(
        "vqlab.metrics.summary.score", lambda x, y, rate: {"worst": float((x - y).abs().max())}
    )


def test_the_codec_hears_half_a_second_of_silence_on_both_sides(quick):
    heard = []
    rows = metrics.score_codec(lambda x: heard.append(x) or x, [item(noise(1000))])
    assert torch.equal(heard[0][8000:9000], noise(1000))
    assert len(heard[0]) == 17000
    assert not heard[0][:8000].any() and not heard[0][9000:].any()
    assert rows == [
        {
            "clip": "stop/a_nohash_0.wav",
            "label": "stop",
            "speaker": "a",
            "seconds": 1000 / RATE,
            "worst": 0.0,
        }
    ]


def test_a_codec_that_gives_too_little_back_is_refused(quick):
    with pytest.raises(ValueError, match="a_nohash_0.wav: the decoded sound ends 500 samples"):
        metrics.score_codec(lambda x: x[:8500], [item(noise(1000))])


def test_scoring_records_no_gradients(quick):
    weight, recorded = torch.ones((), requires_grad=True), []

    def codec(x):
        recorded.append((weight * x).requires_grad)
        return x

    metrics.score_codec(codec, [item(noise(1000))])
    assert recorded == [False]


ROWS = [
    {"speaker": "a", "stoi": 0.2},
    {"speaker": "a", "stoi": 0.4},
    {"speaker": "a", "stoi": None},
    {"speaker": "b", "stoi": 0.9},
    {"speaker": "c", "stoi": None},
    {"speaker": "d", "stoi": 0.6},
]


def test_undefined_clips_are_left_out_and_counted():
    summary = metrics.summarise(ROWS, metrics=["stoi"])["stoi"]
    assert summary.n == 4
    assert summary.mean == pytest.approx((0.2 + 0.4 + 0.9 + 0.6) / 4)
    assert summary.low <= summary.mean <= summary.high


def test_the_interval_is_that_of_all_draws_of_speakers():
    # Three speakers have a value; all 27 ordered draws of three are equally likely.
    values = {"a": [0.2, 0.4], "b": [0.9], "d": [0.6]}
    means = [
        np.mean(sum((values[s] for s in draw), [])) for draw in itertools.product("abd", repeat=3)
    ]
    low, high = np.percentile(np.repeat(means, 1000), [2.5, 97.5])
    summary = metrics.summarise(ROWS, metrics=["stoi"])["stoi"]
    assert (summary.low, summary.high) == pytest.approx((low, high), abs=1e-9)


def test_the_interval_spans_speakers_and_not_clips():
    # Two speakers of 200 clips each: over clips the mean would be known to 0.05, over speakers a
    # draw has twice the same speaker half of the time.
    rows = [{"speaker": s, "stoi": v} for s, v in (("a", 0.0), ("b", 1.0)) for _ in range(200)]
    summary = metrics.summarise(rows, metrics=["stoi"])["stoi"]
    assert summary == (0.5, 0.0, 1.0, 400)


def test_clips_without_a_speaker_stand_for_themselves():
    rows = [{"speaker": "", "stoi": v} for v in (0.0, 1.0)]
    assert metrics.summarise(rows, metrics=["stoi"])["stoi"] == (0.5, 0.0, 1.0, 2)


@settings(max_examples=30)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.none() | st.floats(-5, 5)), min_size=1))
def test_a_summary_is_the_same_each_time_and_stays_within_the_values(pairs):
    rows = [{"speaker": s, "stoi": v} for s, v in pairs]
    first = metrics.summarise(rows, metrics=["stoi"])["stoi"]
    again = metrics.summarise(rows, metrics=["stoi"])["stoi"]
    values = [v for _, v in pairs if v is not None]
    assert first.n == len(values)
    if values:
        assert first == again
        assert min(values) - 1e-9 <= first.low <= first.high <= max(values) + 1e-9
    else:
        assert math.isnan(first.mean) and math.isnan(first.low)


def test_summaries_of_nothing_and_of_unknown_measures_are_refused():
    with pytest.raises(ValueError, match="no rows"):
        metrics.summarise([])
    with pytest.raises(ValueError, match="no 'estoi'"):
        metrics.summarise(ROWS, metrics=["estoi"])


def test_a_list_names_clips_relative_to_the_root_or_inside_it(tmp_path):
    names = ["sets/stop/1f3bece8_nohash_2.wav", "sets/test-other/1688/142285/1688-142285-0003.wav"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        audio.save(tmp_path / name, noise(1000), RATE)
    listed = tmp_path / "clips.txt"
    listed.write_text("# two clips\n" + "\n\n".join(names) + "\n")
    for root in (tmp_path, tmp_path / "sets"):
        clips = metrics.clips_from_list(listed, root, seconds=0.05)
        assert [clip.speaker for clip in clips] == ["1f3bece8", "1688"]
        assert clips[0].label == "stop"
        assert [clip.path for clip in clips] == [tmp_path / name for name in names]
        assert [len(clip.waveform) for clip in clips] == [800, 800]
        assert torch.allclose(clips[0].waveform, noise(1000)[:800], atol=1e-4)


def test_clips_that_are_not_there_are_counted_and_the_first_named(tmp_path):
    listed = tmp_path / "clips.txt"
    with pytest.raises(FileNotFoundError, match="no list of clips"):
        metrics.clips_from_list(listed, tmp_path)
    listed.write_text("a/b.wav\na/c.wav\n")
    with pytest.raises(FileNotFoundError, match=r"2 of the 2 clips .* the first: a/b.wav"):
        metrics.clips_from_list(listed, tmp_path)


def test_names_in_a_table_are_escaped():
    named = metrics.markdown_table({"run": "run"}, [{"run": "a|<b>\nc"}])
    assert named.splitlines()[2] == r"| a\|&lt;b&gt; c |"


def test_a_table_shows_intervals_and_a_dash_for_what_is_undefined():
    rows = [
        {"codec": "ours", "stoi": metrics.Summary(0.78249, 0.7, 0.8, 9), "kbps": 1.0},
        {"codec": "theirs", "stoi": metrics.Summary(math.nan, math.nan, math.nan, 0), "kbps": None},
    ]
    assert metrics.markdown_table({"codec": "codec", "kbps": "kbit/s", "stoi": "STOI"}, rows) == (
        "| codec | kbit/s | STOI |\n|---|--:|--:|\n"
        "| ours | 1.00 | 0.782 [0.700, 0.800] |\n| theirs | – | – |"
    )
