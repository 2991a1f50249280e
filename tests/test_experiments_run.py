"""Grids trained, killed, taken up again, and measured."""

import csv
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from _support import HANG, ROOT
from PIL import Image
from safetensors.torch import load_file

import vqlab
from vqlab import audio, cli, datasets
from vqlab.experiments import build, data, evaluate, folders, reading, run
from vqlab.experiments.grid import singles

PICTURES = """\
name: digits-tiny
dataset: {name: digits, train: 48, validation: 16, test: 20}
network: {kind: pictures, units: 6}
bottlenecks:
  - {kind: ae, D: 2}
  - {kind: vq, D: 4, K: 32, start: kmeans, restart_below: 0.1}
  - {kind: rvq, D: 4, K: 16, stages: 2}
  - {kind: fsq, levels: [5, 3]}
  - {kind: vae, D: 2}
training: {epochs: 2, batch: 16, learning_rate: 1e-3}
"""
SOUND = """\
name: words-tiny
dataset: {name: words, train: 12, validation: 4, test: 6}
spectrogram: {kind: stft, n_fft: 256, hop_length: 128, frames: 124}
network: {kind: frames, width: 8, stride: 4, encoder_blocks: 1, decoder_blocks: 1}
bottlenecks:
  - {kind: vq, D: 4, K: 8, start: kmeans}
training: {epochs: 2, batch: 5, learning_rate: 1e-3}
sound: {iterations: 4, scored: 3}
"""


@pytest.fixture(autouse=True)
def one_thread():
    """The order of sums depends on the number of threads, and runs are compared to the last bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def grid_of(folder, text):
    path = folder / "grid-file.yaml"
    path.write_text(text)
    return reading.read(path)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A grid of pictures and one of sound, trained and measured: their folders."""
    place = tmp_path_factory.mktemp("trained")
    for name, text in (("pictures", PICTURES), ("sound", SOUND)):
        run.train(grid_of(place, text), place / name, progress=False)
        evaluate.evaluate(place / name, progress=False)
    return place


def table_of(folder):
    with (folder / "results.csv").open() as file:
        return {row["run"]: row for row in csv.DictReader(file)}


def steps_of(folder):
    """The reports of a run without the times, which differ from run to run."""
    return [
        {key: value for key, value in report.items() if key != "seconds"}
        for report in folders.reports_of(folder)
    ]


