"""Her own codec: pieces are checked by what they do, her file survives, it alone is a codec."""

import json
import os
import shutil
import subprocess
import sys
import textwrap
import time
from contextlib import suppress

import numpy as np
import psutil
import pytest
import soundfile
import torch
import torch.nn.functional as F
from _support import ROOT

from vqlab import datasets, inversion, lessons, metrics, spectral
from vqlab.datasets import speech_commands
from vqlab.files import bundled
from vqlab.lessons import checking, own_file, own_pieces, own_training

REFERENCE = ROOT / "notebooks/solutions/my_codec.py"
ours = own_file.load(REFERENCE)
solved = {name: getattr(ours, own_file.reference()[1][name].defines) for name in lessons.pieces()}


def cell(source, tmp_path):
    """What a cell of a notebook defines; like there, its text can be found again."""
    path = tmp_path / f"cell{len(list(tmp_path.iterdir()))}{len(source)}.py"
    path.write_text(textwrap.dedent(source))
    names = {"torch": torch, "F": torch.nn.functional, "spectral": spectral}
    exec(compile(path.read_text(), str(path), "exec"), names)
    return names


NEAREST = """
    def nearest_code(vectors, codebook):
        return torch.cdist(vectors, codebook).argmin(dim=1)
"""


# --- the reference --------------------------------------------------------------------------------


def test_the_reference_is_plain_and_has_a_check_for_each_piece():
    text = REFERENCE.read_text()
    assert "vqlab" not in text and len(text.splitlines()) < 560
    pieces = {name: own_file.reference()[1][name].text for name in lessons.pieces()}
    lines = {n: sum(bool(line.strip()) for line in text.splitlines()) for n, text in pieces.items()}
    prior = sum(size for name, size in lines.items() if name.startswith(own_file.PRIOR))
    assert 200 <= sum(lines.values()) - prior <= 320 and 50 <= prior <= 80
    assert all(len(piece.splitlines()) <= 45 for piece in pieces.values())


@pytest.mark.parametrize("name", solved)
def test_a_solution_passes_and_each_mistake_gets_its_own_hint(name):
    exercise = lessons.find(name)
    assert lessons.check(name, solved[name])
    assert len(exercise.mistakes) >= 5 and len(exercise.hints) >= 2
    for mistake, hint in exercise.mistakes:
        assert checking.check(name, mistake).sentence == f"{name}: {hint}"


@pytest.mark.parametrize("name", solved)
def test_a_function_that_works_in_place_does_not_spoil_the_next_check(name):
    def spoils(*values, **_):
        for value in values:
            if isinstance(value, torch.Tensor):
                value.zero_()

    assert not lessons.check(name, spoils)
    assert lessons.check(name, solved[name])
    for mistake, hint in lessons.find(name).mistakes:
        assert checking.check(name, mistake).sentence == f"{name}: {hint}"


