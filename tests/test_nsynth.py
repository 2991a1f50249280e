"""NSynth: folders and archives in the original layout, made here, and the real notes."""

import io
import json
import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile
from _support import missing

from vqlab import datasets, files
from vqlab.datasets import nsynth

RATE = 16000

# Names as in the set, family by family; two notes of the first instrument.
NOTES = (
    "bass_electronic_018-060-075",
    "bass_electronic_018-062-025",
    "flute_acoustic_002-077-100",
    "guitar_acoustic_014-060-127",
    "synth_lead_synthetic_011-050-050",
    "vocal_acoustic_000-060-050",
)


def facts(name: str) -> dict:
    """An entry of examples.json, with the keys of the original."""
    instrument = name.split("-")[0]
    family, source, _ = instrument.rsplit("_", 2)
    return {
        "qualities": [0, 0, 0, 1, 0, 0, 0, 0, 0, 0], "pitch": int(name.split("-")[1]),
        "note": 150009, "instrument_source_str": source, "velocity": int(name.split("-")[2]),
        "instrument_str": instrument, "instrument": 759, "sample_rate": RATE,
        "qualities_str": ["fast_decay"], "instrument_source": nsynth.SOURCES.index(source),
        "note_str": name, "instrument_family": nsynth.FAMILIES.index(family),
        "instrument_family_str": family,
    }  # fmt: skip


def write(folder: Path, names=NOTES, *, examples: bool = True, audio: str = "audio") -> Path:
    """A folder as the set has them: audio/*.wav of 64,000 samples of 16 bits, examples.json."""
    (folder / audio).mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(names):
        samples = 0.3 * np.sin(2 * np.pi * 220 * (number + 1) * np.arange(4 * RATE) / RATE)
        soundfile.write(folder / audio / f"{name}.wav", samples, RATE, subtype="PCM_16")
    if examples:
        (folder / "examples.json").write_text(json.dumps({n: facts(n) for n in names}, indent=1))
    return folder


def archive(path: Path, names=NOTES, *, inside: str = "nsynth-test") -> Path:
    """A .jsonwav.tar.gz as the set has them: one folder, its audio and its examples.json."""
    folder = write(path.parent / "packing" / inside, names)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, inside)
    for file in folder.rglob("*.wav"):
        file.unlink()
    return path


# Names


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("guitar_acoustic_014-060-127", ("guitar_acoustic_014", "guitar", "acoustic", 60, 127)),
        (
            "synth_lead_synthetic_011-021-025",
            ("synth_lead_synthetic_011", "synth_lead", "synthetic", 21, 25),
        ),
    ],
)
def test_a_name_says_instrument_family_source_pitch_and_velocity(name, said):
    assert nsynth.parse(name) == nsynth.Note(*said)


@pytest.mark.parametrize(
    "name", ["guitar", "guitar_014-060-127", "guitar_acoustic_014-060", "_acoustic_014-060-127"]
)
def test_other_names_say_nothing(name):
    assert nsynth.parse(name) is None


# One folder


@pytest.mark.parametrize("examples", [True, False], ids=["with examples.json", "without"])
@pytest.mark.parametrize("audio", ["audio", "."])
def test_a_folder_of_notes_is_read(tmp_path, examples, audio):
    write(tmp_path, examples=examples, audio=audio)
    found = datasets.load("nsynth", "all", root=tmp_path, seconds=4.0)
    assert [entry.path.stem for entry in found.entries] == sorted(NOTES)
    assert found.labels == ["bass", "bass", "flute", "guitar", "synth_lead", "vocal"]
    assert found.speakers[-2:] == ["synth_lead_synthetic_011", "vocal_acoustic_000"]
    assert found.classes == ["bass", "flute", "guitar", "synth_lead", "vocal"]
    item = found[2]
    assert item.waveform.shape == (4 * RATE,) and item.sample_rate == RATE
    third = 0.3 * np.sin(2 * np.pi * 660 * np.arange(4 * RATE) / RATE)
    np.testing.assert_allclose(item.waveform, third, atol=1 / 32768)


def test_one_folder_is_split_by_instrument_whatever_the_filter(tmp_path):
    names = [f"{f}_acoustic_{n:03}-060-{v:03}" for f in ("reed", "brass") for n in range(10)
             for v in (25, 100)]  # fmt: skip
    write(tmp_path, names, examples=False)
    parts = {s: datasets.load("nsynth", s, root=tmp_path) for s in nsynth.FOLDERS}
    speakers = {split: set(part.speakers) for split, part in parts.items()}
    assert [len(found) for found in speakers.values()] == [12, 4, 4]
    assert len(set.union(*speakers.values())) == 20
    assert sum(map(len, parts.values())) == 40
    reeds = datasets.load("nsynth", "train", root=tmp_path, families="reed")
    assert set(reeds.speakers) == {name for name in speakers["train"] if name[:4] == "reed"}
    assert reeds.classes == ["reed"]


