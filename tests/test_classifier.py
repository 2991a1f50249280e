"""The word classifier: what it hears, what it refuses, and the command that trains it."""

import json
import runpy

import pytest
import torch
from _support import ROOT
from vqlab.lessons.classifier import WordClassifier, load_classifier, log_mel

from vqlab import datasets
from vqlab.files import load_tensors, save_tensors

WORDS = ["cat", "go", "right"]
TOOL = ROOT / "tools" / "train_classifier.py"


@pytest.fixture(scope="module")
def shipped():
    return load_classifier()


@pytest.fixture(scope="module")
def known_words(shipped):
    """Bundled clips of the words that the shipped classifier knows, their labels, and the words."""
    here = datasets.load("words", "all").classes
    both = [word for word in shipped.words if word in here]
    clips = datasets.load("words", "all", words=both, limit=100)
    return clips.waveforms(progress=False), clips.labels, both


@pytest.fixture(scope="module")
def tool():
    """The names of the training tool."""
    return runpy.run_path(str(TOOL))


@pytest.fixture
def small():
    """An untrained classifier, small, whose statistics are not those of a new one."""
    torch.manual_seed(0)
    model = WordClassifier(WORDS, channels=(8, 12, 16), trained={"steps": 3})
    model(torch.randn(8, 8000))
    return model.eval()


def clips(n=3, samples=16000, seed=0):
    """Tones that come and go, no two alike."""
    random = torch.Generator().manual_seed(seed)
    pitch = 100 + 800 * torch.rand(n, 1, generator=random)
    time = torch.arange(samples) / 16000
    swell = torch.exp(-((time - 0.3 - 0.4 * torch.rand(n, 1, generator=random)) ** 2) / 0.01)
    return 0.3 * swell * torch.sin(2 * torch.pi * pitch * time).sign()


@pytest.mark.parametrize("samples", [400, 8000, 15999, 16000, 16001, 24000])
def test_one_row_a_sound_and_one_column_a_word(small, samples):
    p = small.probabilities(clips(4, samples))
    assert p.shape == (4, 3)
    assert torch.allclose(p.sum(dim=1), torch.ones(4))
    best = [WORDS[n] for n in p.argmax(dim=1)]
    assert small.recognise(clips(4, samples)) == best


def test_a_list_of_sounds_of_any_lengths(small):
    batch = clips(3)
    mixed = [batch[0], batch[1, 3000:13000], batch[2]]
    together = small.probabilities(mixed)
    alone = torch.cat([small.probabilities([sound]) for sound in mixed])
    assert torch.allclose(together, alone, atol=1e-5)
    assert small.recognise([]) == []
    assert small.probabilities([]).shape == (0, 3)


def test_more_sounds_than_go_through_at_once(small):
    batch = clips(258, 4000)
    assert torch.allclose(
        small.probabilities(batch)[[0, 255, 256, 257]],
        small.probabilities(batch[[0, 255, 256, 257]]),
        atol=1e-5,
    )


@pytest.mark.parametrize("gain_db", [-40, -6, 20])
def test_level_does_not_matter(small, gain_db):
    louder = clips() * 10 ** (gain_db / 20)
    assert torch.allclose(log_mel(louder), log_mel(clips()), atol=1e-4)
    assert torch.allclose(small.probabilities(louder), small.probabilities(clips()), atol=1e-4)


def test_the_loudest_cell_is_1_and_50_db_below_it_is_minus_1():
    time = torch.arange(16000) / 16000
    quiet_part = torch.where(time < 0.5, 1.0, 10 ** (-25 / 20))  # 25 dB below: half way down
    tone = quiet_part * torch.sin(2 * torch.pi * 1000 * time)
    x = log_mel(tone[None])[0]
    assert float(x.max()) == pytest.approx(1, abs=1e-4)
    assert float(x[:, 75].max()) == pytest.approx(0, abs=0.02)
    assert float(x.min()) == -1


def test_silence_is_an_answerable_question(small):
    assert torch.isfinite(small.probabilities(torch.zeros(1, 16000))).all()


def test_the_same_sound_gets_the_same_answer_and_training_mode_comes_back(small):
    small.train()
    first = small.probabilities(clips())
    assert small.training
    assert torch.equal(first, small.probabilities(clips()))
    assert torch.equal(first, small.eval().probabilities(clips()))


def test_another_sample_rate_is_resampled(small):
    time = torch.arange(8000) / 8000
    slow = torch.exp(-((time - 0.5) ** 2) / 0.02) * torch.sin(2 * torch.pi * 700 * time)
    time = torch.arange(16000) / 16000
    fast = torch.exp(-((time - 0.5) ** 2) / 0.02) * torch.sin(2 * torch.pi * 700 * time)
    right = small.probabilities(fast[None])
    assert torch.allclose(small.probabilities([slow], 8000), right, atol=2e-3)
    assert not torch.allclose(small.probabilities([slow]), right, atol=2e-3)


