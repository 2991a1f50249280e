"""What ships as sound: the bundled words and voices, their layout, levels, splits and licences."""

from __future__ import annotations

import csv
import importlib.util
import re
import sys
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile

ROOT = Path(__file__).resolve().parent.parent
WORDS_FOLDER = ROOT / "data" / "words"
VOICES_FOLDER = ROOT / "data" / "voices"
WORDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
LANGUAGES = ("en", "es", "fr", "it", "ru")


@cache
def word_paths() -> tuple[Path, ...]:
    return tuple(sorted(path for word in WORDS for path in (WORDS_FOLDER / word).iterdir()))


@cache
def word_clips() -> dict[str, np.ndarray]:
    """Every word as int16 samples, by its name below data/words."""
    return {
        path.relative_to(WORDS_FOLDER).as_posix(): soundfile.read(path, dtype="int16")[0]
        for path in word_paths()
    }


@cache
def speakers() -> dict[str, dict[str, str]]:
    with open(WORDS_FOLDER / "speakers.csv", newline="") as file:
        return {row["speaker"]: row for row in csv.DictReader(file)}


def listed(split: str) -> set[str]:
    return set((WORDS_FOLDER / f"{split}_list.txt").read_text().split())


def speaker_of(name: str) -> str:
    return name.split("/")[1].split("_nohash_")[0]