def test_a_run_killed_in_the_middle_goes_on_as_if_nothing_had_happened(tmp_path):
    text = "name: killed\n" + PICTURES.split("\n", 1)[1]
    kept = [line for line in text.splitlines() if "kind: " not in line or "vq, D: 4, K: 32" in line
            or "pictures" in line]  # fmt: skip
    text = "\n".join(kept).replace("epochs: 2", "epochs: 24") + "\n"
    grid = grid_of(tmp_path, text)
    (single,) = singles(grid)
    command = [sys.executable, "-m", "vqlab", "train", "-f", tmp_path / "grid-file.yaml"]
    process = subprocess.Popen(
        [*command, "--out", tmp_path / "a", "--device", "cpu"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )
    log = tmp_path / "a" / single.name / "metrics.jsonl"
    deadline = time.monotonic() + HANG
    while not (log.exists() and log.read_text().count("\n") >= 3) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = log.read_text().count("\n")
    assert 3 <= done < 24 and not folders.is_finished(log.parent)

    run.train(grid, tmp_path / "a", device="cpu", progress=False)
    run.train(grid, tmp_path / "b", device="cpu", progress=False)
    a, b = (tmp_path / name / single.name for name in "ab")
    assert len(steps_of(a)) == 24
    assert steps_of(a) == steps_of(b)
    for file in ("best.safetensors", "last.safetensors"):
        left, right = load_file(a / file), load_file(b / file)
        assert left.keys() == right.keys()
        assert all(torch.equal(left[name], right[name]) for name in left)


def test_what_is_done_is_left_alone_and_what_is_new_is_trained(tmp_path):
    text = PICTURES.replace("  - {kind: rvq, D: 4, K: 16, stages: 2}\n", "")
    out = run.train(grid_of(tmp_path, text), tmp_path / "out", progress=False)
    before = times_of(out)
    assert sum(path.name == "best.safetensors" for path in before) == 4
    run.train(grid_of(tmp_path, PICTURES), out, progress=False)
    after = times_of(out)
    assert sum(path.name == "best.safetensors" for path in after) == 5
    assert {path: after[path] for path in before} == before


def times_of(folder):
    """When each file of the runs was written, but for their configurations."""
    files = (path for path in folder.glob("*/**/*") if path.is_file())
    return {path: path.stat().st_mtime_ns for path in files if path.name != "config.yaml"}


def test_another_configuration_under_the_same_name_is_refused(trained, tmp_path):
    changed = grid_of(tmp_path, PICTURES.replace("rate: 1e-3", "rate: 2e-3"))
    with pytest.raises(ValueError, match="training.learning_rate = 0.001, not 0.002"):
        run.train(changed, trained / "pictures", progress=False)
    later = grid_of(tmp_path, PICTURES.replace("test: 20", "test: 19"))  # only the evaluation's
    run.train(later, trained / "pictures", progress=False)
    run.train(grid_of(tmp_path, PICTURES), trained / "pictures", progress=False)


@pytest.mark.parametrize("name", ["tensorboard", "samples"])
def test_a_link_out_of_a_runs_folder_is_not_followed(tmp_path, name):
    (tmp_path / "mine").mkdir()
    run_folder = tmp_path / "out" / "ae-D2-s0"
    run_folder.mkdir(parents=True)
    (run_folder / name).symlink_to(tmp_path / "mine")
    single = singles(grid_of(tmp_path, PICTURES))[0]
    with pytest.raises(ValueError, match=f"{name} is a link out of its folder"):
        folders.open_run(single, run_folder)
    assert not list((tmp_path / "mine").iterdir())


def test_a_run_describes_itself(trained):
    folder = trained / "sound" / "vq-D4-K8-s0"
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files >= {
        "config.yaml", "run.json", "metrics.jsonl", "best.safetensors", "last.safetensors",
        "samples/samples.png", "samples/0-original.wav", "samples/1-reconstruction.wav",
    }  # fmt: skip
    assert any(name.startswith("tensorboard/events") for name in files)
    known = json.loads((folder / "run.json").read_text())
    assert known["seed"] == 0 and known["finished"] and known["training_items"] == 12
    assert known["versions"]["torch"] == torch.__version__
    assert known["source"] == folders.source()
    reports = folders.reports_of(folder)
    assert [report["epoch"] for report in reports] == [1, 2]
    wanted = "step epoch seconds loss error perplexity used validation_error learning_rate"
    assert set(wanted.split()) <= set(reports[0])
    assert folders.single_of(folder).name == folder.name
    original, rate = audio.load(folder / "samples" / "0-original.wav")
    assert rate == 16000 and len(original) == 123 * 128 + 256


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="no checkout")
def test_the_source_is_the_commit_or_where_there_is_none_the_version(monkeypatch, tmp_path):
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, check=True)
    assert folders.source().removesuffix("-dirty") == f"commit {head.stdout.decode().strip()}"
    monkeypatch.setattr(folders, "__file__", str(tmp_path / "vqlab" / "experiments" / "folders.py"))
    assert folders.source.__wrapped__() == f"vqlab {vqlab.__version__}"


