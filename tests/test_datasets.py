"""Data sets: real little files of every kind, and real recordings where VQLAB_DATA names them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vqlab import audio, datasets, files
from vqlab.datasets import folder as any_folder
from vqlab.datasets import recordings, speech_commands

RATE = 16000


def tone(seconds: float = 1.0, rate: int = RATE, hertz: float = 440.0) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write(path: Path, samples: np.ndarray, rate: int = RATE, **options: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, **options)
    return path


def name_with_split(split: str, start: int = 0) -> str:
    """A speaker's name that the published rule puts into `split`."""
    names = (f"{n:08x}" for n in range(start, start + 1000))
    return next(name for name in names if speech_commands.which_set(name) == split)


@pytest.fixture
def small_set(tmp_path: Path) -> Path:
    """Six clips of two words in the layout of the real set, and a root that holds them."""
    base = tmp_path / "root" / "SpeechCommands" / "speech_commands_v0.02"
    for word in ("right", "left"):
        for speaker in ("aaaa", "bbbb", "cccc"):
            write(base / word / f"{speaker}_nohash_0.wav", tone())
    write(base / "_background_noise_" / "noise.wav", tone(3))
    (base / "validation_list.txt").write_text("right/bbbb_nohash_0.wav\nleft/bbbb_nohash_0.wav\n")
    (base / "testing_list.txt").write_text("right/cccc_nohash_0.wav\nleft/cccc_nohash_0.wav\n")
    return tmp_path / "root"


# Speech Commands and the word layout


def test_what_is_in_neither_list_is_for_training(small_set):
    for split, speaker in (("train", "aaaa"), ("validation", "bbbb"), ("test", "cccc")):
        found = datasets.load("speech_commands", split, root=small_set, words="all")
        assert found.speakers == [speaker, speaker]
        assert found.labels == ["left", "right"] == found.classes
    everything = datasets.load("speech_commands", "all", root=small_set, words="all")
    assert len(everything) == 6


def test_training_split_is_the_one_torchaudio_makes(small_set):
    from torchaudio.datasets import SPEECHCOMMANDS

    theirs = SPEECHCOMMANDS(small_set, subset="training")
    names = {Path(theirs.get_metadata(n)[0]).as_posix() for n in range(len(theirs))}
    ours = datasets.load("speech_commands", "train", root=small_set, words="all")
    base = small_set / "SpeechCommands"
    assert {item.path.relative_to(base).as_posix() for item in ours} == names


def test_only_right_is_loaded_unless_words_are_chosen(small_set):
    assert set(datasets.load("speech_commands", "all", root=small_set).labels) == {"right"}
    for words in ("left", ["left"], ("left", "left")):
        found = datasets.load("speech_commands", "all", root=small_set, words=words)
        assert found.labels == ["left"] * 3


@pytest.mark.parametrize("place", [".", "SpeechCommands", "SpeechCommands/speech_commands_v0.02"])
def test_root_may_be_the_set_or_a_folder_above_it(small_set, place):
    assert len(datasets.load("speech_commands", "train", root=small_set / place)) == 1


def test_a_copy_under_another_name_is_read_too(small_set):
    base = small_set / "SpeechCommands" / "speech_commands_v0.02"
    other = base.rename(small_set / "my.copy")
    assert len(datasets.load("speech_commands", "train", root=other)) == 1


def test_root_may_be_relative(small_set, monkeypatch):
    monkeypatch.chdir(small_set / "SpeechCommands" / "speech_commands_v0.02" / "right")
    for place in ("..", "../../..", "../."):
        assert len(datasets.load("speech_commands", "train", root=place)) == 1


def test_absent_listed_clips_are_left_out_and_said(small_set):
    (small_set / "SpeechCommands/speech_commands_v0.02/right/cccc_nohash_0.wav").unlink()
    found = datasets.load("speech_commands", "test", root=small_set, words="all")
    assert found.labels == ["left"]
    assert any("1 clip named in testing_list.txt is not here" in note for note in found.remarks)