def test_families_and_sources_are_filtered(tmp_path):
    write(tmp_path)

    def load(**options):
        return datasets.load("nsynth", "all", root=tmp_path, **options)

    assert set(load(sources="acoustic").labels) == {"flute", "guitar", "vocal"}
    assert set(load(families=["bass", "guitar"]).labels) == {"bass", "guitar"}
    assert load(families=["bass", "guitar"], sources=["acoustic"]).labels == ["guitar"]
    with pytest.raises(ValueError, match=r"'bas'.*bass, brass"):
        load(families="bas")
    with pytest.raises(ValueError, match=r"'plastic'.*acoustic, electronic, synthetic"):
        load(sources="plastic")
    with pytest.raises(ValueError, match="No family was chosen"):
        load(families=[])
    with pytest.raises(ValueError, match=r"no clip of organ.*Choose others"):
        load(families="organ")


def test_files_named_otherwise_are_left_out_and_counted(tmp_path):
    audio = write(tmp_path, NOTES[:2]) / "audio"
    (audio / f"{NOTES[0]}.wav").rename(audio / "take one.wav")
    (audio / "._take one.wav").write_bytes(b"left by macOS")
    found = datasets.load("nsynth", "all", root=tmp_path)
    assert [entry.path.stem for entry in found.entries] == [NOTES[1]]
    assert any(note.startswith("1 file not named <family>") for note in found.remarks)


def test_two_instruments_are_too_few_for_splits(tmp_path):
    write(tmp_path, NOTES[:3])
    assert len(datasets.load("nsynth", "train", root=tmp_path)) == 3
    with pytest.raises(ValueError, match="2 instruments.*split='all'"):
        datasets.load("nsynth", "test", root=tmp_path)


# The official folders


@pytest.fixture
def official(tmp_path: Path) -> Path:
    write(tmp_path / "nsynth" / "nsynth-train", NOTES[:3])
    write(tmp_path / "nsynth" / "nsynth-valid", [NOTES[3]], examples=False)
    write(tmp_path / "nsynth" / "nsynth-test", [NOTES[4], NOTES[5]])
    return tmp_path


@pytest.mark.parametrize("place", [".", "nsynth"])
def test_official_folders_are_the_splits(official, place):
    def names(split):
        found = datasets.load("nsynth", split, root=official / place)
        assert found.classes == sorted(nsynth.FAMILIES)
        return [entry.path.stem for entry in found.entries]

    assert names("train") == list(NOTES[:3])
    assert names("validation") == [NOTES[3]]
    assert names("test") == list(NOTES[4:])
    assert names("all") == list(NOTES)


def test_an_instrument_that_is_held_out_is_not_in_training(official):
    write(official / "nsynth" / "nsynth-train", ["vocal_acoustic_000-070-050"])
    found = datasets.load("nsynth", "train", root=official)
    assert "vocal_acoustic_000" not in found.speakers and len(found) == 3
    assert any("1 note of the train split left out" in note for note in found.remarks)


def test_instruments_in_both_validation_and_test_are_said(official):
    write(official / "nsynth" / "nsynth-valid", ["vocal_acoustic_000-070-050"])
    for split in ("validation", "test"):
        found = datasets.load("nsynth", split, root=official)
        assert "vocal_acoustic_000" in found.speakers
        assert any("1 instrument in common" in note for note in found.remarks)


def test_a_part_that_is_not_here_says_how_to_get_it(official):
    for file in (official / "nsynth" / "nsynth-train").rglob("*.*"):
        file.unlink()
    (official / "nsynth/nsynth-train/audio").rmdir()
    (official / "nsynth/nsynth-train").rmdir()
    with pytest.raises(FileNotFoundError, match=r"only nsynth-valid, nsynth-test.*--split train"):
        datasets.load("nsynth", "train", root=official)
    alone = official / "nsynth" / "nsynth-test"
    assert len(datasets.load("nsynth", "all", root=alone)) == 2  # one folder, as any other


def test_nothing_at_all_names_the_ways(tmp_path, monkeypatch):
    monkeypatch.delenv("VQLAB_DATA", raising=False)
    monkeypatch.setattr(files, "download_folder", lambda: tmp_path / "none")
    with pytest.raises(FileNotFoundError) as error:
        datasets.load("nsynth")
    for way in ("as root", "VQLAB_DATA", "vqlab download nsynth", "'notes'"):
        assert way in str(error.value)


# Archives


def test_an_archive_is_unpacked_beside_itself_at_the_first_use(tmp_path):
    place = tmp_path / "sets"
    packed = archive(place / "nsynth-test.jsonwav.tar.gz")
    found = datasets.load("nsynth", "test", root=place)
    assert [entry.path.stem for entry in found.entries] == list(NOTES)
    assert found.entries[0].path.parent == place / "nsynth-test" / "audio"
    packed.write_bytes(b"not needed any more")
    assert len(datasets.load("nsynth", "test", root=place)) == len(NOTES)


