"""The command line, as a person uses it: right results, one clear sentence for every mistake."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from _support import HANG, ROOT, need

from vqlab import cli, files
from vqlab.codec import Codec, Recipe, packing, shipped
from vqlab.features import Features
from vqlab.files import bundled
from vqlab.spectral import MelConfig


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    options = {"n_mels": 16, "dim": 8, "codebook_size": 32, "width": 16, "decoder_blocks": 1}
    codec = Codec(Recipe("speech", options), Features(MelConfig(n_fft=256, n_mels=16)))
    codec.model(torch.randn(8, 16, 100))
    path = tmp_path_factory.mktemp("model") / "codec.safetensors"
    codec.save(path)
    return str(path)


def sound(path, samples=16000, rate=16000, channels=1, **options):
    t = np.arange(samples) / rate
    wave = 0.3 * np.sin(2 * np.pi * 300 * t)
    soundfile.write(path, np.stack([wave] * channels, axis=1), rate, **options)
    return path


def vqlab(*arguments):
    """Exit status of one command (argparse leaves through SystemExit)."""
    try:
        return cli.main([str(a) for a in arguments])
    except SystemExit as left:
        return left.code


def bad_files(folder):
    sound(folder / "whole.wav")
    whole = (folder / "whole.wav").read_bytes()
    (folder / "whole.wav").unlink()
    (folder / "empty.wav").write_bytes(b"")
    (folder / "text.wav").write_text("this is a shopping list\n" * 20)
    (folder / "header-only.wav").write_bytes(whole[:44])
    (folder / "cut-in-header.wav").write_bytes(whole[:20])
    soundfile.write(folder / "nan.wav", np.full(1600, np.nan), 16000, subtype="FLOAT")
    soundfile.write(folder / "no-samples.wav", np.zeros(0), 16000)
    (folder / "folder.wav").mkdir()
    return ["missing.wav", *sorted(path.name for path in folder.iterdir())]


def test_a_command_leaves_pythons_way_of_showing_warnings_alone(capsys):
    before = warnings.showwarning
    assert vqlab("info", "missing.vql") == 2
    assert warnings.showwarning is before


def test_bad_files_end_in_one_sentence_and_leave_nothing_behind(tmp_path, model, capsys):
    for name in bad_files(tmp_path):
        before = sorted(path.name for path in tmp_path.iterdir())
        status = vqlab("compress", tmp_path / name, tmp_path / "out.vql", "--model", model)
        printed = capsys.readouterr()
        assert status == 2, name
        assert printed.out == ""
        lines = printed.err.strip().splitlines()
        assert len(lines) == 1 and lines[0].startswith("vqlab: "), (name, printed.err)
        assert name in lines[0] and len(lines[0]) < 400
        assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"samples": 50},
        {"channels": 2, "rate": 44100, "samples": 44100},
        {"subtype": "PCM_U8"},
        {"subtype": "FLOAT"},
        {"rate": 8000, "samples": 8000},
    ],
    ids=str,
)
def test_unusual_files_go_there_and_back(tmp_path, model, options):
    path = sound(tmp_path / "in.wav", **options)
    seconds = soundfile.info(path).duration
    assert vqlab("compress", path, "--model", model) == 0
    assert vqlab("decompress", tmp_path / "in.vql", tmp_path / "back.wav", "--model", model) == 0
    back = soundfile.info(tmp_path / "back.wav")
    assert (back.samplerate, back.channels) == (16000, 1)
    assert back.duration == pytest.approx(seconds, abs=1e-4)


def test_silence_goes_there_and_back(tmp_path, model):
    soundfile.write(tmp_path / "zeros.wav", np.zeros(16000), 16000)
    assert vqlab("compress", tmp_path / "zeros.wav", "--model", model) == 0
    assert vqlab("decompress", tmp_path / "zeros.vql", tmp_path / "back.wav", "--model", model) == 0


def test_a_truncated_file_gives_what_is_there_and_says_so(tmp_path, model, capsys):
    path = sound(tmp_path / "cut.wav")
    path.write_bytes(path.read_bytes()[: 44 + 16000])  # half of the samples
    assert vqlab("compress", path, tmp_path / "x.vql", "--model", model) == 0
    assert "cut.wav" in capsys.readouterr().err
    assert vqlab("decompress", tmp_path / "x.vql", tmp_path / "back.wav", "--model", model) == 0
    assert soundfile.info(tmp_path / "back.wav").duration == pytest.approx(0.5, abs=0.01)


def test_an_existing_file_is_not_overwritten_unless_asked(tmp_path, model, capsys):
    path = sound(tmp_path / "in.wav")
    (tmp_path / "in.vql").write_bytes(b"VQL precious")
    assert vqlab("compress", path, "--model", model) == 2
    assert "-f" in capsys.readouterr().err
    assert (tmp_path / "in.vql").read_bytes() == b"VQL precious"
    assert vqlab("compress", path, "--model", model, "-f") == 0
    assert (tmp_path / "in.vql").read_bytes() != b"precious"


@pytest.mark.parametrize("data", [b"", b"RIFF....", b"VQL\0abc", b"VQL\1abc", b"\0" * 5000])
def test_what_is_not_a_packed_file_is_refused(tmp_path, model, data, capsys):
    (tmp_path / "x.vql").write_bytes(data)
    for command in (["decompress", "--model", model], ["info"]):
        assert vqlab(*command, tmp_path / "x.vql") == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "x.wav").exists()


def test_a_rate_that_is_too_low_names_the_rates(tmp_path, model, capsys):
    path = sound(tmp_path / "in.wav")
    assert vqlab("compress", path, "--model", model, "--kbps", 0.01) == 2
    assert "ask for" in capsys.readouterr().err


def test_an_unknown_model_names_those_that_ship(tmp_path, capsys):
    path = sound(tmp_path / "in.wav")
    assert vqlab("compress", path, "--model", "opera") == 2
    assert "speech" in capsys.readouterr().err


def test_info_says_what_a_file_holds(tmp_path, model, capsys):
    path = sound(tmp_path / "in.wav")
    vqlab("compress", path, "--model", model, "--kbps", 0.75)
    size = (tmp_path / "in.vql").stat().st_size
    # Two of the three stages: 126 codes of 5 bits are 79 bytes, header and checksum 12.
    assert size in (90, 91)
    assert f"{size} bytes for 1.00 s, 0.73 kbit/s stored" in capsys.readouterr().out
    assert vqlab("info", tmp_path / "in.vql", "--model", model) == 0
    told = capsys.readouterr().out
    assert f"{size} bytes" in told and "16000 samples at 16000 Hz, 1.00 s" in told
    assert "126 codes; stage by stage 63 + 63" in told
    quality = int(told.split("quality")[1].split()[0])
    assert quality // 8 == 2  # equally loud as far as it knows: quality counts stages
    assert vqlab("info", tmp_path / "in.vql") == 0
    assert "made with other weights" in capsys.readouterr().out
    assert vqlab("info", tmp_path / "in.vql", "--model", "speech") == 0
    assert "made with other weights" in capsys.readouterr().out
    assert vqlab("info", model) == 0
    assert '"codebook_size": 32' in capsys.readouterr().out


@pytest.mark.parametrize(
    "codec", files.codecs.weights_at_hand(), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_a_file_opens_with_the_codec_that_wrote_it(codec, tmp_path, capsys):
    sound(tmp_path / "in.wav")
    assert vqlab("compress", tmp_path / "in.wav", "--model", codec) == 0
    data = (tmp_path / "in.vql").read_bytes()
    assert shipped.codec_of(data) == codec
    assert torch.equal(shipped.decompress(data)[0], shipped.decompress(data, model=codec)[0])
    assert vqlab("decompress", tmp_path / "in.vql", tmp_path / "back.wav") == 0
    assert soundfile.info(tmp_path / "back.wav").frames == 16000
    assert vqlab("info", tmp_path / "in.vql") == 0
    assert "stage by stage" in capsys.readouterr().out


def test_a_file_whose_codec_is_not_installed_says_which_it_needs(
    tmp_path, model, monkeypatch, capsys
):
    """As installed: no folder of the repository lies beside the package."""
    data = shipped.compress(sound(tmp_path / "in.wav"), tmp_path / "in.vql", model=model)
    (tmp_path / "vqlab/_data").mkdir(parents=True)
    (tmp_path / "vqlab/_data/weights").symlink_to(ROOT / "data/weights")
    monkeypatch.setattr(files, "_PACKAGE", tmp_path / "vqlab")
    assert vqlab("decompress", tmp_path / "in.vql", tmp_path / "back.wav") == 2
    told = capsys.readouterr().err
    assert f"identity {packing.unpack(data).identity.hex()}" in told
    assert "than speech (" in told and "give the model" in told and "its folder earlier" in told
    assert len(told.strip().splitlines()) == 1
    assert vqlab("decompress", tmp_path / "in.vql", tmp_path / "back.wav", "--model", model) == 0


def test_train_evaluate_and_use_on_the_bundled_words(tmp_path, capsys):
    """Every command in a row, in a process of its own, as in the README."""

    def run(*arguments):
        command = [sys.executable, "-m", "vqlab", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=HANG)

    done = run("train", "--words", "yes", "--steps", 12, "--out", tmp_path / "run", "--threads", 1,
               "--codebook-size", 64, "--device", "cpu")  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "codec.safetensors").exists()
    assert "Done after 12 steps" in done.stdout
    word = next(bundled("words", "yes").glob("*.flac"))
    model = tmp_path / "run" / "codec.safetensors"
    done = run("compress", word, tmp_path / "yes.vql", "--model", model)
    assert done.returncode == 0, done.stderr
    done = run("decompress", tmp_path / "yes.vql", "--model", model)
    assert done.returncode == 0, done.stderr
    assert soundfile.info(tmp_path / "yes.wav").frames == 16000


def test_evaluate_writes_table_scores_and_picture(tmp_path, model, capsys):
    need("pesq")
    words = bundled("words")
    names = [line for line in (words / "testing_list.txt").read_text().split() if "yes/" in line]
    (tmp_path / "clips.txt").write_text("\n".join(names[:2]))
    status = vqlab("evaluate", model, "--clips", tmp_path / "clips.txt", "--root", words,
                   "--out", tmp_path / "out")  # fmt: skip
    assert status == 0, capsys.readouterr().err
    table = (tmp_path / "out" / "table.md").read_text()
    assert table.count("\n|") == 1 + 1 + 3  # line under the heading, mel frames, three rates
    assert table.splitlines()[-1].startswith("2 clips")
    assert "STOI" in table
    assert (tmp_path / "out" / "spectrograms.png").stat().st_size > 5000


def test_training_on_a_set_that_is_not_there_is_one_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("VQLAB_DATA", str(tmp_path))
    status = vqlab("train", "--dataset", "speech_commands", "--root", tmp_path / "nowhere",
                   "--steps", 1, "--out", tmp_path / "run")  # fmt: skip
    assert status == 2
    assert "download speech_commands" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "option", [("--threads", -1), ("--device", "gpu"), ("--batch-size", 0), ("--steps", 0)], ids=str
)
def test_an_option_that_cannot_work_is_one_sentence(tmp_path, capsys, option):
    arguments = {"--steps": 1, "--words": "yes", "--out": tmp_path / "run"} | dict([option])
    assert vqlab("train", *[part for pair in arguments.items() for part in pair]) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and str(option[1]) in lines[0]


def test_training_leaves_out_silent_clips_and_says_so(tmp_path, capsys):
    for n in range(30):
        sound(tmp_path / f"{n}.wav", samples=4000 + n)
        soundfile.write(tmp_path / f"silent{n}.wav", np.zeros(4000), 16000)
    status = vqlab("train", "--dataset", "folder", "--root", tmp_path, "--steps", 1,
                   "--out", tmp_path / "run", "--codebook-size", 16, "--device", "cpu")  # fmt: skip
    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert "silent (no sample above 0.0001): left out" in printed.out


def test_two_runs_of_one_name_are_both_scored(tmp_path, model, capsys):
    need("pesq")
    for place in ("a", "b"):
        (tmp_path / place / "run").mkdir(parents=True)
        (tmp_path / place / "run" / "codec.safetensors").write_bytes(Path(model).read_bytes())
    words = bundled("words")
    name = next(n for n in (words / "testing_list.txt").read_text().split() if "yes/" in n)
    (tmp_path / "clips.txt").write_text(name)
    runs = [tmp_path / place / "run" for place in ("a", "b")]
    status = vqlab("evaluate", *runs, "--clips", tmp_path / "clips.txt", "--root", words)
    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert "| a-run |" in printed.out and "| b-run |" in printed.out


def test_a_word_is_heard_as_the_codec_gives_it_back(tmp_path, model):
    path = sound(tmp_path / "in.wav", samples=8000, rate=8000)
    assert vqlab("reconstruct", path, tmp_path / "heard.wav", "--model", model) == 0
    assert vqlab("compress", path, tmp_path / "in.vql", "--model", model) == 0
    assert vqlab("decompress", tmp_path / "in.vql", tmp_path / "x.wav", "--model", model) == 0
    assert (tmp_path / "heard.wav").read_bytes() == (tmp_path / "x.wav").read_bytes()


def test_training_goes_on_from_other_weights_and_says_what_does_not_fit(tmp_path, capsys):
    def train(out, *options):
        return vqlab("train", "--words", "yes", "--steps", 2, "--threads", 1, "--report-every", 1,
                     "--out", tmp_path / out, *options)  # fmt: skip

    sizes = ("--codebook-size", 8, "--stages", 2)
    assert train("a", "--model", "variable_speech", *sizes) == 0
    first = tmp_path / "a" / "codec.safetensors"
    assert train("b", "--start", tmp_path / "a") == 0
    assert "Done after 2 steps" in capsys.readouterr().out
    trained = Codec.load(tmp_path / "b" / "codec.safetensors").trained
    assert trained["steps"] == 4
    assert (tmp_path / "b" / "codec.safetensors").read_bytes() != first.read_bytes()
    for options, said in (
        (("--start", tmp_path / "b", "--out", tmp_path / "b"), "holds a run with training.start ="),
        (("--start", tmp_path / "a", "--stages", 3), "leave out --model"),
        (("--stages", 0), "stages is 0"),
        (("--hop-length", 128), "hop_length is 128"),
        (("--speeds", 0), "speeds number 1 is 0.0"),
    ):
        assert train("c", *options) == 2
        printed = capsys.readouterr().err.strip().splitlines()
        assert len(printed) == 1 and said in printed[0]


# Nothing is lost


def test_the_only_recording_is_never_replaced_by_what_is_made_of_it(tmp_path, model, capsys):
    whole = sound(tmp_path / "a.wav").read_bytes()
    (tmp_path / "link.wav").symlink_to(tmp_path / "a.wav")
    for out in ("a.wav", "link.wav"):
        assert vqlab("compress", tmp_path / "a.wav", tmp_path / out, "-f", "--model", model) == 2
        assert "is the file that is read" in capsys.readouterr().err
    assert (tmp_path / "a.wav").read_bytes() == whole


def test_force_replaces_only_a_file_of_the_kind_that_is_written(tmp_path, model, capsys):
    sound(tmp_path / "a.wav")
    (tmp_path / "letter.txt").write_text("dear all")
    where = tmp_path / "a.wav", tmp_path / "letter.txt", "--model", model
    assert vqlab("compress", *where) == 2 and "exists already" in capsys.readouterr().err
    assert vqlab("compress", *where, "-f") == 2
    assert "letter.txt is no .vql file, and -f replaces only those" in capsys.readouterr().err
    assert (tmp_path / "letter.txt").read_text() == "dear all"
    for _ in range(2):
        assert vqlab("compress", tmp_path / "a.wav", tmp_path / "b", "--model", model, "-f") == 0
    assert vqlab("decompress", tmp_path / "b", tmp_path / "a.wav", "--model", model, "-f") == 0


def test_a_minus_is_standard_input_and_output(tmp_path, model):
    path = sound(tmp_path / "a.wav")
    vql = run("compress", "-", "-", "--model", model, input=path.read_bytes())
    assert vql.stdout[:3] == b"VQL" and b"kbit/s stored" in vql.stderr
    wav = run("decompress", "-", "--model", model, input=vql.stdout)
    assert wav.stdout[:4] == b"RIFF" and b"1.00 s at 16000 Hz" in wav.stderr
    (tmp_path / "b.wav").write_bytes(wav.stdout)
    assert soundfile.info(tmp_path / "b.wav").frames == 16000
    both = run("reconstruct", "-", "--model", model, "--kbps", "1", input=path.read_bytes())
    assert both.stdout[:4] == b"RIFF" and b"1.00 s, from" in both.stderr
    page = tmp_path / "page.html"
    run("reconstruct", "-", page, "--model", model, input=path.read_bytes())
    assert "standard input: 1.00 s" in page.read_text()
    many = run("reconstruct", path, "-", "--model", model, "--kbps", "1", "2")
    assert many.returncode == 2 and b"standard output.wav holds each model at one" in many.stderr
    bad = run("compress", "-", "-", "--model", model, input=b"no sound")
    assert bad.returncode == 2 and bad.stdout == b"" and b"standard input" in bad.stderr


def run(*arguments, **options):
    command = [sys.executable, "-m", "vqlab", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, timeout=HANG, **options)


def test_options_may_stand_anywhere(tmp_path, model):
    sound(tmp_path / "a.wav")
    assert vqlab("compress", "--model", model, tmp_path / "a.wav", "-f", tmp_path / "b.vql") == 0
    assert (tmp_path / "b.vql").exists()
    assert vqlab("compress", tmp_path / "a.wav", "--kbps", "1", tmp_path / "c", tmp_path / "d") == 2


def test_what_is_no_packed_file_is_said_first(tmp_path, model, capsys):
    sound(tmp_path / "a.wav")
    assert vqlab("decompress", tmp_path / "a.wav", "--model", model) == 2
    assert "exists already" not in capsys.readouterr().err


def test_strange_names_are_shown_and_files_of_that_name_written(tmp_path, model, capsys):
    name = "a\x1b[31m\n\udcff.wav"  # a colour, a new line, and a byte that is no UTF-8
    sound(tmp_path / "a.wav").rename(tmp_path / name)
    assert vqlab("compress", tmp_path / name, "--model", model) == 0
    shown = capsys.readouterr().out
    assert "\\x1b[31m" in shown and "\\udcff" in shown and "\x1b" not in shown
    assert (tmp_path / name).with_suffix(".vql").exists()


def test_ctrl_c_while_it_starts_is_one_line_and_130(monkeypatch, capsys):
    class Loading:
        def __getattr__(self, name):
            raise KeyboardInterrupt

    from vqlab import __main__ as program

    monkeypatch.setitem(sys.modules, "vqlab.cli", Loading())
    assert program.main() == 130
    assert capsys.readouterr() == ("", "vqlab: interrupted\n")