def test_notes_say_how_much_of_a_word_is_here(small_set):
    notes = datasets.load("speech_commands", root=small_set, words=["right", "stop"]).remarks
    assert any("'right': 3 of 3,778" in note and "none of 'stop'" in note for note in notes)


def test_a_word_that_is_not_unpacked_names_the_words_that_are(small_set):
    with pytest.raises(FileNotFoundError, match=r"'stop'.*left, right.*vqlab download"):
        datasets.load("speech_commands", root=small_set, words="stop")


def test_without_lists_the_published_rule_makes_the_splits(small_set):
    base = small_set / "SpeechCommands" / "speech_commands_v0.02"
    (base / "testing_list.txt").unlink()
    for split in ("train", "validation", "test"):
        write(base / "stop" / f"{name_with_split(split)}_nohash_0.wav", tone())
    for split in ("train", "validation", "test"):
        found = datasets.load("speech_commands", split, root=small_set, words="stop")
        assert found.speakers == [name_with_split(split)]
        assert any("missing" in note for note in found.remarks)


def test_the_mini_set_has_no_lists_and_is_split_by_the_same_rule(tmp_path, monkeypatch):
    monkeypatch.setenv("VQLAB_DATA", str(tmp_path))
    splits = ("train", "validation", "test")
    for split in splits:
        for word in ("yes", "stop"):
            clip = f"{name_with_split(split)}_nohash_0.wav"
            write(tmp_path / "mini_speech_commands" / word / clip, tone())
    for split in splits:
        found = datasets.load("mini_speech_commands", split)
        assert set(found.speakers) == {name_with_split(split)} and found.labels == ["stop", "yes"]
        assert len(found.classes) == 2 and not any("list" in note for note in found.remarks)
    assert any("'stop': 3 of 1,000" in note for note in found.remarks)
    with pytest.raises(ValueError, match="'bed'; Mini Speech Commands has down, go"):
        datasets.load("mini_speech_commands", words="bed")
    with pytest.raises(FileNotFoundError, match=r"182 MB.*vqlab download mini_speech_commands"):
        datasets.load("mini_speech_commands", root=tmp_path / "elsewhere")


def test_a_speaker_of_the_test_split_is_taken_out_of_the_others(small_set):
    base = small_set / "SpeechCommands" / "speech_commands_v0.02"
    (base / "testing_list.txt").write_text("right/cccc_nohash_0.wav\n")  # left/cccc is forgotten
    found = datasets.load("speech_commands", "train", root=small_set, words="all")
    assert set(found.speakers) == {"aaaa"}
    assert any("1 clip of the train split left out" in note for note in found.remarks)


def test_stray_files_do_not_stop_the_index(small_set):
    base = small_set / "SpeechCommands" / "speech_commands_v0.02"
    write(base / "right" / "dddd_nohash_copy.wav", tone())
    (base / "right" / "._aaaa_nohash_0.wav").write_bytes(b"\0\5\x16\7")
    (base / "validation_list.txt").write_text("\nright/bbbb_nohash_0.wav\n\n")
    found = datasets.load("speech_commands", "all", root=small_set)
    assert found.speakers == ["aaaa", "bbbb", "cccc"]
    assert found.remarks[0].startswith("2 files not named")
    assert not any("not here" in note for note in found.remarks)


def test_both_versions_are_found_apart(small_set):
    with pytest.raises(FileNotFoundError, match="v0.01"):
        datasets.load("speech_commands", root=small_set, version="v0.01")
    with pytest.raises(FileNotFoundError, match="v0.01"):  # the folder itself has the other's name
        at = small_set / "SpeechCommands/speech_commands_v0.02"
        datasets.load("speech_commands", root=at, version="v0.01")
    base = small_set / "SpeechCommands"
    (base / "speech_commands_v0.02").rename(base / "speech_commands_v0.01")
    assert len(datasets.load("speech_commands", root=small_set, version="v0.01")) == 1


