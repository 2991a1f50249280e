"""A model of a grid is a codec: compressed and decompressed by name of its run, old runs too."""

import csv
import json
import shutil

import numpy as np
import pytest
import torch
from _support import ROOT, need

import vqlab
from vqlab import audio, cli
from vqlab.codec import Codec, packing
from vqlab.experiments import evaluate, folders, reading, run
from vqlab.features import segments
from vqlab.files import bundled, load_tensors
from vqlab.training import loop

STORED = ROOT / "tests" / "runs"
"""Runs that the version before `codec.safetensors` left; `killed` after one of three epochs."""

GRID = """\
name: heard
dataset: {name: words, train: 24, validation: 4, test: 5}
spectrogram: {kind: KIND, n_fft: 256, hop_length: 128, frames: 124}
network: NETWORK
bottlenecks:
  - {kind: vq, D: 4, K: 32, start: kmeans}
  - {kind: rvq, D: 4, K: 16, stages: 3, start: kmeans}
  - {kind: fsq, levels: [8, 8, 8, 5, 5, 4]}
  - {kind: ae, D: 4}
training: {epochs: 3, batch: 8, learning_rate: 5e-3}
sound: {iterations: 8, scored: 2}
"""
FORMS = {
    "frames": (
        "log_mel, n_mels: 16",
        "{kind: frames, width: 8, encoder_blocks: 1, decoder_blocks: 1}",
    ),
    "pictures": ("stft", "{kind: pictures, units: 4}"),
}


@pytest.fixture(scope="module", params=FORMS)
def grid(request, tmp_path_factory):
    place = tmp_path_factory.mktemp(request.param)
    kind, network = FORMS[request.param]
    (place / "grid.yaml").write_text(GRID.replace("KIND", kind).replace("NETWORK", network))
    return run.train(reading.read(place / "grid.yaml"), place / "out", device="cpu", progress=False)


def sound(samples, level=0.1):
    """A gliding tone in a little noise."""
    t = torch.arange(samples) / 16000
    noise = torch.randn(samples, generator=torch.Generator().manual_seed(0))
    return level * (torch.sin(2 * torch.pi * (300 + 200 * t) * t) + 0.05 * noise)


QUANTISED = ["vq-D4-K32-s0", "rvq-D4-K16-x3-s0", "fsq-L8.8.8.5.5.4-s0"]