def test_the_spectrum_is_the_packages_seen_from_the_middle_of_a_hop():
    config = spectral.MelConfig(hop_length=ours.HOP)
    torch.testing.assert_close(ours.mel_filters(), spectral.filter_bank(config))
    sound = torch.randn(1, 3200, generator=torch.Generator().manual_seed(0))
    shifted = torch.nn.functional.pad(sound, (ours.HOP - ours.HOP // 2, 0))
    theirs = spectral.stft(shifted, config)[..., 3:17]
    torch.testing.assert_close(ours.stft(sound)[..., 2:16], theirs, rtol=1e-3, atol=1e-3)


def test_the_way_back_is_exact_where_nothing_is_lost():
    sound = torch.randn(2, 4800, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ours.istft(ours.stft(sound)), sound, rtol=1e-4, atol=1e-5)


def test_griffin_lim_is_as_good_as_the_packages():
    clip = datasets.load("words", "test", words="right")[0].waveform[None]
    magnitude = ours.stft(clip).abs()
    found = ours.stft(ours.griffin_lim(magnitude)).abs()
    config = spectral.MelConfig(hop_length=ours.HOP)
    wanted = spectral.stft(clip, config).abs()
    theirs = inversion.griffin_lim(wanted, config, length=clip.shape[1])
    fault = float((found - magnitude).norm() / magnitude.norm())
    assert fault < 1.1 * metrics.spectral_convergence(theirs, wanted, config)


@pytest.mark.parametrize("seed", range(4))
def test_the_range_coder_comes_back_and_is_as_short_as_the_frequencies_allow(seed):
    random = np.random.default_rng(seed)
    tables = [random.integers(1, 10 ** (1 + seed), 2 + seed * 80).tolist() for _ in range(400)]
    codes = [int(random.choice(len(t), p=np.array(t) / sum(t))) for t in tables]
    data = ours.range_encode(codes, tables)
    assert ours.range_decode(data, tables) == codes
    bits = -sum(np.log2(t[c] / sum(t)) for c, t in zip(codes, tables, strict=True))
    assert abs(8 * len(data) - bits) < 16


# --- her file -------------------------------------------------------------------------------------


def test_what_passes_is_in_the_file_and_comes_back(her_file, tmp_path):
    theirs = cell(NEAREST, tmp_path)["nearest_code"]
    assert "my_codec.py" in str(lessons.check("05-nearest-code", theirs))
    text = her_file.read_text()
    assert "torch.cdist" in text and "# --- 05-nearest-code --- yours" in text
    assert lessons.mine("05-nearest-code", theirs) is theirs
    again = lessons.mine("05-nearest-code")  # another kernel, another notebook
    assert again is not theirs and again.__code__.co_filename == str(her_file)
    subprocess.run([sys.executable, her_file], check=True, capture_output=True)


def test_before_she_passes_ours_is_given_and_said(capsys, tmp_path):
    stub = cell("def nearest_code(v, c):\n    raise NotImplementedError", tmp_path)["nearest_code"]
    given = lessons.mine("05-nearest-code", stub)
    assert given(torch.eye(3), torch.eye(3)).tolist() == [0, 1, 2]
    assert "ours" in capsys.readouterr().out
    assert not lessons.own_file.where().exists()


def test_an_edit_by_hand_stays_until_the_notebook_has_something_new(her_file, tmp_path):
    theirs = cell(NEAREST, tmp_path)["nearest_code"]
    lessons.check("05-nearest-code", theirs)
    her_file.write_text(her_file.read_text().replace("torch.cdist(", "2 * torch.cdist("))
    lessons.check("05-nearest-code", theirs)  # the kernel is restarted, all cells run again
    assert "2 * torch.cdist" in her_file.read_text()
    found = lessons.mine("05-nearest-code", theirs)
    assert found is not theirs and found.__code__.co_filename == str(her_file)
    newer = cell(NEAREST.replace("cdist(", "cdist(1.0 * "), tmp_path)["nearest_code"]
    lessons.check("05-nearest-code", newer)
    assert "    return torch.cdist(1.0 * " in her_file.read_text()
    assert "#     return 2 * torch.cdist(" in her_file.read_text()
    assert lessons.mine("05-nearest-code", newer) is newer


def test_a_broken_edit_is_told_and_ours_is_used(her_file, capsys):
    lessons.check("05-nearest-code", solved["05-nearest-code"])
    her_file.write_text(her_file.read_text().replace("argmin", "argmax"))
    assert lessons.mine("05-nearest-code")(torch.eye(2), torch.eye(2)).tolist() == [0, 1]
    assert "farthest" in capsys.readouterr().out
    assert "farthest" in lessons.progress()


def test_the_file_can_be_imported_again_after_a_broken_edit(her_file):
    lessons.check("05-nearest-code", solved["05-nearest-code"])
    her_file.write_text(her_file.read_text().replace(".argmin(", ".argmin(("))
    lessons.check("05-straight-through", solved["05-straight-through"])
    found = own_file.load(her_file)
    assert hasattr(found, "straight_through") and not hasattr(found, "nearest_code")
    assert "# return" in her_file.read_text().replace("#     return", "# return")


def test_settings_changed_by_hand_stay(her_file):
    lessons.check("01-level", solved["01-level"])
    her_file.write_text(her_file.read_text().replace("LEVEL_DB = -26.0", "LEVEL_DB = -30.0"))
    lessons.check("02-stft", solved["02-stft"])
    assert lessons.own().LEVEL_DB == -30.0


def test_a_setting_changed_in_a_cell_is_refused(her_file, tmp_path):
    text = "LEVEL_DB = -26.0\n" + own_file.reference()[1]["01-level"].text
    other = cell(text.replace("-26", "-20"), tmp_path)["to_level"]
    told = str(lessons.check("01-level", other))
    assert "-26.0 there and -20.0 here" in told and not her_file.exists()
    assert lessons.check("01-level", cell(text, tmp_path)["to_level"])


def test_an_error_below_a_decorator_is_told_with_her_line(tmp_path):
    text = "@torch.no_grad()\ndef compress(waveform, codec=None):\n    return waveform.nothing\n"
    told = str(lessons.check("10-compress", cell(text, tmp_path)["compress"]))
    assert "line 3 of its cell (`return waveform.nothing`)" in told


def test_a_bit_looked_at_after_the_shift_is_told_from_a_short_polynomial(tmp_path):
    text = """
        def checksum(data):
            polynomial, r = 0x11021, 0
            for byte in data:
                r ^= byte << 8
                for _ in range(8):
                    r <<= 1
                    if r & 0x8000:
                        r ^= polynomial
            return r.to_bytes(2, "big")
    """
    told = str(lessons.check("10-checksum", cell(text, tmp_path)["checksum"]))
    assert "*before* the shift" in told


def test_a_name_that_the_file_lacks_is_named(tmp_path):
    leaning = "def log_mel(waveform):\n    return spectral.log_mel(waveform)\n"
    verdict = lessons.check("02-log-mel", cell(leaning, tmp_path)["log_mel"])
    assert "`spectral` is not in my_codec.py" in str(verdict)


def test_what_a_piece_uses_of_its_own_cell_goes_along(her_file, tmp_path):
    source = """
        SIDE = 2.0
        UNUSED = 3
        def square(x):
            return x**SIDE
        def nearest_code(vectors, codebook):
            return (square(codebook).sum(1) - 2 * vectors @ codebook.T).argmin(1)
    """
    assert lessons.check("05-nearest-code", cell(source, tmp_path)["nearest_code"])
    text = her_file.read_text()
    assert "SIDE = 2.0" in text and "def square" in text and "UNUSED" not in text


def test_another_name_and_a_lambda_are_told(tmp_path):
    other = cell("def nearest(v, c):\n    return v", tmp_path)["nearest"]
    assert "`nearest_code`" in str(lessons.check("05-nearest-code", other))
    assert not lessons.check("05-nearest-code", lambda v, c: v)


def test_a_module_decorated_methods_and_all_passes_from_a_cell(tmp_path, her_file):
    text = own_file.reference()[1]["06-model"].text
    names = cell("import torch\nfrom torch import nn\nSTAGES, CODES = 3, 256\n" + text, tmp_path)
    assert lessons.check("06-model", names["Codec"])
    assert her_file.read_text().count("STAGES, CODES = 3, 256") == 1  # the settings have them


def test_the_rest_is_filled_with_ours(her_file, tmp_path):
    lessons.check("05-nearest-code", cell(NEAREST, tmp_path)["nearest_code"])
    of_codec = [name for name in lessons.pieces() if not name.startswith(own_file.PRIOR)]
    assert len(lessons.fill()) == len(of_codec) - 1
    text = her_file.read_text()
    assert text.count(" --- ours ") == len(of_codec) - 1 and lessons.fill() == []
    assert own_file.load(her_file).to_level(torch.ones(10))[1] == -52
    assert f"1 of {len(of_codec)} pieces are yours" in lessons.progress()
    order = [text.index(f"# --- {name} ---") for name in own_file.reference()[1] if name in text]
    assert order == sorted(order)


def test_an_unknown_piece_names_the_known_ones():
    with pytest.raises(ValueError, match="05-vq-loss"):
        lessons.mine("05-farthest")


def test_an_exercise_that_is_no_piece_is_given_back_and_stays_out_of_the_file(capsys, monkeypatch):
    monkeypatch.setattr(own_pieces, "_passed", {})

    def vq_loss(z_e, z_q, beta):
        return F.mse_loss(z_q, z_e.detach()) + beta * F.mse_loss(z_e, z_q.detach())

    assert lessons.mine("05-vq-loss") is lessons.find("05-vq-loss").right
    assert lessons.mine("05-vq-loss", lambda *_: None) is lessons.find("05-vq-loss").right
    assert "yours." not in capsys.readouterr().out
    assert lessons.mine("05-vq-loss", vq_loss) is vq_loss is lessons.mine("05-vq-loss")
    assert "yours." in capsys.readouterr().out and not own_file.where().exists()
    assert lessons.progress().endswith("Passed, and no piece of the codec: 05-vq-loss.")  # for good


def test_ours_given_back_stays_ours(her_file, capsys):
    """The cell with `mine` is run twice, after the rest was filled in."""
    lessons.fill()
    given = lessons.mine("05-nearest-code")
    assert lessons.check("05-nearest-code", given)
    lessons.mine("05-nearest-code", given)
    assert capsys.readouterr().out.count("ours, until yours") == 2
    assert " --- yours " not in her_file.read_text()


def test_ours_leans_on_hers(her_file, tmp_path):
    """She has the layer and not yet the stages: the stages that are given hold her layer."""
    assert lessons.check("05-nearest-code", cell(NEAREST, tmp_path)["nearest_code"])
    given = lessons.mine("05-vq-layer")
    assert "cdist" in given.forward.__globals__["nearest_code"].__code__.co_names


# --- the file alone is a codec --------------------------------------------------------------------

ALONE = """
import sys
sys.modules["vqlab"] = None  # an import of it would fail
sys.argv = ["my_codec.py", *sys.argv[1:]]
import runpy
runpy.run_path("my_codec.py", run_name="__main__")
"""


def alone(folder, *arguments):
    command = [sys.executable, "-c", ALONE, *arguments]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=env)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """What somebody has who solved everything and trained for 250 steps."""
    folder = tmp_path_factory.mktemp("own")
    command = [sys.executable, ROOT / "tools/own_codec.py", folder, "--data", "words"]
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*command, "--steps", "250"], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.timeout(900)  # the training is 30 s of a processor, more where others use it too
def test_the_built_file_has_every_piece_as_hers(trained):
    text = (trained / "my_codec.py").read_text()
    assert text.count(" --- yours ") == len(lessons.pieces())
    assert (trained / "my_codec.npz").stat().st_size < 2_000_000