def test_counts_of_the_complete_sets_add_up_to_the_published_totals():
    assert sum(speech_commands.CLIPS["v0.02"].values()) == 105_829
    assert sum(speech_commands.CLIPS["v0.01"].values()) == 64_721
    assert set(speech_commands.CLIPS["v0.01"]) < set(speech_commands.CLIPS["v0.02"])


def test_words_reads_flac_in_the_same_layout(tmp_path):
    for speaker in ("aaaa", "bbbb", "cccc"):
        write(tmp_path / "yes" / f"{speaker}_nohash_0.flac", tone(0.6))
    (tmp_path / "validation_list.txt").write_text("yes/bbbb_nohash_0.flac\n")
    (tmp_path / "testing_list.txt").write_text("yes/cccc_nohash_0.flac\n")
    for split, speaker in (("train", "aaaa"), ("validation", "bbbb"), ("test", "cccc")):
        found = datasets.load("words", split, root=tmp_path)
        assert found.speakers == [speaker] and found[0].waveform.shape == (RATE,)
    with pytest.raises(ValueError, match=r"'no'.*yes"):
        datasets.load("words", root=tmp_path, words="no")


def test_bundled_words_have_ten_words_and_no_speaker_in_two_splits():
    try:
        everything = datasets.load("words", "all")
    except FileNotFoundError as error:
        pytest.skip(f"no bundled words in this checkout: {error}")
    assert len(everything.classes) == 10
    parts = [set(datasets.load("words", s).speakers) for s in ("train", "validation", "test")]
    assert all(parts) and set().union(*parts) == set(everything.speakers)
    assert sum(map(len, parts)) == len(set(everything.speakers))
    clean = everything.scan()
    assert len(clean) == len(everything) and clean.remarks == []


# Items


def test_items_hold_what_was_recorded_and_are_decoded_when_asked(small_set):
    found = datasets.load("speech_commands", "train", root=small_set)
    item = found[0]
    assert (item.sample_rate, item.label, item.speaker, item.gain_db) == (RATE, "right", "aaaa", 0)
    assert item.waveform.dtype == torch.float32
    np.testing.assert_allclose(item.waveform.numpy(), tone(), atol=1 / 32768)
    item.path.unlink()
    assert found.labels == ["right"]
    with pytest.raises(FileNotFoundError):
        found[0]


def test_a_dataset_is_a_sequence(small_set):
    found = datasets.load("speech_commands", "all", root=small_set, words="all")
    assert [item.speaker for item in found] == found.speakers
    part = found[-2:]
    assert isinstance(part, datasets.Dataset) and part.classes == found.classes
    assert part.speakers == found.speakers[-2:] and found[-1].speaker == "cccc"
    with pytest.raises(IndexError):
        found[6]


def test_limit_keeps_every_word(small_set):
    found = datasets.load("speech_commands", "all", root=small_set, words="all", limit=2)
    assert found.labels == ["left", "right"]
    assert len(datasets.load("speech_commands", "all", root=small_set, limit=99)) == 3


def test_level_is_reached_and_can_be_taken_back(small_set):
    plain = datasets.load("speech_commands", root=small_set)[0]
    levelled = datasets.load("speech_commands", root=small_set, level_db=-23.0)[0]
    assert audio.level(levelled.waveform) == pytest.approx(-23.0, abs=0.01)
    assert levelled.gain_db != 0
    back = levelled.waveform / 10 ** (levelled.gain_db / 20)
    torch.testing.assert_close(back, plain.waveform)


def test_cropping_keeps_the_word_and_padding_keeps_it_whole(tmp_path):
    long = np.zeros(4 * RATE)
    long[int(2.9 * RATE) : int(3.4 * RATE)] = tone(0.5)
    write(tmp_path / "a.wav", long)
    write(tmp_path / "b.wav", tone(0.5))
    for item in datasets.load("folder", "all", root=tmp_path):
        assert item.waveform.shape == (RATE,)
        assert float(item.waveform.square().sum()) == pytest.approx(
            (tone(0.5) ** 2).sum(), rel=1e-2
        )


