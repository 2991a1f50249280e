"""Experiments' files: what is refused and where, what a grid holds, and that every key is read."""

import ast

import pytest
from _support import ROOT

import vqlab
from vqlab import models
from vqlab.experiments import build, reading, schema, yaml_lines
from vqlab.experiments.grid import singles
from vqlab.features import Features

SHIPPED = sorted((ROOT / "experiments").glob("*.yaml"))

TEXT = """\
name: tiny
dataset:
  name: words
  words: [right, no]
  train: 8
spectrogram:
  kind: log_mel
  n_fft: 512
  hop_length: 256
  n_mels: 20
  frames: 32
network:
  kind: frames
  width: 8
  stride: 4
bottlenecks:
  - kind: ae
    D: [1, 2]
  - kind: vq
    D: 8
    K: [16, 32]
    beta: 0.3
  - kind: fsq
    levels: [3, 3]
training:
  epochs: 2
  learning_rate: 1e-3
  batch: 16
sound:
  iterations: 4
"""


def refusal(tmp_path, text):
    """What is said about a file with this text, after its name and line; and the line."""
    path = tmp_path / "grid.yaml"
    path.write_text(text)
    with pytest.raises(ValueError) as caught:
        reading.read(path)
    said = str(caught.value)
    assert said.startswith(f"{path}:") and "\n" not in said
    line, sentence = said[len(str(path)) + 1 :].split(": ", 1)
    return int(line), sentence


