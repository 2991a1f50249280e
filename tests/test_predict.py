"""Recordings heard through trained models, and the front end that makes pictures of sound."""

import numpy as np
import pytest
import torch
from PIL import Image

from vqlab import audio, cli
from vqlab import features as front
from vqlab.experiments import folders, reading, run
from vqlab.listen import page
from vqlab.spectral import MelConfig

GRID = """\
name: words-tiny
dataset: {name: words, train: 8, validation: 4, test: 4}
spectrogram: {kind: log_mel, n_fft: 256, hop_length: 128, n_mels: 24, frames: 48}
network: {kind: pictures, units: 6}
bottlenecks:
  - {kind: ae, D: 2}
  - {kind: vq, D: 4, K: 8}
training: {epochs: 1, batch: 8}
sound: {iterations: 4, scored: 2}
"""
LENGTH = 47 * 128 + 256
"""Samples of a segment."""


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    place = tmp_path_factory.mktemp("grid")
    (place / "grid.yaml").write_text(GRID)
    return run.train(reading.read(place / "grid.yaml"), place / "out", progress=False)


def through(recording, out, *models):
    """What the models in these folders make of a recording, written into the folder `out`."""
    return page.folder(recording, out, folders.codecs_in([str(model) for model in models]))


def test_a_folder_of_recordings_gives_a_folder_for_each(grid, tmp_path, capsys):
    sounds = tmp_path / "sounds"
    (sounds / "far").mkdir(parents=True)
    for n, name in enumerate(("one.wav", "one.flac", "far/two.wav")):
        audio.save(sounds / name, noise(2 * LENGTH, seed=n), 16000)
    (sounds / "readme.txt").write_text("no sound")
    assert cli.main(["reconstruct", f"{sounds}/", "--model", str(grid)]) == 0
    out = tmp_path / "sounds-reconstructed"
    assert "of 3 recordings, each in a folder of its own" in capsys.readouterr().out
    names = ["ae-D2-s0", "inversion", "original", "vq-D4-K8-s0"]
    for place in ("one.wav", "one.flac", "far/two"):
        assert sorted(path.stem for path in (out / place).glob("*.wav")) == names
        assert sorted(path.stem for path in (out / place).glob("*.png")) == names
    assert cli.main(["reconstruct", str(sounds), str(tmp_path / "x.html")]) == 2
    assert "give a name without an ending" in capsys.readouterr().err


def noise(samples, level=0.1, seed=0):
    return level * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def thesis_front(**changes):
    options = {"mel": False, "frames": 512, "inversion": "gradient", "iterations": 3}
    return front.Front(MelConfig(n_fft=1024, hop_length=128, n_mels=1), **options | changes)


def test_the_picture_is_that_of_the_thesis():
    end = thesis_front()
    assert end.samples == 66_432
    segment = noise(end.samples)
    db = end.decibels(segment[None])[0]
    assert db.shape == (512, 512)
    window = np.hanning(1025)[:-1]  # periodic
    for frame in (0, 1, 300, 511):
        rows = segment[128 * frame : 128 * frame + 1024].double().numpy() * window
        power = np.abs(np.fft.rfft(rows)[:-1]) ** 2
        wanted = 10 * np.log10(np.maximum(power, 1e-9))
        np.testing.assert_allclose(db[:, frame].numpy(), wanted, atol=0.02)


def test_minimum_and_maximum_of_each_clip_are_kept_and_restore_it():
    end = thesis_front(frames=16)
    segments = torch.stack([noise(end.samples), noise(end.samples, 0.001, 1)])
    pictures = end.analyse(segments)
    assert pictures.scaled.amin(dim=(1, 2)).tolist() == [0, 0]
    assert pictures.scaled.amax(dim=(1, 2)).tolist() == [1, 1]
    torch.testing.assert_close(end.restore(pictures), end.decibels(segments), atol=1e-4, rtol=0)
    assert float(pictures.high[0] - pictures.high[1]) == pytest.approx(40, abs=8)


def test_silence_is_a_picture_too():
    end = thesis_front(frames=16)
    pictures = end.analyse(torch.zeros(1, end.samples))
    assert pictures.scaled.abs().max() == 0
    assert end.restore(pictures).unique().tolist() == [-90]


@pytest.mark.parametrize("inversion", ["gradient", "griffin_lim"])
@pytest.mark.parametrize("mel", [False, True])
def test_the_way_back_brings_shape_and_level(inversion, mel):
    config = MelConfig(n_fft=256, hop_length=64, n_mels=32)
    end = front.Front(config, mel, 40, inversion, 30)
    seconds = torch.arange(end.samples) / 16000
    tone = 0.05 * torch.sin(2 * torch.pi * 1000 * seconds) + noise(end.samples, 0.003)
    db = end.decibels(tone[None])
    back = end.synthesise(db)
    assert back.shape == (1, end.samples)
    assert float(20 * (back.std() / tone.std()).log10()) == pytest.approx(0, abs=1.5)
    assert (end.decibels(back) - db).abs().mean() < 4