def test_natural_length_is_kept_and_does_not_stack(tmp_path):
    write(tmp_path / "a.wav", tone(0.5))
    write(tmp_path / "b.wav", tone(0.7))
    found = datasets.load("folder", "all", root=tmp_path, seconds=None)
    assert [len(item.waveform) for item in found] == [8000, 11200]
    with pytest.raises(ValueError, match="seconds=1.0"):
        found.waveforms()
    assert found[:1].waveforms().shape == (1, 8000)


def test_waveforms_are_the_items_in_order(small_set):
    found = datasets.load("speech_commands", "all", root=small_set, words="all", level_db=-30)
    assert torch.equal(found.waveforms(), torch.stack([item.waveform for item in found]))


# Odd files


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    root = tmp_path / "odd"
    write(root / "good" / "mono.wav", tone())
    write(root / "good" / "eight_bit.wav", tone(), subtype="PCM_U8")
    write(root / "good" / "stereo.wav", np.stack([tone(1, 44100), 0 * tone(1, 44100)], 1), 44100)
    write(root / "bad" / "silent.wav", np.zeros(RATE))
    write(root / "bad" / "fifty.wav", tone()[:50])
    (root / "bad" / "text.wav").write_text("this is no sound")
    (root / "bad" / "empty.wav").write_bytes(b"")
    (root / "good" / "readme.txt").write_text("about these sounds")
    (root / "good" / ".hidden.wav").write_text("left by a system")
    return root


def test_odd_files_of_a_folder_are_handled_and_said(odd_folder):
    found = datasets.load("folder", "all", root=odd_folder)
    names = [entry.path.name for entry in found.entries]
    assert names == ["silent.wav", "eight_bit.wav", "mono.wav", "stereo.wav"]
    said = " ".join(found.remarks)
    assert "2 clips cannot be read as sound: left out (bad/empty.wav, bad/text.wav)" in said
    assert "1 clip shorter than 0.1 s: left out (bad/fifty.wav)" in said
    assert "1 file (1 .txt)" in said and "hidden" not in said

    rows = found.waveforms()
    assert rows.shape == (4, RATE) and not rows[0].any()
    np.testing.assert_allclose(rows[1], tone(), atol=1 / 128)
    middle = slice(1000, -1000)  # a resampler rings at the ends
    np.testing.assert_allclose(rows[3][middle], tone()[middle] / 2, atol=2e-3)
    said = " ".join(found.remarks)
    assert "1 clip silent" in said and "bad/silent.wav" in said
    assert "1 clip with more than one channel, mixed to one (good/stereo.wav)" in said
    assert "1 clip at another sample rate, resampled to 16000 Hz (good/stereo.wav)" in said


def test_scan_leaves_out_what_is_no_use(odd_folder):
    found = datasets.load("folder", "all", root=odd_folder)
    (odd_folder / "good" / "mono.wav").write_text("broken since")
    clean = found.scan()
    assert [entry.path.name for entry in clean.entries] == ["eight_bit.wav", "stereo.wav"]
    assert clean.labels == ["good", "good"] and clean.waveforms().shape == (2, RATE)
    said = " ".join(clean.remarks)
    assert "silent (no sample above 0.0001): left out (bad/silent.wav)" in said
    assert "mixed to one" in said and said.count("stereo.wav") == 2
    assert len(found) == 4  # the old one is as it was


def test_a_broken_clip_says_which_and_what_to_do(small_set):
    base = small_set / "SpeechCommands" / "speech_commands_v0.02"
    (base / "right" / "aaaa_nohash_0.wav").write_text("no sound")
    found = datasets.load("speech_commands", "all", root=small_set)
    with pytest.raises(ValueError, match=r"aaaa_nohash_0\.wav.*scan\(\)"):
        found.waveforms()
    assert found.scan().speakers == ["bbbb", "cccc"]


# A folder


