"""The tool that trains the codec of speech: what it learns from, and what it is chosen by."""

import numpy as np
import pytest
import soundfile
import torch
import train_voice

import vqlab


def write(path, seconds, hertz=300.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = 0.2 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * 16000)) / 16000)
    soundfile.write(path, tone, 16000)


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    """Two small sets: single words of two speakers, and sentences of two."""
    words = tmp_path / "SpeechCommands" / "speech_commands_v0.02"
    for speaker in ("aaaa", "bbbb"):
        write(words / "right" / f"{speaker}_nohash_0.wav", 4)
    for speaker in ("p225", "p230"):
        write(tmp_path / "VCTK" / "wav16" / speaker / f"{speaker}_001.wav", 4)
    (words / "validation_list.txt").write_text("right/bbbb_nohash_0.wav\n")
    (words / "testing_list.txt").write_text("")
    write(words / "_background_noise_" / "running_tap.wav", 3, 200.0)
    write(words / "_background_noise_" / f"{train_voice.KEPT_NOISE}.wav", 3, 2000.0)
    (words / "_background_noise_" / "README.md").write_text("no sound\n")
    monkeypatch.setenv("VQLAB_DATA", str(tmp_path))
    return tmp_path


def test_it_learns_from_the_sets_that_are_here(recordings, capsys):
    learned = train_voice.training_crops(vqlab.load_pretrained("speech"))
    assert len(learned.reels) == 2  # the others are named
    said = capsys.readouterr().out
    assert "without kerstin" in said and "without an4" in said
    torch.manual_seed(0)
    crop = learned[0]
    assert crop.shape == (round(train_voice.SECONDS * 16000),)
    assert 0.05 < crop.abs().max() < 0.5  # at the codec's level


def test_it_is_chosen_by_other_speakers(recordings):
    chosen_by = train_voice.validation_clips(vqlab.load_pretrained("speech"))
    assert chosen_by.shape == (1 + 4, 16000)  # a word, and a sentence cut into seconds


def test_one_noise_is_kept_for_tests(recordings):
    noise = train_voice.background(16000)
    assert noise.shape == (3 * 16000,)
    spectrum = torch.fft.rfft(noise).abs()
    assert int(spectrum.argmax()) == 3 * 200


def test_no_set_is_drawn_that_weights_may_not_learn_from():
    assert not {"folder", "voices", "words"} & train_voice.WEIGHTS.keys()
    assert abs(sum(train_voice.WEIGHTS.values()) - 1) < 1e-9