def test_long_recordings_are_cut_and_short_ones_padded_with_silence():
    pieces = front.segments(torch.arange(1.0, 8.0), 3)
    assert pieces.tolist() == [[1, 2, 3], [4, 5, 6], [7, 0, 0]]
    assert front.segments(torch.ones(2), 3).tolist() == [[1, 1, 0]]
    assert front.segments(torch.ones(6), 3).shape == (2, 3)
    assert front.rms(torch.tensor([[3.0, -3.0], [0.0, 0.0]])).tolist() == [3, 0]


def test_predict_writes_original_inversion_and_every_model(grid, tmp_path):
    audio.save(tmp_path / "in.wav", noise(2 * LENGTH + 1000), 16000)
    heard = through(tmp_path / "in.wav", tmp_path / "out", grid)
    names = {"original", "inversion", "ae-D2-s0", "vq-D4-K8-s0"}
    assert set(heard) == names
    assert {path.stem for path in (tmp_path / "out").glob("*.wav")} == names
    for path in (tmp_path / "out").glob("*.wav"):
        waveform, rate = audio.load(path)
        assert (len(waveform), rate) == (2 * LENGTH + 1000, 16000)
    for name in ("original", "ae-D2-s0"):  # three segments of 48 frames beside one another
        assert Image.open(tmp_path / "out" / f"{name}.png").size == (3 * 48, 24)


def test_segments_of_a_long_recording_are_those_of_the_pieces(grid, tmp_path):
    whole = noise(2 * LENGTH)
    parts = {"whole": whole, "first": whole[:LENGTH], "second": whole[LENGTH:]}
    run_folder = grid / "ae-D2-s0"
    heard = {}
    for name, waveform in parts.items():
        audio.save(tmp_path / f"{name}.wav", waveform, 16000)
        heard[name] = through(tmp_path / f"{name}.wav", tmp_path / name, run_folder)
    for kind in ("inversion", "ae-D2-s0"):
        joined = torch.cat([heard["first"][kind], heard["second"][kind]])
        torch.testing.assert_close(heard["whole"][kind], joined, atol=1e-4, rtol=1e-2)


def test_the_level_of_the_recording_is_restored(grid, tmp_path):
    """A tenth of the amplitude in gives a tenth of it out: the thesis lost the level."""
    loud = noise(LENGTH, 0.3)
    heard = []
    for name, waveform in (("loud", loud), ("soft", 0.1 * loud)):
        path = tmp_path / f"{name}.flac"
        audio.save(path, waveform.clamp(-1, 1), 16000)
        heard.append(through(path, tmp_path / name, grid))
    for kind in ("inversion", "ae-D2-s0", "vq-D4-K8-s0"):
        ratio = 20 * (heard[0][kind].std() / heard[1][kind].std()).log10()
        assert float(ratio) == pytest.approx(20, abs=0.5)
    change = 20 * (heard[1]["inversion"].std() / heard[1]["original"].std()).log10()
    assert abs(float(change)) < 1.5


def test_the_command_line_makes_a_recording_heard(grid, tmp_path, capsys):
    audio.save(tmp_path / "in.wav", noise(LENGTH), 16000)
    arguments = ["reconstruct", str(tmp_path / "in.wav"), str(tmp_path / "out"), "--model"]
    assert cli.main([*arguments, str(grid / "ae-D2-s0"), str(grid / "vq-D4-K8-s0")]) == 0
    assert "original, inversion, ae-D2-s0, vq-D4-K8-s0" in capsys.readouterr().out
    assert cli.main([*arguments, str(grid)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert cli.main([*arguments, str(grid), "-f"]) == 0
    # Shipped weights and runs of a grid beside one another, at one rate; on a page at several.
    assert cli.main([*arguments, str(grid / "vq-D4-K8-s0"), "speech", "-f", "--kbps", "1"]) == 0
    assert "vq-D4-K8-s0, inversion-2, speech, each as" in capsys.readouterr().out
    arguments[2] = str(tmp_path / "page.html")
    assert cli.main([*arguments, str(grid), "speech", "--kbps", "1", "0.7"]) == 0
    told = capsys.readouterr().out
    for label in ("original", "ae-D2-s0", "vq-D4-K8-s0, 0.7 kbit/s", "speech, 1 kbit/s"):
        assert f"  {label}: " in told


def test_runs_of_pictures_are_refused(tmp_path):
    text = "name: p\ndataset: {name: digits, train: 8, validation: 4}\n"
    text += "network: {kind: pictures, units: 2}\nbottlenecks: [{kind: ae, D: 1}]\n"
    (tmp_path / "p.yaml").write_text(text + "training: {epochs: 1}\n")
    out = run.train(reading.read(tmp_path / "p.yaml"), tmp_path / "p", progress=False)
    audio.save(tmp_path / "in.wav", noise(3000), 16000)
    with pytest.raises(ValueError, match="trained on pictures"):
        through(tmp_path / "in.wav", tmp_path / "x", out)
    with pytest.raises(ValueError, match="no weights called"):
        through(tmp_path / "in.wav", tmp_path / "x", tmp_path / "p" / "no")