def test_subfolders_are_labels(tmp_path):
    for place in ("dog/a.wav", "cat/b.flac", "cat/wild/c.ogg", "d.mp3", "dog/e.aiff"):
        write(tmp_path / "pets" / place, tone())
    found = datasets.load("folder", "all", root=tmp_path / "pets")
    assert found.classes == ["cat", "cat/wild", "dog", "pets"]
    assert found.waveforms().abs().amax(1).min() > 0.2  # every format was decoded
    assert datasets.load("folder", "all", root=tmp_path / "pets", words="dog").labels == ["dog"] * 2
    with pytest.raises(ValueError, match=r"'cow'.*cat/wild"):
        datasets.load("folder", "all", root=tmp_path / "pets", words="cow")


@pytest.mark.parametrize(
    ("name", "speaker"),
    [
        ("0132a06d_nohash_3.wav", "0132a06d"),
        ("7_jackson_12.wav", "jackson"),
        ("84-121123-0001.flac", "84"),
        ("my recording.wav", "my recording"),
    ],
)
def test_speaker_is_read_from_the_name(name, speaker):
    assert any_folder.speaker(Path(name)) == speaker


def test_names_that_do_not_say_who_speaks_are_counted(tmp_path):
    for name in ("my recording.wav", "another.wav", "7_jackson_12.wav"):
        write(tmp_path / name, tone())
    (note,) = datasets.load("folder", "all", root=tmp_path).remarks
    assert note.startswith("2 clips without a speaker")
    (tmp_path / "my recording.wav").unlink()
    (tmp_path / "another.wav").unlink()
    assert datasets.load("folder", "all", root=tmp_path).remarks == []


@settings(max_examples=50)
@given(st.sets(st.text(min_size=1, max_size=5), min_size=3, max_size=40))
def test_every_split_has_speakers_and_they_do_not_depend_on_order(speakers):
    part = any_folder.split_of_speakers(speakers)
    assert set(part.values()) == {"train", "validation", "test"} and part.keys() == speakers
    assert part == any_folder.split_of_speakers(set(sorted(speakers, reverse=True)))
    held_out = sum(split != "train" for split in part.values())
    assert held_out == 2 * max(1, round(len(speakers) / 10))


def test_of_fewer_than_three_speakers_recordings_are_split_and_that_is_said(tmp_path):
    for name in ("0_ann_0.wav", "0_ann_1.wav", "0_bob_0.wav"):
        write(tmp_path / name, tone())
    parts = [datasets.load("folder", s, root=tmp_path) for s in ("train", "validation", "test")]
    assert sorted(part.entries[0].path.stem for part in parts) == ["0_ann_0", "0_ann_1", "0_bob_0"]
    assert all(part.speakers[0] in ("ann", "bob") for part in parts)
    assert all("recordings of one voice are in several splits" in p.remarks[0] for p in parts)
    (tmp_path / "0_ann_0.wav").unlink()
    with pytest.raises(ValueError, match="2 recordings, too few for a test split: add some"):
        datasets.load("folder", "test", root=tmp_path)


def test_recordings_of_one_name_in_several_folders_are_several(tmp_path):
    for place in ("a", "b", "c"):
        write(tmp_path / place / "take.wav", tone())
    parts = [datasets.load("folder", s, root=tmp_path) for s in ("train", "validation", "test")]
    assert sorted(part.labels[0] for part in parts) == ["a", "b", "c"]


def test_a_long_recording_gives_all_its_seconds(tmp_path):
    for name, seconds in (("a", 5.5), ("b", 2.5), ("c", 0.5)):
        write(tmp_path / f"{name}.wav", tone(seconds))
    found = datasets.load("folder", "all", root=tmp_path)
    assert [entry.start for entry in found.entries] == [0, 1, 2, 3, 4, None, None]
    assert all(len(item.waveform) == RATE for item in found)
    whole, _ = audio.load(tmp_path / "a.wav")
    assert torch.equal(found[3].waveform, whole[3 * RATE : 4 * RATE])
    assert "1 recording of at least 5 s cut into pieces of 1 s." in found.remarks
    assert "1 recording of 2 to 5 s cropped to the loudest 1 s." in found.remarks
    assert len(datasets.load("folder", "all", root=tmp_path, seconds=None)) == 3