@pytest.mark.parametrize("word", ["right", "stop"])
def test_the_file_alone_brings_a_word_there_and_back(trained, tmp_path, word):
    clip = datasets.load("words", "test", words=word)[3]
    for name in ("my_codec.py", "my_codec.npz"):
        shutil.copy(trained / name, tmp_path)
    soundfile.write(tmp_path / "voice.wav", clip.waveform.numpy(), clip.sample_rate)
    there = alone(tmp_path, "compress", "voice.wav", "voice.mine")
    back = alone(tmp_path, "decompress", "voice.mine", "back.wav")
    assert there.returncode == back.returncode == 0, there.stderr + back.stderr
    data = (tmp_path / "voice.mine").read_bytes()
    sound, rate = soundfile.read(tmp_path / "back.wav", dtype="float32")
    assert (len(sound), rate) == (len(clip.waveform), clip.sample_rate)
    assert 8 * len(data) / len(sound) * rate < 1_350
    found = metrics.score(clip.waveform, torch.from_numpy(sound), rate)
    assert found["log_mel_db"] < 4.5
    codec = own_file.load(trained / "my_codec.py")  # the same bytes again, here
    assert codec.compress(codec.read_sound(tmp_path / "voice.wav")) == data
    (tmp_path / "voice.mine").write_bytes(data[:20] + bytes([data[20] ^ 1]) + data[21:])
    damaged = alone(tmp_path, "decompress", "voice.mine", "back.wav")
    assert damaged.returncode == 1 and "damaged" in damaged.stderr
    assert "Traceback" not in damaged.stderr