def test_only_the_archive_of_the_split_is_unpacked(tmp_path):
    for part in ("train", "valid", "test"):
        archive(tmp_path / f"nsynth-{part}.jsonwav.tar.gz", inside=f"nsynth-{part}")
    found = datasets.load("nsynth", "validation", root=tmp_path)
    assert len(found) == len(NOTES) and found.classes == sorted(nsynth.FAMILIES)
    assert not (tmp_path / "nsynth-train").exists()
    assert not (tmp_path / "nsynth-test").exists()


def test_root_may_be_the_archive_itself(tmp_path):
    packed = archive(tmp_path / "nsynth-test.jsonwav.tar.gz")
    assert len(datasets.load("nsynth", "all", root=packed)) == len(NOTES)
    other = packed.rename(tmp_path / "notes.tar.gz")
    with pytest.raises(ValueError, match=r"notes\.tar\.gz.*nsynth-train\.jsonwav"):
        datasets.load("nsynth", "all", root=other)


def test_beside_an_archive_that_cannot_be_written_the_download_folder_is_used(
    tmp_path, monkeypatch
):
    packed = archive(tmp_path / "disk" / "nsynth-test.jsonwav.tar.gz")
    monkeypatch.setattr(files, "download_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root may write anywhere
    for _ in range(2):
        found = datasets.load("nsynth", "test", root=packed.parent)
        assert found.entries[0].path.is_relative_to(tmp_path / "cache" / "disk" / "nsynth-test")
    assert not (packed.parent / "nsynth-test").exists()


@pytest.mark.parametrize("kind", ["harmful", "cut off", "another set"])
def test_a_bad_archive_is_refused_and_nothing_is_left(tmp_path, kind):
    packed = archive(tmp_path / "sets" / "nsynth-test.jsonwav.tar.gz")
    if kind == "harmful":
        with tarfile.open(packed, "w:gz") as tar:
            entry = tarfile.TarInfo("nsynth-test/../../evil.wav")
            entry.size = 4
            tar.addfile(entry, io.BytesIO(b"evil"))
    elif kind == "cut off":
        packed.write_bytes(packed.read_bytes()[:-5000])
    else:
        archive(packed, inside="nsynth-valid")
    said = {"harmful": "Nothing was unpacked", "cut off": "cannot be unpacked"}
    with pytest.raises(ValueError, match=said.get(kind, "no folder nsynth-test")):
        datasets.load("nsynth", "test", root=tmp_path / "sets")
    assert not (tmp_path / "sets" / "nsynth-test").exists()
    assert not list((tmp_path / "sets").glob(".*")) and not (tmp_path / "evil.wav").exists()


def test_options_of_other_sets_are_refused(tmp_path):
    write(tmp_path)
    with pytest.raises(ValueError, match="has no words"):
        datasets.load("nsynth", root=tmp_path, words="right")
    with pytest.raises(ValueError, match="for nsynth and notes"):
        datasets.load("words", families="bass")


# The real notes


@pytest.fixture
def real(recordings) -> Path:
    folder = recordings / "nsynth"
    if not folder.is_dir():
        missing("no NSynth beside the recordings")
    return folder


def test_real_notes_say_in_their_names_what_examples_json_says(real):
    listed = json.loads((real / "examples.json").read_text())
    paths = sorted((real / "audio").glob("*.wav"))
    assert len(paths) >= 45
    for path in paths:
        note, known = nsynth.parse(path.stem), listed[path.stem]
        assert note == nsynth.Note(
            known["instrument_str"], known["instrument_family_str"],
            known["instrument_source_str"], known["pitch"], known["velocity"],
        )  # fmt: skip


def test_real_notes_are_split_by_instrument_and_last_four_seconds(recordings, real):
    parts = {s: datasets.load("nsynth", s, root=recordings, seconds=None) for s in nsynth.FOLDERS}
    speakers = [set(part.speakers) for part in parts.values()]
    everything = datasets.load("nsynth", "all", root=real, seconds=4.0)
    assert sum(map(len, speakers)) == len(set().union(*speakers)) == len(set(everything.speakers))
    assert all(item.waveform.shape == (4 * RATE,) for part in parts.values() for item in part)
    if len(everything) == 45:
        assert [len(part) for part in parts.values()] == [30, 8, 7]
        assert len(everything.classes) == 10 and "synth_lead" not in everything.classes
    rows = everything.waveforms()
    assert rows.shape == (len(everything), 4 * RATE) and rows.abs().amax(1).min() > 1e-3
    assert len(everything.scan()) == len(everything)


def test_real_notes_are_filtered_by_source(real):
    electronic = datasets.load("nsynth", "all", root=real, sources="electronic")
    assert set(electronic.labels) <= {"organ", "keyboard", "guitar", "bass"}
    assert all("_electronic_" in name for name in electronic.speakers)