def test_a_folder_behind_a_link_is_read_and_a_circle_of_links_ends(tmp_path):
    for place in ("set", "other"):
        write(tmp_path / place / "a.wav", tone())
    (tmp_path / "set" / "linked").symlink_to(tmp_path / "other")
    (tmp_path / "other" / "back").symlink_to(tmp_path / "set")
    found = datasets.load("folder", "all", root=tmp_path / "set")
    assert found.labels == ["set", "linked"]


def test_a_folder_without_sound_says_so(tmp_path):
    with pytest.raises(FileNotFoundError, match="no sound file"):
        datasets.load("folder", "all", root=tmp_path)
    with pytest.raises(FileNotFoundError, match="not a folder"):
        datasets.load("folder", "all", root=tmp_path / "nowhere")


# Bad options and places


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (dict(name="wrods"), r"'wrods'.*words, voices, speech_commands, mini.*librispeech"),
        (dict(split="training"), r"'training'.*train, validation, test, all"),
        (dict(name="speech_commands", words="rigth"), r"'rigth'.*right.*'all'"),
        (dict(name="speech_commands", words="visual", version="v0.01"), "'visual'.*v0.01"),
        (dict(name="speech_commands", words=[]), "No word was chosen"),
        (dict(name="speech_commands", version="v3"), r"'v3'.*v0\.01, v0\.02"),
        (dict(name="speech_commands", seconds=-1.0), "-1.0.*positive"),
        (dict(name="speech_commands", level_db=3), r"3.*-80 to 0"),
        (dict(name="speech_commands", limit=0), "0.*from 1"),
    ],
)
def test_a_wrong_option_is_refused_with_what_is_allowed(small_set, arguments, said):
    with pytest.raises(ValueError, match=said):
        datasets.load(root=small_set, **arguments)


def test_missing_recordings_name_the_three_ways(tmp_path, monkeypatch):
    monkeypatch.delenv("VQLAB_DATA", raising=False)
    monkeypatch.setattr(files, "download_folder", lambda: tmp_path / "none")
    with pytest.raises(FileNotFoundError) as error:
        datasets.load("speech_commands")
    for way in ("as root", "VQLAB_DATA", "'words'", "python -m vqlab download speech_commands"):
        assert way in str(error.value)


def test_option_comes_before_environment_before_download_folder(small_set, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "download_folder", lambda: small_set)
    monkeypatch.setenv("VQLAB_DATA", str(tmp_path))  # has no set: the next place is asked
    assert len(datasets.load("speech_commands")) == 1
    with pytest.raises(FileNotFoundError):
        datasets.load("speech_commands", root=tmp_path)
    monkeypatch.setattr(files, "download_folder", lambda: tmp_path)
    monkeypatch.setenv("VQLAB_DATA", str(small_set))
    assert len(datasets.load("speech_commands")) == 1


def test_bundled_finds_a_checkout_and_a_wheel_and_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_PACKAGE", tmp_path / "vqlab")
    for place in ("vqlab/_data/words", "data/weights"):
        (tmp_path / place).mkdir(parents=True)
    assert files.bundled("words") == tmp_path / "vqlab/_data/words"
    assert files.bundled("weights") == tmp_path / "data/weights"
    with pytest.raises(FileNotFoundError, match="'voices/x.flac'"):
        files.bundled("voices", "x.flac")


# The real recordings


@pytest.mark.parametrize(("words", "counts"), [("right", (1045, 216, 235)), ("all", None)])
def test_real_splits_have_their_known_sizes_and_no_common_speaker(recordings, words, counts):
    splits = ("train", "validation", "test")
    parts = [datasets.load("speech_commands", s, root=recordings, words=words) for s in splits]
    speakers = [set(part.speakers) for part in parts]
    assert all(not a & b for n, a in enumerate(speakers) for b in speakers[n + 1 :])
    for part, split in zip(parts, splits, strict=True):
        assert all(speech_commands.which_set(name) == split for name in set(part.speakers))
    if len(datasets.load("speech_commands", "all", root=recordings, words="all")) == 4174:
        assert tuple(map(len, parts)) == (counts or (3440, 327, 407))