def test_unseen_voices_are_understood(trained):
    codec = own_file.load(trained / "my_codec.py")
    clips = datasets.load("words", "test", words="all", limit=30)
    rows = metrics.score_codec(lambda sound: codec.decompress(codec.compress(sound)), clips)
    means = metrics.summarise(rows)
    assert means["stoi"].mean > 0.74
    assert means["log_mel_db"].mean < 4.1


def test_a_sound_of_another_rate_is_resampled(trained, tmp_path):
    codec = own_file.load(trained / "my_codec.py")
    times = np.arange(44_100) / 44_100
    soundfile.write(tmp_path / "tone.wav", np.stack([np.sin(2764 * times)] * 2, 1), 44_100)
    sound = codec.read_sound(tmp_path / "tone.wav")
    wanted = torch.sin(2764 * torch.arange(16_000) / 16_000)
    assert (sound - wanted)[500:-500].abs().max() < 0.01


def test_before_any_training_the_model_that_ships_is_given(capsys):
    module, codec = lessons.trained()
    assert "2,000 steps" in capsys.readouterr().out
    clips = datasets.load("words", "test", words="all", limit=20)
    rows = metrics.score_codec(lambda x: module.decompress(module.compress(x, codec), codec), clips)
    assert metrics.summarise(rows)["stoi"].mean > 0.79
    assert bundled("weights", "own", "my_codec.npz").stat().st_size < 2_000_000