@cache
def tool(name: str) -> ModuleType:
    """One of the maintainers' scripts, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def longest_run_of_zeros(samples: np.ndarray) -> int:
    edges = np.flatnonzero(np.concatenate([[True], samples != 0, [True]]))
    return int(np.diff(edges).max()) - 1


def test_longest_run_of_zeros_counts_by_hand():
    assert longest_run_of_zeros(np.array([0, 0, 3, 0, 0, 0, -1, 0])) == 3
    assert longest_run_of_zeros(np.array([1, 2])) == 0


def test_there_are_exactly_the_ten_words():
    folders = {path.name for path in WORDS_FOLDER.iterdir() if path.is_dir()}
    assert folders == set(WORDS)


def test_every_name_is_a_speech_commands_name():
    for path in word_paths():
        assert re.fullmatch(r"[0-9a-f]{8}_nohash_[0-9]\.flac", path.name), path


def test_every_word_is_one_second_of_16_khz_mono_16_bit():
    for path in word_paths():
        info = soundfile.info(path)
        found = (info.samplerate, info.channels, info.frames, info.format, info.subtype)
        assert found == (16_000, 1, 16_000, "FLAC", "PCM_16"), path


def test_no_word_is_clipped():
    limit = 32768 * 10 ** (-1 / 20)  # -1 dBFS
    for name, clip in word_clips().items():
        assert np.abs(clip.astype(int)).max() <= limit, name


def test_no_word_contains_digital_silence():
    for name, clip in word_clips().items():
        assert longest_run_of_zeros(clip) < 80, name  # 5 ms


def test_levels_differ_from_clip_to_clip_but_none_is_inaudible():
    levels = []
    for name, clip in word_clips().items():
        frames = np.sqrt(np.mean((clip.reshape(-1, 320) / 32768) ** 2, axis=1))
        active = frames[frames > frames.max() * 10 ** (-25 / 20)]
        levels.append(20 * np.log10(np.sqrt(np.mean(active**2))))
        assert -33 < levels[-1] < -13, name
    assert np.std(levels) > 2


def test_no_word_is_cut_at_an_end():
    for name, clip in word_clips().items():
        power = np.mean(clip.reshape(-1, 160).astype(float) ** 2, axis=1)  # 10 ms
        edges = max(power[:2].max(), power[-2:].max())
        assert edges < power.max() * 10 ** (-15 / 10), name


def test_words_do_not_all_sit_at_the_same_place():
    centres = []
    for clip in word_clips().values():
        power = clip.astype(float) ** 2
        centres.append(np.sum(np.arange(16_000) * power) / power.sum())
    assert np.std(centres) > 0.03 * 16_000


def test_there_are_at_least_forty_voices_and_each_says_every_word():
    assert len(speakers()) >= 40
    said = {(name.split("/")[0], speaker_of(name)) for name in word_clips()}
    assert said == {(word, speaker) for word in WORDS for speaker in speakers()}


def test_takes_are_numbered_from_zero_without_gaps():
    for word in WORDS:
        takes: dict[str, set[int]] = {}
        for name in word_clips():
            if name.startswith(f"{word}/"):
                takes.setdefault(speaker_of(name), set()).add(int(name[-6]))
        for speaker, numbers in takes.items():
            assert numbers == set(range(len(numbers))), (word, speaker)
            assert 1 <= len(numbers) <= 3, (word, speaker)


def test_no_two_clips_are_the_same():
    assert len({clip.tobytes() for clip in word_clips().values()}) == len(word_clips())


def test_lists_name_exactly_the_clips_of_their_speakers():
    for split, in_table in (("validation", "validation"), ("testing", "test")):
        expected = {n for n in word_clips() if speakers()[speaker_of(n)]["split"] == in_table}
        assert listed(split) == expected
        assert expected


def test_no_speaker_is_in_two_splits():
    validation = {speaker_of(name) for name in listed("validation")}
    test = {speaker_of(name) for name in listed("testing")}
    held_out = listed("validation") | listed("testing")
    train = {speaker_of(name) for name in word_clips() if name not in held_out}
    assert not validation & test and not validation & train and not test & train


def test_splits_are_about_seventy_fifteen_fifteen_by_voice():
    counts = {split: 0 for split in ("train", "validation", "test")}
    for row in speakers().values():
        counts[row["split"]] += 1
    assert 0.6 <= counts["train"] / len(speakers()) <= 0.8
    assert min(counts["validation"], counts["test"]) >= 0.1 * len(speakers())


def test_training_hears_every_engine_but_no_variant_or_recorded_person_of_the_test():
    def kinds(split: str) -> set[tuple[str, ...]]:
        person = {"kal16": "kal", "kal_diphone": "kal", "cmu_us_slt_arctic_hts": "slt"}
        found = set()
        for row in speakers().values():
            if row["split"] == split and row["engine"] == "espeak-ng":
                found.add(("variant", row["variant"]))
            elif row["split"] == split:
                found.add(("person", person.get(row["voice"], row["voice"])))
        return found

    engines = {row["engine"] for row in speakers().values()}
    assert {r["engine"] for r in speakers().values() if r["split"] == "train"} == engines
    assert len(engines) >= 3
    assert not kinds("train") & kinds("test")
    assert not kinds("train") & kinds("validation")


def test_speakers_csv_has_its_columns():
    header = (WORDS_FOLDER / "speakers.csv").read_text().splitlines()[0]
    assert header == "speaker,engine,voice,variant,rate,pitch,split"


def test_words_take_at_most_twelve_megabytes():
    assert sum(p.stat().st_size for p in WORDS_FOLDER.rglob("*") if p.is_file()) <= 12_000_000


def test_datasheet_states_the_counts_that_are_there():
    text = (WORDS_FOLDER / "DATASHEET.md").read_text()
    assert f"{len(word_clips())} clips" in text
    assert f"{len(speakers())} voices" in text
    for split in ("train", "validation", "test"):
        ids = {s for s, row in speakers().items() if row["split"] == split}
        clips = sum(speaker_of(name) in ids for name in word_clips())
        assert re.search(rf"\| {split} +\| {len(ids)} +\| {clips} +\|", text), split


def test_words_come_with_their_licence_and_their_measurement():
    assert "CC0 1.0 Universal" in (WORDS_FOLDER / "LICENSE.txt").read_text()
    assert "CC0" in (WORDS_FOLDER / "DATASHEET.md").read_text()
    overall = re.search(
        r"\| all \| \d+ \| (\d+) \| ([\d.]+) % \|", (WORDS_FOLDER / "CHECK.md").read_text()
    )
    assert overall is not None
    assert int(overall[1]) == len(word_clips())  # the measurement is of this set
    assert float(overall[2]) > 70


def test_the_tool_knows_the_voices_that_are_there():
    assert sorted(voice.speaker for voice in tool("make_words").VOICES) == sorted(speakers())


@pytest.mark.parametrize("name", ["make_words", "make_voices"])
def test_a_tool_says_in_one_sentence_what_is_missing(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tool(name).main(["--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("Missing: ") and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_recordings_of_one_to_five_seconds(language):
    paths = sorted((VOICES_FOLDER / language).glob("*.flac"))
    assert 4 <= len(paths) <= 8
    for path in paths:
        info = soundfile.info(path)
        assert (info.samplerate, info.channels, info.subtype) == (16_000, 1, "PCM_16")
        assert 0.6 <= info.duration <= 5.0, path
        samples = soundfile.read(path, dtype="int16")[0].astype(int)
        assert 1000 < np.abs(samples).max() < 32_500, path


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_attribution_and_the_text_of_its_licence(language):
    readme = (VOICES_FOLDER / "README.md").read_text()
    row = re.search(rf"\| `{language}` \| [^|]+ \| \[(CC-[\w.-]+)\][^|]+ \| ([^|]+) \|", readme)
    assert row is not None
    text = (VOICES_FOLDER / f"LICENSE-{row[1]}.txt").read_text()
    assert "creative commons" in text.lower() and len(text) > 10_000
    assert "http" in row[2] and ("Recorded by" in row[2] or "Provided by" in row[2])


def test_voices_are_few_and_small_and_all_in_the_table():
    readme = (VOICES_FOLDER / "README.md").read_text()
    paths = sorted(VOICES_FOLDER.glob("*/*.flac"))
    assert 20 <= len(paths) <= 40
    assert sum(path.stat().st_size for path in paths) <= 2_000_000
    for path in paths:
        seconds = soundfile.info(path).duration
        assert f"| {path.parent.name}/{path.name} | {seconds:.2f} |" in readme