@pytest.mark.parametrize("name", QUANTISED)
@pytest.mark.parametrize("samples", [1, 300, 16000, 50000], ids="{} samples".format)
def test_a_run_compresses_sounds_shorter_and_longer_than_its_segments(grid, name, samples):
    model = str(grid / name)
    codec = vqlab.load_pretrained(model)
    waveform = sound(samples)
    data = vqlab.compress(waveform, model=model, kbps=1000)
    back, rate = vqlab.decompress(data, model=model)
    assert rate == 16000 and back.shape == (samples,)
    codes, held, level = codec.from_bytes(data)
    pieces = -(-samples // codec.features.samples)
    assert held == samples and level.shape == (pieces, 2)
    assert codes.shape[2:] == codec.grid(samples)
    expected, ranges = codec.encode(waveform, quality=packing.unpack(data).quality)
    assert torch.equal(codes, expected) and torch.equal(level, ranges)
    # Each segment by itself, the last padded with silence: no sound depends on another's.
    for n, piece in enumerate(segments(waveform, codec.features.samples)):
        alone, own = codec.encode(piece, quality=packing.unpack(data).quality)
        assert torch.equal(own[0], level[n])
        width = alone.shape[-1]
        assert torch.equal(alone, codes[..., n * width : (n + 1) * width])


@pytest.mark.parametrize("name", QUANTISED[:2])
def test_the_level_comes_back(grid, name):
    model = str(grid / name)
    heard = [
        vqlab.decompress(vqlab.compress(sound(33000, level), model=model, kbps=9), model=model)[0]
        for level in (0.3, 0.03)
    ]
    assert float(20 * (heard[0].std() / heard[1].std()).log10()) == pytest.approx(20, abs=0.5)


def test_what_is_stored_is_what_the_evaluation_measures(grid):
    """Codes of a file are those of the model on the exact picture, but for near ties."""
    for name in QUANTISED:
        single, model = folders.load_model(grid / name)
        split = evaluate.data.load(single.grid, "test", progress=False)
        codec = Codec.load(grid / name)
        same = [
            (codec.encode(segment)[0][0] == model.codes(x[None])[0]).float().mean()
            for segment, x in zip(split.segments, split.inputs, strict=True)
        ]
        assert float(torch.stack(same).mean()) > 0.8


def test_the_stored_rate_stands_beside_the_nominal(grid):
    rows = {row["run"]: row for row in evaluate.evaluate(grid, device="cpu", progress=False)}
    for name in QUANTISED:
        single, _ = folders.load_model(grid / name)
        split = evaluate.data.load(single.grid, "test", progress=False)
        codec, stored = Codec.load(grid / name), 0
        for segment in split.segments:
            codes, level = codec.encode(segment)
            stored += 8 * len(codec.to_bytes(codes, len(segment), level, 255))
        seconds = len(split) * split.front.seconds
        assert rows[name]["stored_bits_per_second"] == pytest.approx(stored / seconds, rel=0.05)
        assert rows[name]["bits_per_second"] == pytest.approx(codec.rates[-1], rel=1e-5)
    assert rows["ae-D4-s0"]["stored_bits_per_second"] is None
    with (grid / "results.csv").open() as file:
        (vq,) = [row for row in csv.DictReader(file) if row["run"] == QUANTISED[0]]
    assert float(vq["stored_bits_per_second"]) > 0


def test_an_autoencoder_is_heard_but_has_nothing_to_store(grid):
    codec = Codec.load(grid / "ae-D4-s0")
    assert codec.through(sound(20000)).shape == (20000,)
    with pytest.raises(ValueError, match="no codes to store"):
        codec.compress(sound(20000), 64)
    with pytest.raises(ValueError, match="no codes to store"):
        codec.encode(sound(20000))


def test_damage_and_files_of_other_models_are_refused(grid):
    first, second = (str(grid / name) for name in QUANTISED[:2])
    data = vqlab.compress(sound(17000), model=first, kbps=9)
    with pytest.raises(ValueError, match="other weights"):
        vqlab.decompress(data, model=second)
    for n in range(len(data)):
        with pytest.raises(ValueError):
            vqlab.decompress(data[:n], model=first)
    packed = packing.unpack(data)
    for samples, payload in ((2**34, packed.payload), (17000, b"\x01")):
        wrong = packing.Packed(16000, packed.identity, 8, 0.0, samples, payload)
        with pytest.raises(ValueError, match="too few|cannot hold"):
            vqlab.decompress(packing.pack(wrong), model=first)


def test_a_grids_folder_names_its_models(grid, tmp_path):
    with pytest.raises(ValueError, match="holds 4 models: .*vq-D4-K32-s0"):
        vqlab.load_pretrained(str(grid))
    with pytest.raises(FileNotFoundError, match="holds no codec.safetensors"):
        vqlab.load_pretrained(str(tmp_path))


def test_compress_decompress_and_info_take_a_run(grid, tmp_path, capsys):
    audio.save(tmp_path / "in.wav", sound(20000), 16000)
    model = ["--model", str(grid / QUANTISED[1])]
    assert cli.main(["compress", str(tmp_path / "in.wav"), *model]) == 0
    assert "kbit/s stored" in capsys.readouterr().out
    assert cli.main(["info", str(tmp_path / "in.vql"), *model]) == 0
    told = capsys.readouterr().out
    assert "20000 samples at 16000 Hz" in told and Codec.load(model[1]).identity().hex() in told
    assert cli.main(["decompress", str(tmp_path / "in.vql"), str(tmp_path / "b.wav"), *model]) == 0
    assert len(audio.load(tmp_path / "b.wav")[0]) == 20000
    assert cli.main(["info", model[1]]) == 0
    assert '"rvq"' in capsys.readouterr().out


def test_runs_are_scored_on_clips_beside_shipped_weights(grid, tmp_path, capsys):
    need("pesq")
    words = bundled("words")
    names = [line for line in (words / "testing_list.txt").read_text().split() if "yes/" in line]
    (tmp_path / "clips.txt").write_text("\n".join(names[:2]))
    clips = ["--clips", str(tmp_path / "clips.txt"), "--root", str(words)]
    runs = [str(grid / name) for name in (*QUANTISED[:2], "ae-D4-s0")]
    assert cli.main(["evaluate", *runs, "speech", *clips, "--kbps", "20"]) == 0
    told = capsys.readouterr().out
    rows = [line.split(" | ") for line in told.splitlines() if line.startswith("| ")]
    assert [row[0].strip("| ") for row in rows[1:]] == [
        "pictures, no codes", *QUANTISED[:2], "speech",
    ]  # fmt: skip
    for row in rows[2:4]:
        assert 0 < float(row[1]) < float(row[2]) < 20 and 0 < float(row[3]) < 100
    assert cli.main(["evaluate", runs[2], *clips]) == 2
    assert "no files to score" in capsys.readouterr().err


# What earlier versions left


@pytest.mark.parametrize("name", ["words/rvq-D4-K16-x2-s0", "notes/vq-D3-K16-s0"])
def test_a_run_of_an_earlier_version_has_its_figures(name, tmp_path):
    folder = tmp_path / name.split("/")[1]
    shutil.copytree(STORED / name, folder)
    with (STORED / name).parent.joinpath("results.csv").open() as file:
        expected = {row["run"]: row for row in csv.DictReader(file)}
    rows = evaluate.evaluate(folder, device="cpu", progress=False)
    assert [row["run"] for row in rows] == list(expected)
    for row in rows:
        for key, text in expected[row["run"]].items():
            if key not in ("run", "grid", "dataset", "model", "stoi", "train_seconds") and text:
                assert row[key] == pytest.approx(float(text), rel=1e-3), key
    waveform = sound(9000)
    (codec,) = folders.codecs_in([str(folder)]).values()
    assert codec.through(waveform).shape == waveform.shape


def test_a_run_of_an_earlier_version_gets_its_codec_from_the_training_command(tmp_path, capsys):
    folder = tmp_path / "words" / "rvq-D4-K16-x2-s0"
    shutil.copytree(STORED / "words" / "rvq-D4-K16-x2-s0", folder)
    assert cli.main(["info", str(folder)]) == 2
    said = capsys.readouterr().err
    assert "train -f" in said and "--out" in said
    before = (folder / "best.safetensors").read_bytes(), (folder / "metrics.jsonl").read_bytes()
    grid = reading.read(folder / "config.yaml")
    run.train(grid, folder.parent, device="cpu", progress=False)
    after = (folder / "best.safetensors").read_bytes(), (folder / "metrics.jsonl").read_bytes()
    assert after == before
    codec = Codec.load(folder)
    assert not np.array_equal(codec.tables.first, np.ones_like(codec.tables.first))  # counted


def test_a_codec_that_an_earlier_version_left_unfinished_goes_on(tmp_path, capsys):
    """Its folder has no config.yaml, and `run.json` lacks what is new."""
    train = ["train", "--words", "yes", "--steps", "2", "--report-every", "1", "--threads", "1",
             "--codebook-size", "8", "--stages", "1", "--device", "cpu", "--out"]  # fmt: skip
    assert cli.main([*train, str(tmp_path / "a")]) == 0
    known = json.loads((tmp_path / "a" / "run.json").read_text())
    for name in ("bfloat16", "versions", "finished", "remarks"):
        known.pop(name, None)
    (tmp_path / "b").mkdir()
    shutil.copy(tmp_path / "a" / "last.safetensors", tmp_path / "b")
    shutil.copy(tmp_path / "a" / "best.safetensors", tmp_path / "b")
    (tmp_path / "b" / "run.json").write_text(json.dumps(known))
    assert cli.main([*train, str(tmp_path / "b")]) == 0
    assert "Done after 2 steps" in capsys.readouterr().out
    left, right = (Codec.load(tmp_path / name) for name in "ab")
    assert left.identity() == right.identity() and right.trained["steps"] == 2


def test_a_killed_run_of_an_earlier_version_goes_on(tmp_path):
    folder = tmp_path / "rvq-D4-K16-x2-s0"
    shutil.copytree(STORED / "killed" / folder.name, folder)
    run.train(reading.read(folder / "config.yaml"), tmp_path, device="cpu", progress=False)
    found = folders.reports_of(folder)
    expected = folders.reports_of(STORED / "words" / folder.name)
    assert len(found) == 3
    for report, other in zip(found, expected, strict=True):
        assert report["validation_error"] == pytest.approx(other["validation_error"], rel=0.05)


def test_a_run_of_sound_has_a_codec_from_its_first_report_on(tmp_path, monkeypatch):
    step = loop.Loop._step

    def dies(self):
        if self.run.step == 3:
            raise MemoryError
        step(self)

    monkeypatch.setattr(loop.Loop, "_step", dies)
    options = "--words right --steps 6 --report-every 2 --batch-size 8 --codebook-size 16".split()
    with pytest.raises(MemoryError):
        cli.main(["train", "--dataset", "words", *options, "--out", str(tmp_path)])
    best, _ = load_tensors(tmp_path / "best.safetensors")
    kept = Codec.load(tmp_path).model.state_dict()["encoder.0.weight"]
    assert torch.equal(kept, best["encoder.0.weight"].half().float())
    data = vqlab.compress(sound(16000), model=str(tmp_path))
    assert vqlab.decompress(data, model=str(tmp_path))[0].shape == (16000,)
