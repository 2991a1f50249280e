"""Training: it learns, it stops and resumes exactly, and its reports say what happened."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from vqlab import models, training
from vqlab.features import Features
from vqlab.files import load_tensors
from vqlab.spectral import MelConfig
from vqlab.training.runs import LAST


def small_model(**options):
    return models.speech(
        n_mels=16, dim=8, codebook_size=16, stages=2, width=16, decoder_blocks=1, **options
    )


FEATURES = Features(MelConfig(n_fft=256, hop_length=160, n_mels=16), mean=-40.0, std=20.0)


def tones(n=24, samples=3200, seed=1):
    """Sounds of two partials under a hump: enough structure to learn, made in a moment."""
    draw = torch.Generator().manual_seed(seed)
    t = torch.arange(samples) / 16000
    pitch = 100 + 300 * torch.rand(n, 1, generator=draw)
    hump = torch.hann_window(samples)
    return 0.2 * hump * (torch.sin(6.283 * pitch * t) + torch.sin(6.283 * 5 * pitch * t))


def fit(model, out=None, steps=8, **options):
    return training.fit(
        model, tones(), tones(8, seed=2), features=FEATURES, out=out, steps=steps,
        report_every=4, batch_size=8, device="cpu", progress=False, **options,
    )  # fmt: skip


def weights_equal(a, b):
    return all(torch.equal(x, b.state_dict()[name]) for name, x in a.state_dict().items())


def test_one_batch_can_be_learned_by_heart():
    torch.manual_seed(0)
    model = small_model(dropout=0.0)
    x = tones(4)
    before = training.evaluate(model, x, features=FEATURES)
    run = training.fit(
        model, x, x, features=FEATURES, steps=250, report_every=250, batch_size=4,
        learning_rate=3e-3, device="cpu", progress=False,
    )  # fmt: skip
    assert run.best["validation_error"] < 0.2 * before


def test_the_same_seed_gives_the_same_weights():
    models_ = []
    for _ in range(2):
        torch.manual_seed(3)
        model = small_model()
        fit(model, seed=3)
        models_.append(model)
    assert weights_equal(*models_)


def test_another_seed_gives_other_weights():
    models_ = []
    for seed in (3, 4):
        torch.manual_seed(3)
        model = small_model()
        fit(model, seed=seed)
        models_.append(model)
    assert not weights_equal(*models_)


def test_a_run_interrupted_and_resumed_equals_one_that_was_not(tmp_path):
    torch.manual_seed(0)
    whole = small_model()
    expected = fit(whole, tmp_path / "whole", augment=training.shift_and_gain)

    torch.manual_seed(0)
    first = small_model()

    def interrupt(run):
        if run.step == 4:
            raise KeyboardInterrupt

    stopped = fit(first, tmp_path / "cut", on_report=interrupt, augment=training.shift_and_gain)
    assert stopped.stopped and stopped.step == 4
    torch.manual_seed(99)  # a new process would not know the old random state
    second = small_model()
    resumed = fit(second, tmp_path / "cut", augment=training.shift_and_gain)
    assert weights_equal(whole, second)
    keys = ("step", "loss", "error", "validation_error", "used")
    for a, b in zip(expected.history, resumed.history, strict=True):
        assert [a[k] for k in keys] == [b[k] for k in keys]
    lines = (tmp_path / "cut" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [4, 8]


def test_ctrl_c_in_the_middle_of_a_step_lets_the_step_finish(tmp_path):
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores ctrl-C
    torch.manual_seed(0)
    whole = small_model()
    expected = fit(whole, tmp_path / "whole")

    calls = []

    def pressed_at_the_third(output, target):
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return training.mel_loss(output, target)

    pressed_at_the_third.__name__ = "mel_loss"  # the settings are those of the whole run
    torch.manual_seed(0)
    stopped = fit(small_model(), tmp_path / "cut", loss=pressed_at_the_third)
    assert stopped.stopped and stopped.step == 3
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    second = small_model()
    resumed = fit(second, tmp_path / "cut")
    assert resumed.step == 8
    assert weights_equal(whole, second)
    keys = ("step", "loss", "error", "validation_error", "used", "entropy_bits")
    for a, b in zip(expected.history, resumed.history, strict=True):
        assert [a[k] for k in keys] == [b[k] for k in keys]


def test_ctrl_c_has_no_say_in_which_weights_are_best(tmp_path):
    """A report at every stop would choose among weights that an unbroken run never looks at."""
    calls = []

    def stop_once_between_reports(batch):
        calls.append(1)
        if len(calls) == 6:
            signal.raise_signal(signal.SIGINT)
        return batch

    signal.signal(signal.SIGINT, signal.default_int_handler)
    torch.manual_seed(0)
    stopped = fit(small_model(), tmp_path, augment=stop_once_between_reports)
    assert stopped.stopped and stopped.step == 6
    assert [report["step"] for report in stopped.history] == [4]
    _, told = load_tensors(tmp_path / "best.safetensors")
    assert told["step"] == "4"
    assert fit(small_model(), tmp_path, augment=stop_once_between_reports).step == 8


def test_an_interruption_before_the_first_step_leaves_a_run_that_can_be_read():
    def interrupt(batch):
        raise KeyboardInterrupt

    run = fit(small_model(), augment=interrupt)
    assert run.stopped and run.step == 0
    assert run.best["validation_error"] > 0


def test_a_callback_that_uses_the_model_does_not_stop_the_codebook_from_learning():
    """Coding a sound puts the model into evaluation mode, in which averages stand still."""
    torch.manual_seed(0)
    model = small_model()
    codebooks = []

    def listen(run):
        model.eval()
        codebooks.append(model.bottleneck.layers[0].codebook.clone())

    fit(model, on_report=listen)
    assert not torch.equal(*codebooks)


def test_a_finished_run_is_taken_up_with_its_best_weights(tmp_path):
    torch.manual_seed(0)
    model = small_model()
    fit(model, tmp_path)
    again = small_model()
    run = fit(again, tmp_path)
    assert run.step == 8 and weights_equal(model, again)


def test_an_interruption_keeps_what_was_learned():
    torch.manual_seed(0)
    model = small_model()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    def interrupt(run):
        raise KeyboardInterrupt

    run = fit(model, on_report=interrupt)
    assert run.stopped and run.step == 4 and run.history
    assert any(not torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_the_best_weights_are_kept_not_the_last():
    torch.manual_seed(0)
    model = small_model()

    def spoil(run):
        if run.step == 4:
            with torch.no_grad():
                for weight in model.parameters():
                    weight.mul_(30)

    run = fit(model, on_report=spoil, learning_rate=1e-6)
    assert run.best["step"] == 4
    error = training.evaluate(model, tones(8, seed=2), features=FEATURES)
    assert error == pytest.approx(run.best["validation_error"], rel=1e-6)


def test_a_folder_with_other_settings_is_refused(tmp_path):
    fit(small_model(), tmp_path)
    with pytest.raises(ValueError, match="clip_norm = 1.0, not 2.0"):
        fit(small_model(), tmp_path, clip_norm=2.0)


def test_minutes_count_on_the_clock_that_was_given():
    ticks = iter(range(1000))
    run = training.fit(
        small_model(), tones(), tones(8, seed=2), features=FEATURES, minutes=1, batch_size=8,
        report_every=100, clock=lambda: 2.0 * next(ticks), device="cpu", progress=False,
    )  # fmt: skip
    assert 5 < run.step < 30 and run.seconds >= 60


def test_the_learning_rate_falls_along_a_cosine():
    rates = fit(small_model(), steps=100).history
    rates = [report["learning_rate"] for report in rates if report["step"] > 50]
    assert rates == sorted(rates, reverse=True) and rates[-1] < 1e-5


def test_reports_count_codes_over_all_batches_and_per_stage():
    report = fit(small_model()).history[0]
    assert len(report["used"]) == len(report["entropy_bits"]) == 2
    assert all(1 <= n <= 16 for n in report["used"])
    assert report["perplexity"] <= 16


def test_pictures_are_trained_without_features():
    torch.manual_seed(0)
    model = models.thesis(models.Identity(2), units=8)
    x = torch.rand(8, 1, 16, 16)
    run = training.fit(
        model, x, x, steps=40, report_every=20, learning_rate=1e-2, device="cpu", progress=False
    )
    assert run.history[-1]["validation_error"] < run.history[0]["validation_error"]
    assert "used" not in run.history[0]


def test_items_may_be_read_one_by_one():
    class Lazy:
        def __len__(self):
            return 8

        def __getitem__(self, index):
            return tones(8)[index]

    run = training.fit(
        small_model(), Lazy(), Lazy(), features=FEATURES, steps=2, batch_size=4, device="cpu",
        progress=False,
    )  # fmt: skip
    assert run.step == 2


def test_bfloat16_learns_as_well_and_keeps_float32_weights():
    errors = {}
    for bfloat16 in (False, True):
        torch.manual_seed(0)
        model = small_model()
        run = fit(model, steps=120, bfloat16=bfloat16, learning_rate=3e-3)
        errors[bfloat16] = run.best["validation_error"]
        assert run.history[0]["validation_error"] > 1.2 * errors[bfloat16]
        assert all(p.dtype == torch.float32 for p in model.state_dict().values() if p.ndim)
    assert abs(errors[True] / errors[False] - 1) < 0.1


@pytest.mark.parametrize("budget", [{}, {"minutes": 1.0, "steps": 1}])
def test_one_budget_is_needed(budget):
    with pytest.raises(ValueError, match="either minutes or steps"):
        training.fit(small_model(), tones(), tones(), features=FEATURES, **budget)


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"steps": 0}, "steps is 0"),
        ({"steps": -1}, "steps is -1"),
        ({"minutes": 0.0, "steps": None}, "minutes is 0.0"),
        ({"minutes": float("nan"), "steps": None}, "minutes is nan"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"report_every": 0}, "report_every is 0"),
        ({"device": "gpu"}, "device 'gpu'"),
    ],
    ids=str,
)
def test_a_setting_that_cannot_work_is_named(wrong, said):
    options = {"features": FEATURES, "steps": 1, "device": "cpu"} | wrong
    with pytest.raises(ValueError, match=said):
        training.fit(small_model(), tones(), tones(), **options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is such a device here")
def test_a_device_that_is_not_there_is_named():
    with pytest.raises(ValueError, match="device 'cuda'.*'cpu'"):
        training.fit(small_model(), tones(), tones(), steps=1, device="cuda")


def test_an_empty_set_is_refused():
    with pytest.raises(ValueError, match="training set is empty"):
        training.fit(small_model(), tones()[:0], tones(), features=FEATURES, steps=1)


def test_a_loss_that_is_not_a_number_ends_the_training():
    with pytest.raises(FloatingPointError, match="lower the learning rate"):
        fit(small_model(), steps=20, learning_rate=1e30)


def test_after_a_loss_that_is_no_number_the_same_folder_goes_on_with_a_lower_rate(tmp_path):
    def too_far(run):
        if run.step == 4:
            with torch.no_grad():
                next(model.parameters()).fill_(float("inf"))

    torch.manual_seed(0)
    model = small_model()
    with pytest.raises(FloatingPointError, match=r"lower the learning rate \(0.01\); in the same"):
        fit(model, tmp_path, learning_rate=0.01, on_report=too_far)
    assert all(weight.isfinite().all() for weight in model.state_dict().values())
    run = fit(small_model(), tmp_path, learning_rate=0.001)
    assert run.step == 8 and [report["step"] for report in run.history] == [4, 8]
    assert json.loads((tmp_path / "run.json").read_text())["learning_rate"] == 0.001


def test_the_item_that_is_no_number_is_named_and_no_codebook_takes_it_in(tmp_path):
    items = tones()
    items[17, 5] = float("nan")
    torch.manual_seed(0)
    model = small_model()
    with pytest.raises(FloatingPointError, match=r"training item 17 \(from 0\)"):
        training.fit(
            model, items, tones(8), features=FEATURES, steps=9, batch_size=4, report_every=1,
            device="cpu", progress=False, out=tmp_path,
        )  # fmt: skip
    layer = small_model().bottleneck.layers[0].train()
    before = {name: tensor.clone() for name, tensor in layer.state_dict().items()}
    z = torch.randn(2, 8, 5)
    z[1, 3, 2] = float("nan")
    layer(z)
    assert all(torch.equal(t, before[name]) for name, t in layer.state_dict().items())
    layer(z[:1])
    assert not torch.equal(layer.codebook, before["codebook"])


def test_a_gradient_that_is_no_number_leaves_the_weights_alone():
    def steep(output, target):
        return (output - output.detach()).abs().sqrt().mean() + training.mel_loss(output, target)

    torch.manual_seed(0)
    model = small_model()
    before = {name: tensor.clone() for name, tensor in model.named_parameters()}
    with pytest.raises(FloatingPointError, match="the gradient became nan at step 0"):
        fit(model, loss=steep)
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())


TRAINING = """
import sys, test_training
sys.stdout.write("begun\\n"); sys.stdout.flush()
try:
    test_training.fit(test_training.small_model(), sys.argv[1], on_report=lambda _: input())