def test_her_own_model_is_given_once_there_is_one(her_file, capsys):
    for name, piece in solved.items():
        assert lessons.check(name, piece)
    module = lessons.own()
    torch.manual_seed(0)
    hers = module.Codec()
    module.save_codec(hers, her_file.with_suffix(".npz"))
    _, found = lessons.trained()
    assert "Your codec" in capsys.readouterr().out
    torch.testing.assert_close(found.decoder[0].bias, hers.decoder[0].bias, rtol=1e-3, atol=1e-4)


def test_weights_of_other_pieces_are_told(her_file, capsys):
    for name, piece in solved.items():
        assert lessons.check(name, piece)
    module = lessons.own()
    module.save_codec(module.Codec(), her_file.with_suffix(".npz"))
    her_file.write_text(
        her_file.read_text().replace("DIM, WIDTH = 2, 64, 128", "DIM, WIDTH = 2, 64, 96")
    )
    assert "WIDTH = 2, 64, 96" in her_file.read_text()
    lessons.trained()
    weights = her_file.with_suffix(".npz")
    assert "of other pieces" in capsys.readouterr().out
    for damaged in (b"", b"PK and more", weights.read_bytes()[:9_000]):
        weights.write_bytes(damaged)
        lessons.trained()
        assert "Our codec: my_codec.npz is damaged" in capsys.readouterr().out


# --- training in a process of its own -------------------------------------------------------------


@pytest.fixture  # its processes load torch, which takes a busy machine a while
def trains(her_file):
    yield lessons.training()
    lessons.training().stop()
    assert not lessons.training().running


def wait(what, seconds=900):  # only a hang takes so long
    end = time.monotonic() + seconds
    while not what() and time.monotonic() < end:
        time.sleep(0.2)
    assert what(), own_file.where().with_suffix(".training.log").read_text()


def test_none_is_started_where_it_is_off(trains, monkeypatch, capsys):
    monkeypatch.setenv("VQLAB_TRAINING", "off")
    assert not lessons.start_training().running
    assert "VQLAB_TRAINING is off" in capsys.readouterr().out
    assert repr(trains) == "No training yet."


@pytest.mark.timeout(1200)
def test_training_starts_is_seen_stops_and_goes_on(trains, her_file):
    assert repr(trains) == "No training yet."
    lessons.start_training("words", minutes=1.1)
    assert trains.running and "runs" in repr(trains)
    assert "on the bundled words (synthetic voices)" in repr(trains)
    assert lessons.start_training("words").running  # there is only one
    wait(lambda: trains.state["steps"] > 0)
    trains.stop()
    assert not trains.running and "stopped" in repr(trains)
    state = her_file.with_suffix(".training.json")
    steps = trains.state["steps"]
    state.write_text(json.dumps(trains.state | {"minutes": 0.97}))  # as if it had gone on
    lessons.start_training("words", minutes=1.05)
    wait(lambda: not trains.running)
    assert trains.state["ended"] == "finished" and trains.state["steps"] > steps
    assert trains.state["versions"] == [1, 1.05]
    minutes, losses = zip(*trains.state["curve"], strict=True)
    assert list(minutes) == sorted(minutes) and min(losses) > 0
    assert "1.0 of" in repr(trains) or "1.1 of" in repr(trains)
    (name, codec), *_ = trains.versions().items()
    assert name == "1 min" and int(codec.frequencies.sum()) > 10_000
    assert "finished" in lessons.progress()