def test_real_clips_are_one_second_and_sound(recordings):
    found = datasets.load("speech_commands", "test", root=recordings, limit=60)
    clean = found.scan()
    assert len(clean) == 60
    rows = clean.waveforms()
    assert rows.shape == (60, RATE) and rows.abs().amax(1).min() > 1e-3


def test_official_lists_with_a_partly_unpacked_real_set(recordings, tmp_path):
    """The complete lists of v0.02 name 20,986 clips; those that are here must load all the same."""
    real = recordings / "SpeechCommands" / "speech_commands_v0.02"
    official = real / "testing_list.official.txt"
    if not official.is_file():
        pytest.skip("no official lists beside the recordings")
    (tmp_path / "validation_list.txt").write_text(
        (real / "validation_list.official.txt").read_text()
    )
    (tmp_path / "testing_list.txt").write_text(official.read_text())
    (tmp_path / "right").symlink_to(real / "right")
    found = datasets.load("speech_commands", "test", root=tmp_path)
    assert len(found) == 235
    assert any("clips named in testing_list.txt are not here" in note for note in found.remarks)


def test_foreign_digits_are_read_as_a_folder(recordings):
    digits = recordings / "free-spoken-digit-dataset" / "recordings"
    if not digits.is_dir():
        pytest.skip("no spoken digits beside the recordings")
    parts = [datasets.load("folder", s, root=digits) for s in ("train", "validation", "test")]
    assert [len(set(part.speakers)) for part in parts] == [4, 1, 1]
    item = parts[2][0]
    assert item.sample_rate == RATE and item.waveform.shape == (RATE,)
    assert any("another sample rate" in note for note in parts[2].remarks)


def test_bundled_voices_have_languages_as_labels_and_no_splits():
    voices = datasets.load("voices", "all", seconds=None)
    assert set(voices.labels) == {"en", "es", "fr", "it", "ru"}
    assert 20 <= len(voices) <= 40
    assert all(0.5 < len(item.waveform) / item.sample_rate < 6 for item in voices)
    with pytest.raises(ValueError, match="split='all'"):
        datasets.load("voices", "test")


# LibriSpeech


@pytest.fixture
def sentences(tmp_path):
    """Three utterances of each of twelve training speakers and two test speakers."""
    seconds = {0: 2.5, 1: 0.4, 2: 1.0}
    for folder, speakers in (("train-clean-100", range(90, 102)), ("test-other", (7, 8))):
        for speaker in speakers:
            place = tmp_path / "LibriSpeech" / folder / str(speaker) / "11"
            place.mkdir(parents=True)
            for number, length in seconds.items():
                ramp = np.arange(round(16000 * length)) / 64000
                soundfile.write(place / f"{speaker}-11-{number:04}.flac", ramp, 16000)
    return tmp_path


def test_sentences_are_cut_into_pieces_one_after_the_other(sentences):
    test = datasets.load("librispeech", "test", root=sentences)
    assert [entry.start for entry in test.entries] == [0.0, 1.0, 0.0] * 2
    assert len(test) == 6 and set(test.speakers) == {"7", "8"}
    first, second = test[0].waveform, test[1].waveform
    assert first.shape == second.shape == (16000,)
    assert float(second[0]) == pytest.approx(0.25, abs=1e-3)  # the ramp goes on
    whole = datasets.load("librispeech", "test", root=sentences, seconds=None)
    assert len(whole) == 6 and whole[0].waveform.shape == (40000,)


def test_the_eight_highest_speakers_are_for_validation(sentences):
    splits = {
        split: set(datasets.load("librispeech", split, root=sentences).speakers)
        for split in ("train", "validation", "test")
    }
    assert splits["train"] == {"90", "91", "92", "93"}
    assert splits["validation"] == {str(n) for n in range(94, 102)}  # 100 is above 99
    assert not splits["train"] & splits["validation"]