def test_tensorboard_can_read_the_log(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = trained / "pictures" / "vq-D4-K32-s0"
    log = EventAccumulator(str(folder / "tensorboard"))
    log.Reload()
    logged = [event.value for event in log.Scalars("validation_error")]
    assert logged == pytest.approx([r["validation_error"] for r in folders.reports_of(folder)])
    assert log.Tags()["images"] and not log.Tags()["audio"]
    (best,) = [n for n, one in enumerate(logged) if one == min(logged)][:1]
    said = folders.reports_of(folder)[best]
    for name in ("perplexity", "validation_perplexity"):
        event = log.Scalars(f"{name}/stage 1")[best]
        bits = said[name.replace("perplexity", "entropy_bits")][0]
        assert event.value == pytest.approx(2**bits) and 1 <= event.value <= 32
    single, model = folders.load_model(folder)
    codes = model.codes(data.load(single.grid, "validation").inputs)
    assert said["validation_used"] == [len(codes.unique())]
    assert set(log.Tags()["scalars"]) >= {"learning_rate", "loss", "bottleneck_loss"}


def test_the_divergence_of_a_vae_is_logged(trained):
    grid = trained / "pictures"
    (one, two) = folders.reports_of(grid / "vae-D2-s0")
    assert one["kl"] > 0 and one["kl"] == pytest.approx(one["bottleneck_loss"])  # beta is 1
    assert "kl" not in folders.reports_of(grid / "vq-D4-K32-s0")[0]
    assert folders.reports_of(grid / "ae-D2-s0")[0]["bottleneck_loss"] == 0


def test_samples_at_intervals_can_be_seen_and_heard_in_the_folder_and_in_tensorboard(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = trained / "sound" / "vq-D4-K8-s0"
    names = {path.name for path in (folder / "samples").iterdir()}
    steps = {f"step-{3 * epoch:08d}" for epoch in (1, 2)}  # 12 items in batches of 5
    assert names == {
        *(f"{step}.png" for step in steps),
        *(f"{n}-{step}.wav" for step in steps for n in (0, 1)),
        *(f"{n}-{name}.wav" for name in ("original", "reconstruction") for n in (0, 1)),
        "samples.png", "0.html", "1.html",
    }  # fmt: skip
    page = (folder / "samples" / "1.html").read_text()
    for label in ("original", "after 3 steps", "after 6 steps", "best weights"):
        assert label in page
    log = EventAccumulator(str(folder / "tensorboard"))
    log.Reload()
    assert len(log.Audio("0-reconstruction")) == 3
    pixels = np.asarray(Image.open(folder / "samples" / "samples.png"))
    assert pixels.min() < 40 and pixels.max() == 255


def test_the_codec_of_train_dataset_has_samples_too(tmp_path, capsys):
    command = ["train", "--words", "no", "--steps", "2", "--codebook-size", "8", "--stages", "1"]
    command += ["--batch-size", "2", "--report-every", "1", "--device", "cpu"]
    assert cli.main([*command, "--out", str(tmp_path / "out")]) == 0
    names = {path.name for path in (tmp_path / "out" / "samples").iterdir()}
    assert {"0.html", "0-original.wav", "1-step-00000002.wav", "samples.png"} <= names
    sound, _ = audio.load(tmp_path / "out" / "samples" / "0-reconstruction.wav")
    assert len(sound) == 16000


def test_the_error_is_the_sum_over_a_picture_and_the_mean_over_the_test_set(trained):
    table = table_of(trained / "pictures")
    for name in ("ae-D2-s0", "vq-D4-K32-s0", "rvq-D4-K16-x2-s0", "fsq-L5.3-s0", "vae-D2-s0"):
        single, model = folders.load_model(trained / "pictures" / name)
        split = data.load(single.grid, "test")
        sums = []
        for picture in split.inputs:
            with torch.no_grad():
                out = model(picture[None])[0][0]
            difference = out.double().numpy() - picture.double().numpy()
            sums.append(sum(float(value) ** 2 for value in difference.ravel()))
        assert len(sums) == int(table[name]["test_items"]) == 20
        assert float(table[name]["sse"]) == pytest.approx(sum(sums) / 20, rel=1e-4)
        assert table[name]["db"] == table[name]["stoi"] == ""
    assert len({row["sse"] for row in table.values()}) == 5


def test_latent_bits_are_those_counted_by_hand(trained):
    table = table_of(trained / "pictures")
    bits = {name: float(row["latent_bits"]) for name, row in table.items()}
    # 32 x 32 pixels are 8 x 8 positions.
    assert bits["ae-D2-s0"] == bits["vae-D2-s0"] == 64 * 2 * 32
    assert bits["vq-D4-K32-s0"] == 64 * 5
    assert bits["rvq-D4-K16-x2-s0"] == 64 * 2 * 4
    assert bits["fsq-L5.3-s0"] == pytest.approx(64 * math.log2(15), rel=1e-5)
    row = table["rvq-D4-K16-x2-s0"]
    assert (row["K"], row["stages"], row["D"], row["positions"]) == ("16", "2", "4", "64")
    assert table["fsq-L5.3-s0"]["K"] == "15" and table["ae-D2-s0"]["K"] == ""
    sound = table_of(trained / "sound")["vq-D4-K8-s0"]
    assert float(sound["latent_bits"]) == 31 * 3  # 124 frames, 4 a position
    assert float(sound["seconds"]) == (123 * 128 + 256) / 16000
    assert float(sound["bits_per_second"]) == pytest.approx(93 / 1.0, rel=1e-5)


def test_decibels_and_codes_are_counted_over_the_test_set(trained):
    row = table_of(trained / "sound")["vq-D4-K8-s0"]
    single, model = folders.load_model(trained / "sound" / "vq-D4-K8-s0")
    split = data.load(single.grid, "test")
    errors, codes = [], []
    for x, low, high in zip(split.inputs, split.low, split.high, strict=True):
        with torch.no_grad():
            out = model(x[None])[0][0]
        db = [(v.double() * (high - low) + low).numpy() for v in (x, out)]
        errors.append(np.abs(db[0] - db[1]).mean(axis=1))
        codes += model.codes(x[None]).flatten().tolist()
    by_bin = np.mean(errors, axis=0)
    assert float(row["db"]) == pytest.approx(by_bin.mean(), rel=1e-4)
    tensors = load_file(trained / "sound" / "errors.safetensors")
    assert tensors["vq-D4-K8-s0"].numpy() == pytest.approx(by_bin, rel=1e-3)
    assert int(row["used"]) == len(set(codes))
    shares = np.unique(codes, return_counts=True)[1] / len(codes)
    assert float(row["perplexity"]) == pytest.approx(2 ** -(shares * np.log2(shares)).sum(), 1e-5)
    assert torch.equal(tensors["hz"], torch.arange(128) * 62.5)
    original = tensors["vq-D4-K8-s0.original"]
    assert original.shape == tensors["vq-D4-K8-s0.reconstruction"].shape == (128, 124)
    restored = split.decibels(split.inputs)
    assert any(torch.equal(original, one) for one in restored)


def test_the_table_has_its_columns_and_a_line_for_the_way_back_alone(trained):
    with (trained / "sound" / "results.csv").open() as file:
        header, *lines = list(csv.reader(file))
    assert header == list(evaluate.COLUMNS)
    assert header[:8] == ["grid", "run", "dataset", "model", "D", "K", "stages", "seed"]
    assert [line[1] for line in lines] == ["vq-D4-K8-s0", "inversion"]
    alone = dict(zip(header, lines[1], strict=True))
    assert alone["model"] == "inversion" and alone["latent_bits"] == alone["D"] == ""
    assert 0 < float(alone["db"]) < float(dict(zip(header, lines[0], strict=True))["db"])
    text = (trained / "sound" / "results.md").read_text()
    assert text.count("\n| words-tiny |") == 2


def test_a_single_run_can_be_measured_too(trained):
    (row,) = evaluate.evaluate(trained / "pictures" / "ae-D2-s0", progress=False)
    assert f"{row['sse']:.6g}" == table_of(trained / "pictures")["ae-D2-s0"]["sse"]
    assert (trained / "pictures" / "ae-D2-s0" / "results.csv").exists()


def test_runs_are_found_below_a_folder_of_grids_and_runs(trained):
    assert folders.grids_in(trained) == [trained / "pictures", trained / "sound"]
    assert folders.grids_in(trained / "sound") == [trained / "sound"]
    assert folders.grids_in("speech") == [Path("speech")]
    one = trained / "pictures" / "ae-D2-s0"
    assert folders.grids_in(one) == [one]


def test_a_grid_without_a_trained_model_is_passed_over_below_a_folder(tmp_path, trained):
    shutil.copytree(trained / "pictures", tmp_path / "pictures")
    (tmp_path / "stopped" / "ae-D2-s0").mkdir(parents=True)
    shutil.copy(trained / "pictures" / "grid.yaml", tmp_path / "stopped")
    shutil.copy(trained / "pictures" / "ae-D2-s0" / "config.yaml", tmp_path / "stopped/ae-D2-s0")
    assert folders.grids_in(tmp_path) == [tmp_path / "pictures"]


def word_set(folder, *, loud=0.1):
    """Words of four speakers; the clips of testing are no sound at all."""
    (folder / "hm").mkdir(parents=True)
    lists = {"validation_list.txt": [], "testing_list.txt": []}
    for n, speaker in enumerate(("00000001", "00000002", "00000003", "00000004")):
        path = folder / "hm" / f"{speaker}_nohash_0.wav"
        noise = loud * torch.randn(16000, generator=torch.Generator().manual_seed(n))
        audio.save(path, noise.clamp(-1, 1), 16000)
        if n > 1:
            lists[list(lists)[n - 2]].append(f"hm/{path.name}")
    (folder / "hm" / "00000004_nohash_0.wav").write_bytes(b"this is no sound")
    for name, lines in lists.items():
        (folder / name).write_text("\n".join(lines) + "\n")
    return SOUND.replace("train: 12", f"root: '{folder}', train: 12")


def fewer_allowed(folder, **options):
    return word_set(folder, **options).replace("train: 12", "allow_fewer: true, train: 12")


def test_training_never_opens_the_test_set(tmp_path):
    grid = grid_of(tmp_path, fewer_allowed(tmp_path / "set"))
    out = run.train(grid, tmp_path / "out", progress=False)
    with pytest.raises(ValueError, match="00000004"):
        evaluate.evaluate(out, progress=False)


def test_quiet_segments_are_left_out_and_it_is_said(tmp_path):
    grid = grid_of(tmp_path, fewer_allowed(tmp_path / "set", loud=0.009))
    with pytest.raises(ValueError, match="2 of 2 segments of the train split have a root mean"):
        data.load(grid, "train")
    less = grid.model_copy(
        update={"spectrogram": grid.spectrogram.model_copy(update={"skip_rms": 0.001})}
    )
    assert len(data.load(less, "train")) == 2


MORE = "the train split of 'words' has 450 here"


def test_too_little_data_is_refused_with_both_numbers_and_the_way_out(tmp_path, capsys):
    path = tmp_path / "grid-file.yaml"
    path.write_text(SOUND.replace("train: 12", "train: 99999"))
    command = ["train", "-f", str(path), "--out", str(tmp_path / "out"), "--device", "cpu"]
    assert cli.main(command) == 2
    said = capsys.readouterr().err
    assert f"train: 99999 in dataset asks for 99,999 items, and {MORE}" in said
    assert "write train: 450, or let fewer do by allow_fewer: true" in said
    assert "--allow-fewer" in said
    assert not (tmp_path / "out").exists()  # or `evaluate` would find a grid without a model


def test_a_set_that_is_chosen_from_is_named_with_what_was_chosen(tmp_path):
    few = SOUND.replace("train: 12", "train: 99999, words: [right, left]")
    with pytest.raises(ValueError, match="of 'words' with words: right, left has 90 here"):
        data.load(grid_of(tmp_path, few), "train")


def test_of_clips_and_pictures_too(tmp_path):
    clips = reading.adapted("speech", {"dataset.train": 99999})
    (single,) = singles(clips)
    with pytest.raises(ValueError, match=MORE):
        data.load(clips, "train", codec=build.codec_of(single))
    with pytest.raises(ValueError, match="48000 in dataset.*'digits' has 1,439 here"):
        data.load(grid_of(tmp_path, PICTURES.replace("train: 48", "train: 48000")), "train")


def test_a_run_that_goes_on_with_fewer_records_both_numbers_and_the_table_has_them(
    tmp_path, capsys
):
    text = word_set(tmp_path / "set").replace("name: words-tiny", "name: fewer")
    grid = grid_of(tmp_path, text.replace("validation: 4, test: 6", "test: 6"))
    with pytest.raises(ValueError, match="asks for 12 items, and the train split .* has 2 here"):
        run.train(grid, tmp_path / "out", progress=False)
    fewer = data.allowing_fewer(grid)
    out = run.train(fewer, tmp_path / "out", progress=False)
    run.train(fewer, out, progress=False)
    known = json.loads((out / "vq-D4-K8-s0" / "run.json").read_text())
    assert known["asked"] == {"train": 12, "validation": None}
    assert known["got"] == {"train": 2, "validation": 1}
    noise = 0.1 * torch.randn(16000, generator=torch.Generator().manual_seed(9))
    audio.save(tmp_path / "set" / "hm" / "00000004_nohash_0.wav", noise.clamp(-1, 1), 16000)
    evaluate.evaluate(out, progress=False)
    row = table_of(out)["vq-D4-K8-s0"]
    numbers = [row[key] for key in ("train_asked", "train_got", "test_asked", "test_got")]
    assert numbers == ["12", "2", "6", "1"]
    assert "train_asked" in (out / "results.md").read_text()
    assert cli.main(["evaluate", str(out), "--allow-fewer"]) == 0
    assert "| train_asked | train_got | test_asked | test_got |" in capsys.readouterr().out


def test_the_margin_of_mnist_can_be_left_out(tmp_path, monkeypatch):
    images = torch.nn.functional.pad(torch.ones(4, 1, 28, 28), (2, 2, 2, 2))
    found = datasets.Pictures(images, list("0123"), list("0123"), ["two black pixels added"])
    monkeypatch.setattr(data.datasets, "load_pictures", lambda *_, **__: found)
    text = PICTURES.replace("digits, train: 48, validation: 16, test: 20", "mnist, size: 28")
    split = data.load(grid_of(tmp_path, text), "train")
    assert split.inputs.shape == (4, 1, 28, 28) and split.inputs.min() == 1 and not split.remarks
    model = build.build(singles(grid_of(tmp_path, text))[0], 1)
    assert model(split.inputs)[0].shape == split.inputs.shape


def test_the_keys_of_a_bottleneck_reach_the_model(tmp_path):
    text = PICTURES.replace("{kind: ae, D: 2}", "{kind: ae, D: 2, loss: mean}")
    text = text.replace("restart_below: 0.1", "restart_below: 0.1, beta: 0.5, decay: 0.9")
    text = text.replace("stages: 2", "stages: 2, decay: null").replace(
        "vae, D: 2", "vae, D: 2, beta: 3"
    )
    ae, vq, rvq, fsq, vae = singles(grid_of(tmp_path, text))
    assert build.loss_of(ae)(torch.ones(2, 3), torch.zeros(2, 3)) == 1
    assert build.loss_of(vae)(torch.ones(2, 3), torch.zeros(2, 3)) == 3
    made = build.build(vq, 1).bottleneck
    assert (made.beta, made.decay, made.restart_below) == (0.5, 0.9, 0.1)
    assert not made.started  # waits for k-means
    made = build.build(rvq, 1).bottleneck
    assert made.layers[0].decay is None and made.layers[0].started
    assert build.build(fsq, 1).bottleneck.levels.tolist() == [5, 3]
    assert build.build(vae, 1).bottleneck.beta == 3
    binary = text.replace("name: digits,", "name: digits, binarise: true,")
    assert set(data.load(grid_of(tmp_path, binary), "test").inputs.unique().tolist()) == {0, 1}


def test_seeds_make_the_weights_and_nothing_else_does(tmp_path):
    text = PICTURES.replace("{epochs: 2,", "{epochs: 2, seeds: [0, 1],")
    runs = {single.name: single for single in singles(grid_of(tmp_path, text))}
    torch.randn(3)  # what was drawn before does not matter
    first, again, other = (build.build(runs[n], 1) for n in ("ae-D2-s0", "ae-D2-s0", "ae-D2-s1"))
    weights = [model.encoder[0].weight for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])


@pytest.mark.parametrize("name", ["nsynth", "cifar10", "speech-commands-right"])
def test_a_minimal_grid_trains_without_network(name, tmp_path):
    """One run of it for one epoch; `mnist` and `words` have whole grids in other tests."""
    grid = reading.read(reading.find(f"{name}-minimal"))
    vq = next(single for single in singles(grid) if single.bottleneck.kind == "vq").grid
    limits = {"train": 8, "validation": 2}
    dataset = grid.dataset.model_copy(update=limits)
    training = vq.training.model_copy(update={"epochs": 1})
    small = vq.model_copy(update={"dataset": dataset, "training": training})
    out = run.train(small, tmp_path / "out", progress=False)
    assert [folders.is_finished(folder) for folder in folders.runs_in(out)] == [True]


def test_the_command_line_trains_and_measures_a_shipped_grid(tmp_path, capsys):
    out = tmp_path / "mnist"
    assert cli.main(["train", "-f", "mnist-minimal", "--out", str(out)]) == 0
    assert "7 runs are in" in capsys.readouterr().out
    assert cli.main(["evaluate", str(out)]) == 0
    said = capsys.readouterr().out
    lines = [line for line in said.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + 7 and max(map(len, lines)) < 80
    assert "| train_asked |" in (out / "results.md").read_text()
    assert len(table_of(out)) == 7


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["train", "-f", "wurds"], "no such experiment ships with vqlab"),
        (["train", "-f", "words-minimal", "--steps", "3"], "--steps does not go with --file"),
        (["train", "--steps", "3"], "give --out"),
        (["evaluate", "experiments"], "codec"),
        (["reconstruct", "a.wav", "out.wav", "--model", "speech", "voice"], "holds one sound"),
        (
            ["reconstruct", "a.wav", "out", "--model", "speech", "voice"],
            "no weights called 'voice'",
        ),
    ],
)
def test_mistakes_on_the_command_line_end_in_a_sentence(arguments, said, capsys, tmp_path):
    assert cli.main(arguments) == 2
    assert said in capsys.readouterr().err