SLOW = """
import time
from pathlib import Path
Path(__file__).with_suffix(".begun").touch()
time.sleep(3600)
"""


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("while_it", ["prepares", "trains"])
def test_training_outlives_the_kernel_and_ends_with_its_jupyterlab(trains, her_file, while_it):
    if while_it == "prepares":
        her_file.write_text(SLOW)
    lab = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    try:
        program = "from vqlab import lessons; lessons.start_training('words', minutes=60)"
        env = os.environ | {"PYTHONPATH": str(ROOT), "JPY_PARENT_PID": str(lab.pid)}
        subprocess.run([sys.executable, "-c", program], env=env, check=True)
        wait(lambda: her_file.with_suffix(".begun").exists() or trains.state["steps"] > 0)
        assert trains.running
    finally:
        lab.kill()  # and nobody asks how it ended: to the training, that is an end as well
    wait(lambda: not trains.running)
    lab.wait()
    left = {path.suffix for path in her_file.parent.iterdir()} - {".begun", ".py"}
    assert left == {".json", ".log"} | ({".npz"} if while_it == "trains" else set())
    if while_it == "trains":
        ours.load_codec(trains.place(".now.npz"))
    assert "Training is stopped" in repr(trains)


@pytest.mark.timeout(1200)
def test_training_ends_with_the_program_that_started_it(trains):
    program = "from vqlab import lessons; lessons.start_training('words', minutes=60)"
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", program], env=env, check=True)
    wait(lambda: not trains.running)
    assert trains.state["ended"] == "stopped" or trains.state["steps"] == 0


def processes_of(her_file):
    """The living processes that train the codec in a file."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            if "own_process import run" in " ".join(process.info["cmdline"] or []):
                found += [process] * (process.environ()["VQLAB_MY_CODEC"] == str(her_file))
    return found


@pytest.mark.timeout(1200)
def test_of_two_starts_at_once_one_training_stays(trains, her_file):
    program = "from vqlab import lessons as now; input(print()); now.start_training('words')"
    env = os.environ | {"PYTHONPATH": str(ROOT), "JPY_PARENT_PID": str(os.getpid())}
    command, pipe = [sys.executable, "-c", program], subprocess.PIPE
    two = [subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True) for _ in "ab"]
    assert [one.stdout.readline() for one in two] == ["\n", "\n"]  # both are there
    for one in two:
        one.stdin.write("\n")
        one.stdin.flush()
    assert [one.wait() for one in two] == [0, 0]
    wait(lambda: trains.state["steps"] > 0 and len(processes_of(her_file)) == 1)
    assert trains.running


@pytest.mark.timeout(1200)
def test_where_its_files_went_training_ends_and_writes_none(trains, her_file):
    lessons.start_training("words", minutes=60)
    wait(lambda: trains.state["steps"] > 0)
    (process,) = processes_of(her_file)
    for path in her_file.parent.iterdir():
        path.unlink()
    psutil.wait_procs([process], timeout=900)
    assert not process.is_running() and not [*her_file.parent.iterdir()]


@pytest.mark.timeout(1200)
def test_what_stops_a_training_is_said_and_leaves_the_last_version(trains, her_file):
    ours.save_codec(ours.Codec(), trains.place(".now.npz"))
    before = trains.place(".now.npz").read_bytes()
    program = """
import resource
from vqlab import lessons
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
lessons.start_training("words", minutes=60)
"""
    env = os.environ | {"PYTHONPATH": str(ROOT), "JPY_PARENT_PID": str(os.getpid())}
    subprocess.run([sys.executable, "-c", program], env=env, check=True)
    wait(lambda: not trains.running)
    assert repr(trains).startswith("Training is stopped (OSError: [Errno 27] File too large): ")
    assert trains.place(".now.npz").read_bytes() == before
    assert not [*her_file.parent.glob("*.new.npz")]


def test_spectra_are_of_people_where_they_are(monkeypatch, tmp_path):
    monkeypatch.setenv("VQLAB_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    name, mels = own_training.spectra(ours)
    assert name == "words" and mels.shape[1:] == (ours.MELS, 100)
    clip = datasets.load("words", "train").entries[0]
    place = tmp_path / "mini_speech_commands" / "yes"
    place.mkdir(parents=True)
    speaker = next(s for s in "abcdefgh" if speech_commands.which_set(s) == "train")
    shutil.copy(clip.path, place / f"{speaker}_nohash_0.flac")
    name, mels = own_training.spectra(ours)
    assert name == "mini_speech_commands" and mels.shape == (1, ours.MELS, 100)
    monkeypatch.setattr(own_training, "MOST_CLIPS", 2)
    assert len(own_training.spectra(ours, "words")[1]) == 2