except ValueError as error:
    print(error)
"""


def test_two_trainings_in_one_folder_get_one_sentence_also_after_a_kill(tmp_path):
    command = [sys.executable, "-c", TRAINING, str(tmp_path)]
    here = Path(__file__).parent
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": here}
    with subprocess.Popen(command, **pipes) as first:
        while not (tmp_path / LAST).exists():  # it waits in its first report
            assert first.poll() is None
            time.sleep(0.05)
        with pytest.raises(ValueError, match=f"another process works in {tmp_path}"):
            fit(small_model(), tmp_path)
        first.kill()
    assert fit(small_model(), tmp_path).step == 8


def test_shifting_keeps_length_and_loses_at_most_a_tenth():
    torch.manual_seed(0)
    batch = torch.zeros(50, 1000)
    batch[:, 500] = 1.0
    moved = training.shift_and_gain(batch)
    places = moved.argmax(dim=1)
    assert moved.shape == batch.shape
    assert places.min() >= 400 and places.max() <= 600 and len(places.unique()) > 20
    gains = 20 * moved.amax(dim=1).log10()
    assert 1.5 < gains.std() < 5


def test_mel_loss_by_hand():
    output = torch.tensor([[[1.0, 3.0], [0.0, 0.0]]])
    target = torch.zeros(1, 2, 2)
    # values: (1 + 3) / 4; along time: (2 + 0) / 2; along frequency: (1 + 3) / 2
    assert training.mel_loss(output, target).item() == pytest.approx(1 + 1 + 2)


def test_loud_frames_weigh_more_by_hand():
    # Two frames of one band; exp(x) is 3 and 1, so relative to the mean 1.5 and 0.5.
    target = torch.log(torch.tensor([[[3.0, 1.0]]]))
    weight = torch.tensor([0.2 + 0.8 * 1.5, 0.2 + 0.8 * 0.5])
    error = torch.tensor([0.3, -0.1])
    expected = (error.abs() * weight).mean() + 0.4 * weight[1]  # values, and difference in time
    two = torch.cat([target, target], dim=1)  # two equal bands: no difference along frequency
    found = training.loud_mel_loss(two + error, two)
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


def test_a_frame_weighs_at_most_three_times_the_mean():
    target = torch.zeros(1, 2, 50)
    target[..., 0] = 20.0
    error = torch.zeros(1, 2, 50)
    error[..., 0] = 1.0
    value = training.loud_mel_loss(target + error, target)
    # The value counts 0.2 + 0.8 * 3 once; its fall after the loud frame weighs almost 0.2.
    assert float(value) == pytest.approx((0.2 + 0.8 * 3) / 50 + 0.2 / 49, rel=1e-3)


def test_sets_are_joined_in_order():
    a, b = torch.zeros(2, 5), torch.ones(3, 5)
    assert torch.equal(training.join([a, b]), torch.cat([a, b]))
    joined = training.join([[a[0], a[1]], b])
    assert len(joined) == 5 and torch.equal(joined[2], b[0])