@pytest.mark.parametrize(
    "sounds, said",
    [
        (torch.zeros(16000), "put a single sound into a list"),
        ([torch.zeros(2, 16000)], r"one mono sound is \(samples,\)"),
        ([torch.zeros(0)], r"one mono sound is \(samples,\)"),
        ([torch.zeros(100, dtype=torch.int16)], "floating-point"),
        ([torch.tensor([0.0, float("nan")])], "NaN or infinite"),
    ],
)
def test_what_is_no_sound_is_refused(small, sounds, said):
    with pytest.raises(ValueError, match=said):
        small.probabilities(sounds)


@pytest.mark.parametrize("words", [[], ["go"], ["go", "go"]])
def test_too_few_words_are_refused(words):
    with pytest.raises(ValueError, match="at least two different words"):
        WordClassifier(words)


# Files


def test_saved_and_loaded_it_answers_the_same(small, tmp_path):
    small.save(tmp_path / "words.safetensors")
    again = load_classifier(tmp_path / "words.safetensors")
    assert again.words == WORDS and again.trained == {"steps": 3} and not again.training
    # float16 keeps about three digits of each weight
    assert torch.allclose(again.probabilities(clips()), small.probabilities(clips()), atol=5e-3)
    again.save(tmp_path / "twice.safetensors")
    once, twice = (tmp_path / f"{name}.safetensors" for name in ("words", "twice"))
    assert once.read_bytes() == twice.read_bytes()