def test_missing_sentences_say_where_to_get_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="openslr.org/12"):
        datasets.load("librispeech", "train", root=tmp_path)


def test_at_most_so_many_clips_of_each_word(small_set):
    everything = datasets.load("speech_commands", "all", root=small_set, words="all")
    few = everything.at_most(1)
    assert sorted(few.labels) == sorted(set(everything.labels))


def test_an_utterance_that_cannot_be_read_is_left_out_and_said(sentences):
    (path,) = sentences.glob("LibriSpeech/test-other/7/11/7-11-0000.flac")
    path.write_bytes(path.read_bytes()[:20])
    test = datasets.load("librispeech", "test", root=sentences)
    assert len(test) == 4
    assert any("7-11-0000.flac" in note for note in test.remarks)
    with pytest.raises(ValueError, match="positive"):
        datasets.load("librispeech", "test", root=sentences, seconds=0)


# The small sets of sentences


SMALL_SETS = {  # a path of each, and who speaks in it
    "speechocean762": ("speechocean762/WAVE/SPEAKER0003/000030116.wav", "0003"),
    "vctk": ("VCTK/wav48/p225/p225_003.flac", "p225"),
    "cmu_arctic": ("cmu_arctic/cmu_us_slt_arctic/wav/arctic_a0541.wav", "slt"),
    "an4": ("an4/wav/an4_clstk/mtos/an369-mtos-b.wav", "mtos"),
    "ljspeech": ("LJSpeech/wavs/LJ001-0001.wav", "LJ"),
    "voice_datasets": ("voice-datasets/pt_BR/cadu/0000000001.flac", "cadu"),
    "kerstin": ("dataset-voice-kerstin/verified/de_rhasspy-2378.flac", "rhasspy"),
    "precise": ("Precise-Community-Data/not-wake-words/es/not-wakeword-es-1-2.wav", "not-wakeword"),
}


def test_every_small_set_has_a_path_here():
    assert {*SMALL_SETS, "librispeech"} == recordings.LAYOUTS.keys()  # that is tried above


@pytest.mark.parametrize("name", SMALL_SETS)
def test_a_path_of_a_small_set_tells_who_speaks(tmp_path, name):
    path, speaker = SMALL_SETS[name]
    write(tmp_path / path, tone(2.5))
    write(tmp_path / path.split("/")[0] / "elsewhere" / "stray.wav", tone())
    found = datasets.load(name, "train", root=tmp_path, seconds=1.0)
    assert found.speakers == [speaker, speaker]  # two whole seconds
    assert [entry.start for entry in found.entries] == [0.0, 1.0]
    assert datasets.load(name, "all", root=tmp_path, seconds=None)[0].waveform.shape == (40000,)


def test_listed_speakers_are_in_one_split_each(tmp_path):
    for layout in recordings.LAYOUTS.values():
        listed = (layout.validation + " " + layout.test).split()
        assert len(listed) == len(set(listed))
    for speaker in ("p225", "p230", "p236"):
        write(tmp_path / f"VCTK/wav16/{speaker}/{speaker}_001.wav", tone())
    for split, speaker in (("train", "p225"), ("validation", "p230"), ("test", "p236")):
        assert datasets.load("vctk", split, root=tmp_path).speakers == [speaker]


def test_speechocean_labels_are_age_groups(tmp_path):
    for speaker in ("0003", "0024", "9130"):
        write(tmp_path / f"speechocean762/WAVE/SPEAKER{speaker}/{speaker}1.wav", tone())
    ages = "0003 6\n0024 25\n9130 14\n"
    (tmp_path / "speechocean762" / "spk2age").write_text(ages)
    found = datasets.load("speechocean762", "train", root=tmp_path)
    assert found.labels == ["children", "adults", "teenagers"]


def test_a_small_set_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds VCTK/"):
        datasets.load("vctk", root=tmp_path)