@pytest.mark.parametrize(
    ("before", "after", "line", "said"),
    [
        ("epochs: 2", "epoch: 2", 26, "unknown key 'epoch' in training (did you mean 'epochs'?)"),
        ("epochs: 2", "epochs: two", 26, "epochs is 'two': it must be a valid integer"),
        ("epochs: 2", "epochs: 2.0", 26, "epochs is 2.0: it must be a valid integer"),
        ("epochs: 2", "epochs: 0", 26, "epochs is 0: it must be greater than or equal to 1"),
        ("epochs: 2", "epochs:", 25, "give one of epochs, steps and minutes in training"),
        ("batch: 16", "batch:", 28, "batch is null: it must be a valid integer"),
        ("epochs: 2", "epochs: true", 26, "epochs is true: it must be a valid integer"),
        ("  epochs: 2\n", "", 25, "give one of epochs, steps and minutes in training"),
        ("epochs: 2", "epochs: 2\n  steps: 4", 25, "give one of epochs, steps and minutes"),
        ("kind: frames", "kind: speech", 3, "the spectrogram 'mel_frames' go together"),
        ("    K: [16, 32]\n", "", 19, "the key 'K' is missing in bottlenecks"),
        ("rate: 1e-3", "rate: -1e-3", 27, "learning_rate is -0.001: it must be greater than 0"),
        ("rate: 1e-3", "rate: .inf", 27, "learning_rate is '.inf': it must be a valid number"),
        ("rate: 1e-3", "rate: 1e999", 27, "learning_rate is inf: it must be a finite number"),
        ("  name: words", "  name: wrods", 3, "name is 'wrods' in dataset: allowed are 'mnist'"),
        ("kind: vq", "kind: vqq", 19, "kind is 'vqq' in bottlenecks: allowed are 'ae'"),
        ("kind: vq", "kindly: vq", 19, "the key 'kind' is missing in bottlenecks"),
        ("K: [16, 32]", "K: [16, 1]", 21, "K number 2 is 1: it must be greater than or equal to 2"),
        ("D: [1, 2]", "K: [1, 2]", 18, "unknown key 'K' in bottlenecks"),
        (
            "beta: 0.3",
            "loss: most",
            22,
            "loss is 'most': it must be 'sum', 'mean', 'mel' or 'loud_mel'",
        ),
        (
            "levels: [3, 3]",
            "levels: [3, 1]",
            24,
            "levels number 2 is 1: it must be greater than or equal to 2",
        ),
        ("words: [right, no]", "words: [right, 3]", 4, "words number 2 is 3: it must be text"),
        ("  words: [right, no]", "  families: bass", 4, "unknown key 'families' in dataset"),
        ("n_mels: 20", "n_mels: 400", 10, "n_mels 400 is too many for n_fft 512"),
        ("hop_length: 256", "hop_length: 200", 9, "it must divide n_fft / 2 = 256"),
        ("frames: 32", "frames: 33", 11, "it must be a multiple of the network's stride, 4"),
        ("  stride: 4", "  units: 4", 15, "unknown key 'units' in network: allowed are kind"),
        ("    beta: 0.3", "    K: 16", 22, "the key 'K' is given twice, first in line 21"),
        ("epochs: 2", "epochs: 2: 3", 26, "this is not YAML"),
        ("epochs: 2", "epochs: !!python/object:os.system 2", 26, "the tag tag:yaml.org"),
        ("epochs: 2", "epochs: &a 2\n  batch: *a", 27, "*a refers to another place"),
        ("sound:\n  iterations: 4\n", "", 1, "the section sound is missing"),
        ("epochs: 2", "epoch:", 26, "unknown key 'epoch' in training (did you mean 'epochs'?)"),
        ("  - kind: ae\n    D: [1, 2]", "  - {kind: ae, D: 1, 2}", 17, "brackets, as in [0, 1]"),
        ("name: tiny", "name: ../tiny", 1, "it must be letters, digits"),
        ("name: tiny", "names: tiny", 1, "unknown key 'names' (did you mean 'name'?)"),
        (
            "training:\n  epochs: 2\n  learning_rate: 1e-3\n  batch: 16\n",
            "training: 3\n",
            25,
            "training is 3: it must be a section",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_is_allowed(tmp_path, before, after, line, said):
    assert before in TEXT
    where, sentence = refusal(tmp_path, TEXT.replace(before, after, 1))
    assert said in sentence
    assert where == line


@pytest.mark.parametrize("text", ["", "- 1", "{", "[" * 3000, "name: \x00", "a: 1\n\tb: 2"])
def test_what_is_no_experiment_at_all_is_refused_in_a_sentence(tmp_path, text):
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="x.yaml"):
        reading.read(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ValueError, match="UTF-8"):
        reading.read(path)


def test_what_does_not_go_with_pictures_is_refused(tmp_path):
    text = "name: a\ndataset: {name: digits}\nnetwork: {kind: pictures, units: 4}\n"
    text += "bottlenecks: [{kind: ae, D: 1}]\ntraining: {epochs: 1}\n"
    line, sentence = refusal(tmp_path, text + "sound: {iterations: 3}\n")
    assert (line, sentence) == (6, "digits holds pictures: leave sound out")
    line, sentence = refusal(tmp_path, text.replace("pictures, units: 4", "frames"))
    assert line == 3 and "must be 'pictures'" in sentence
    line, sentence = refusal(tmp_path, text.replace("name: digits", "name: digits, size: 28"))
    assert (line, sentence) == (2, "size is 28: only mnist has a margin to leave out")
    path = tmp_path / "good.yaml"
    path.write_text(text)
    assert reading.read(path).spectrogram is None


def test_words_that_older_yaml_takes_for_truth_values_stay_words(tmp_path):
    path = tmp_path / "words.yaml"
    path.write_text("words: [yes, no, on, off, 'true', 012, 1e3, 1_000, ~]\nright: true\n")
    values, lines = yaml_lines.read(path)
    assert values["words"] == ["yes", "no", "on", "off", "true", 12, 1000.0, "1_000", None]
    assert values["right"] is True
    assert lines[("right",)] == 2
    path.write_text(yaml_lines.write(values))
    assert yaml_lines.read(path)[0] == values


def test_a_grid_becomes_single_runs_with_readable_names(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text(TEXT + "  scored: 3\n")
    grid = reading.read(path)
    names = [single.name for single in singles(grid)]
    assert names == ["ae-D1-s0", "ae-D2-s0", "vq-D8-K16-s0", "vq-D8-K32-s0", "fsq-L3.3-s0"]
    vq = singles(grid)[3]
    assert (vq.D, vq.bottleneck.K, vq.seed, vq.bottleneck.beta) == (8, [32], 0, 0.3)
    assert singles(grid)[4].D == 2
    path.write_text(reading.write(vq.grid))  # a run's configuration is a file like any other
    again = singles(reading.read(path))
    assert [(one.name, one.grid) for one in again] == [(vq.name, vq.grid)]


def test_a_grid_has_the_product_of_its_lists(tmp_path):
    path = tmp_path / "grid.yaml"
    more = "  - {kind: rvq, D: [4, 8], K: [16, 32, 64], stages: [1, 2], seeds: [0, 5]}\n"
    path.write_text(TEXT.replace("training:", more + "training:\n  seeds: [1, 2, 3]"))
    runs = singles(reading.read(path))
    assert len(runs) == 3 * (2 + 2 + 1) + 2 * 3 * 2 * 2
    assert len({run.name for run in runs}) == len(runs)
    assert {run.seed for run in runs if run.bottleneck.kind == "rvq"} == {0, 5}
    assert runs[-1].name == "rvq-D8-K64-x2-s5"


def test_two_runs_of_one_name_are_refused_until_a_label_tells_them_apart(tmp_path):
    path = tmp_path / "grid.yaml"
    path.write_text(TEXT.replace("levels: [3, 3]", "levels: [[3, 3], [3, 3]]"))
    with pytest.raises(ValueError, match=":16: two runs are named fsq-L3.3-s0"):
        singles(reading.read(path))
    more = "  - {kind: ae, D: 2, loss: mean, label: mean}\n"
    path.write_text(TEXT.replace("training:", more + "training:"))
    assert singles(reading.read(path))[-1].name == "ae-mean-D2-s0"


def test_all_grids_ship_in_three_sizes():
    names = {path.stem for path in SHIPPED}
    sets = ("nsynth", "cifar10", "mnist", "words", "speech-commands-right")
    grids = {f"{name}-{size}" for name in sets for size in ("minimal", "small", "full")}
    assert names == grids | {"speech", "variable_speech"}  # and the two codecs
    assert reading.find("words-minimal") == ROOT / "experiments" / "words-minimal.yaml"
    with pytest.raises(FileNotFoundError, match="words-minimal"):
        reading.find("wurds-minimal")


@pytest.mark.parametrize("name", ["speech", "variable_speech"])
def test_the_file_of_a_codec_says_what_its_constructor_builds(name):
    grid = reading.read(reading.find(name))
    (single,) = singles(grid)
    codec = build.codec_of(single)
    plain = models.Recipe(name).build()
    layers = zip(codec.model.modules(), plain.modules(), strict=True)
    assert all(str(one) == str(other) for one, other in layers)
    quantizers = [model.bottleneck for model in (codec.model, plain)]
    assert len({(q.dropout, q.layers[0].beta, q.layers[0].restart_below) for q in quantizers}) == 1
    assert codec.features == Features()
    again = reading.adapted(name, {"training.steps": 7} | build.places_of(codec))
    assert again.model_copy(update={"training": grid.training}) == grid
    assert again.training.steps == 7


def test_the_shipped_weights_can_be_described():
    grid = reading.adapted("variable_speech", build.places_of(vqlab.load_pretrained()))
    assert grid.bottlenecks[0].stages == [15] and grid.spectrogram.contrast == 0.2


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("spectrogram.hop_length", 128, "hop_length is 128: a second has 125 frames"),
        ("bottlenecks.0.stages", 0, "stages is 0: it must be greater than or equal to 1"),
        ("bottlenecks", [{"kind": "ae", "D": 2}], "'speech' needs the bottleneck 'rvq'"),
        ("dataset", {"name": "words"}, "go together"),
        ("dataset", {"name": "clips", "of": "librispeech", "words": "no"}, "has sentences"),
        ("sound", {}, "no section sound"),
        (
            "dataset.speeds",
            [0.1],
            "speeds number 1 is 0.1: it must be greater than or equal to 0.5",
        ),
    ],
)
def test_what_does_not_go_with_a_codec_is_refused(place, value, said):
    with pytest.raises(ValueError, match=said):
        reading.adapted("speech", {place: value})


GRIDS = [path for path in SHIPPED if "speech" not in path.stem or "commands" in path.stem]


@pytest.mark.parametrize("path", GRIDS, ids=lambda path: path.stem)
def test_a_shipped_grid_is_valid_and_named_as_its_file(path, tmp_path):
    grid = reading.read(path)
    runs = singles(grid)
    assert grid.name == path.stem
    kinds = {run.bottleneck.kind for run in runs}
    assert {"ae", "vq"} <= kinds
    if path.stem == "mnist-full":  # the thesis trained no more
        assert [run.name for run in runs] == ["ae-D1-s0", "vq-D10-K32-s0"]
        return
    assert len({run.D for run in runs if run.bottleneck.kind == "vq"}) >= 2
    assert len({run.bottleneck.K[0] for run in runs if run.bottleneck.kind == "vq"}) >= 2
    if path.stem.endswith("minimal"):
        assert grid.dataset.name in ("notes", "patches", "digits", "words")  # no network, no files
    if path.stem.startswith("words"):
        assert {"vae", "rvq", "fsq"} <= kinds
    assert reading.read(path) == schema.Grid.model_validate(grid.model_dump())


def test_the_full_grids_have_the_sizes_of_the_thesis():
    grid = reading.read(reading.find("nsynth-full"))
    end = build.features_of(grid)
    assert (end.rows, end.frames, end.samples, end.seconds) == (512, 512, 66_432, 4.152)
    assert end.config.n_fft == 1024 and end.config.hop_length == 128
    assert grid.training.epochs == 246 and grid.training.batch == 16
    assert {run.name for run in singles(grid)} >= {"ae-D10-s0", "vq-D256-K2048-s0"}
    cifar, mnist = (reading.read(reading.find(f"{name}-full")) for name in ("cifar10", "mnist"))
    assert (cifar.training.epochs, cifar.dataset.train, cifar.dataset.validation) == (
        246, 40_000, 10_000,
    )  # fmt: skip
    assert (mnist.training.epochs, mnist.dataset.train, mnist.dataset.size) == (100, 50_000, 28)
    losses = {run.bottleneck.kind: build.loss_of(run) for run in singles(grid)}
    assert losses["vq"] is build.mean_squared_error
    assert losses["ae"] is losses["vae"] is build.sum_squared_error


def test_every_key_of_the_schema_is_read_somewhere():
    """A key that is accepted and then forgotten is how a configuration lies."""
    read = set()
    for path in (ROOT / "vqlab" / "experiments").glob("*.py"):
        if path.stem != "schema":
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Attribute):
                    read.add(node.attr)
                elif path.stem == "grid" and isinstance(node, ast.Constant):
                    read.add(node.value)  # D, K, stages and levels are gone through by name
    read |= {"train", "validation", "test"}  # data.load reads that of the split it is asked for
    for path in SHIPPED:  # the others reach the model, which takes no option that it does not know
        for single in singles(reading.read(path)):
            options = build.recipe_of(single, 1).options
            read |= set(options) | set(options.get("bottleneck", ()))
    sections = (schema.Grid, *schema.SECTIONS.values())
    keys = {key for section in sections for key in section.model_fields}
    assert keys - read == set()


def test_a_grid_of_millions_of_runs_is_refused_before_they_are_listed(tmp_path):
    many = list(range(2, 302))
    values = yaml_lines.read(ROOT / "experiments" / "words-minimal.yaml")[0]
    values["bottlenecks"] = [{"kind": "vq", "D": many, "K": many[:], "seeds": many[:]}]
    (tmp_path / "x.yaml").write_text(yaml_lines.write(values))
    with pytest.raises(ValueError, match="27,000,000 runs, at most 10,000"):
        reading.read(tmp_path / "x.yaml")


def test_more_finite_scalar_codes_than_can_be_counted_are_refused_with_their_line(tmp_path):
    values = yaml_lines.read(ROOT / "experiments" / "words-minimal.yaml")[0]
    values["bottlenecks"] = [{"kind": "fsq", "levels": [[8, 8], [1000, 1000, 1000]]}]
    (tmp_path / "x.yaml").write_text(yaml_lines.write(values))
    with pytest.raises(ValueError, match=r"x.yaml:\d+: .*1,000,000,000 codes, at most 65,536"):
        reading.read(tmp_path / "x.yaml")