def test_other_files_are_refused(small, tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(FileNotFoundError, match="check the name"):
        load_classifier(path)
    path.write_bytes(b"not tensors at all")
    with pytest.raises(ValueError, match="is not a vqlab word classifier"):
        load_classifier(path)
    with pytest.raises(ValueError, match="is not a vqlab word classifier"):
        load_classifier(ROOT / "data" / "weights" / "speech.safetensors")


@pytest.mark.parametrize(
    "key, value",
    [
        ("words", ["cat", "go"]),
        ("words", ["cat", "go", 3]),
        ("words", ["cat", "go", "go"]),
        ("words", 10**9),
        ("channels", [10**7, 10**7, 10**7]),
        ("channels", [8, 12]),
        ("channels", []),
        ("range_db", 80.0),
        ("mel", {"n_fft": 2**40}),
    ],
)
def test_a_description_that_does_not_fit_its_weights_is_refused(small, tmp_path, key, value):
    small.save(tmp_path / "x.safetensors")
    tensors, metadata = load_tensors(tmp_path / "x.safetensors")
    described = json.loads(metadata["words"]) | {key: value}
    save_tensors(tensors, tmp_path / "x.safetensors", {"words": json.dumps(described)})
    with pytest.raises(ValueError, match="is not a vqlab word classifier"):
        load_classifier(tmp_path / "x.safetensors")


def test_weights_that_are_no_numbers_are_refused(small, tmp_path):
    with torch.no_grad():
        small.last.bias[0] = float("nan")
    small.save(tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="NaN or infinity"):
        load_classifier(tmp_path / "x.safetensors")


# What ships


def test_the_shipped_file_is_small(shipped):
    folder = ROOT / "data" / "weights" / "classifier"
    assert (folder / "words.safetensors").stat().st_size <= 1_000_000
    assert (folder / "README.md").is_file() and (folder / "words.metrics.jsonl").is_file()
    assert shipped.words == sorted(shipped.words)


def test_synthetic_voices_are_recognised_far_above_chance(shipped, known_words):
    """It never heard a synthesised voice; so chance is 1 of 8. (Measured: 0.91.)"""
    waveforms, said, both = known_words
    assert both == ["down", "go", "left", "right", "up"]
    heard = shipped.recognise(waveforms)
    right = sum(a == b for a, b in zip(heard, said, strict=True)) / len(said)
    assert right > 0.75


# Training


def test_changed_clips_stay_clips(tool):
    torch.manual_seed(0)
    before = clips(16)
    after = tool["augment"](before)
    assert after.shape == before.shape and torch.isfinite(after).all()
    energy = after.square().sum(dim=1) / before.square().sum(dim=1)
    assert (energy > 0.5).all() and (energy < 2).all()
    assert not torch.allclose(after, tool["augment"](before), atol=1e-2)


def test_speed_and_shift_move_a_click_where_they_should(tool):
    torch.manual_seed(0)
    click = torch.zeros(60, 16000)
    click[:, 8000] = 1  # in the middle speed moves nothing
    moved = tool["speed_and_shift"](click)
    at = (moved * torch.arange(16000)).sum(dim=1) / moved.sum(dim=1)
    assert 1300 < float((at - 8000).abs().max()) <= 1600 / 0.85 + 1
    assert abs(float(at.mean()) - 8000) < 400


def test_a_telephone_keeps_what_is_below_3800_hz(tool):
    time = torch.arange(16000) / 16000
    low, high = (torch.sin(2 * torch.pi * hz * time) for hz in (3000, 5000))
    heard = tool["telephone"]((low + high)[None], share=1.0)
    assert torch.allclose(heard, low[None], atol=2e-3)
    assert torch.allclose(
        tool["telephone"]((low + high)[None], share=0.0), (low + high)[None], atol=1e-4
    )


def test_a_rare_word_is_drawn_as_often_as_a_frequent_one(tool, monkeypatch):
    """With 90 clips of one word and 10 of another, a batch has about as many of both."""
    torch.manual_seed(0)
    drawn = []
    multinomial = torch.multinomial

    def spy(weights, *arguments, **options):
        drawn.append(multinomial(weights, *arguments, **options))
        return drawn[-1]

    monkeypatch.setattr(torch, "multinomial", spy)
    targets = torch.tensor([0] * 90 + [1] * 10)
    model = WordClassifier(["common", "rare"], channels=(4, 4))
    judge = tool["judge_on"](clips(4, 2000), torch.tensor([0, 1, 0, 1]))
    tool["train"](model, (clips(100, 2000), targets), judge, steps=10, progress=False)
    assert targets[torch.cat(drawn)].float().mean() == pytest.approx(0.5, abs=0.06)


def test_training_lowers_the_loss_keeps_the_best_and_repeats(tool):
    """Three words that differ in the place of their loudest part."""
    place = torch.tensor([3000, 8000, 13000])
    targets = torch.arange(48) % 3
    at = place[targets][:, None] - torch.arange(16000)
    waveforms = torch.exp(-((at / 1200) ** 2)) * clips(48, 16000) + 0.001

    def once():
        torch.manual_seed(0)
        model = WordClassifier(WORDS, channels=(8, 12, 16))
        judge = tool["judge_on"](waveforms, targets)
        before = judge(model)
        reports = tool["train"](
            model,
            (waveforms, targets),
            judge,
            steps=30,
            batch_size=16,
            report_every=10,
            progress=False,
        )
        return model, judge, before, reports

    model, judge, before, reports = once()
    assert [report["step"] for report in reports] == [10, 20, 30]
    assert reports[-1]["loss"] < reports[0]["loss"]
    best = tool["best_of"](reports)
    assert best["validation_loss"] < before["loss"]
    assert judge(model)["right"] == best["validation_right"] > 0.5
    again = once()[3]
    strip = [{k: v for k, v in report.items() if k != "seconds"} for report in reports]
    assert strip == [{k: v for k, v in report.items() if k != "seconds"} for report in again]


def test_of_equally_right_weights_those_with_the_lower_loss_are_best(tool):
    reports = [
        {"step": n, "validation_right": right, "validation_loss": loss}
        for n, (right, loss) in enumerate([(0.8, 0.1), (0.9, 0.5), (0.9, 0.3), (0.9, 0.4)])
    ]
    assert tool["best_of"](reports)["step"] == 2


def test_tables_by_hand(tool):
    rows = [
        {"said": said, "heard": heard, "right": 100.0 * (said == heard), "speaker": speaker}
        for said, heard, speaker in [
            ("go", "go", "a"), ("go", "up", "a"), ("go", "go", "b"), ("go", "go", "b"),
            ("up", "up", "b"),
        ]
    ]  # fmt: skip
    accuracy = tool["accuracy_table"](["cat", "go", "up"], {"test": rows})
    assert "| go | 75.0 of 4 |" in accuracy and "| cat | – |" in accuracy
    assert "| **average of the words** | 87.5 |" in accuracy
    assert "| **all clips** | 80.0 [" in accuracy
    confusion = tool["confusion_table"](["cat", "go", "up"], rows)
    assert "| go | · | 3 | 1 |" in confusion and "| up | · | · | 1 |" in confusion


def test_the_command_trains_on_the_bundled_words(tool, tmp_path, capsys):
    words, frequent = ["go"] * 30 + ["no"] * 20 + ["up"] * 19, ["go", "no"]
    assert tool["choose_words"](words, 20) == frequent
    with pytest.raises(ValueError, match="only 1 words have 25 training clips"):
        tool["choose_words"](words, 25)
    options = ["--dataset", "words", "--steps", "2", "--threads", "1"]
    folders = ["--weights", str(tmp_path / "w"), "--out", str(tmp_path / "r")]
    assert tool["main"]([*options, *folders]) == 0
    model = load_classifier(tmp_path / "w" / "words.safetensors")
    assert len(model.words) == 10 and model.trained["clips"]["right"] == 45
    text = (tmp_path / "r" / "table.md").read_text(encoding="utf-8")
    assert text in capsys.readouterr().out
    assert "| yes |" in text and "of 120 |" in text
    log = (tmp_path / "w" / "words.metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(log[-1])["step"] == 2


@pytest.mark.parametrize("options", [[], ["--steps", "0"], ["--steps", "5", "--minutes", "1"]])
def test_the_command_needs_one_budget(tool, options, tmp_path):
    with pytest.raises(SystemExit):
        tool["main"]([*options, "--weights", str(tmp_path), "--out", str(tmp_path)])


def test_without_recordings_the_command_says_what_to_do(tool, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VQLAB_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    arguments = ["--steps", "1", "--weights", str(tmp_path / "w"), "--out", str(tmp_path / "o")]
    assert tool["main"](arguments) == 2
    assert "VQLAB_DATA" in capsys.readouterr().err
    assert not (tmp_path / "w").exists()
