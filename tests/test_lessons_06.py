"""Notebook 06 teaches what the package does: training step, rates and learning rate are equal."""

import pytest
import torch
from _series import taught
from torch import nn

from vqlab import codec, lessons, models, training
from vqlab.features import Features
from vqlab.spectral import MelConfig
from vqlab.training import batches

FEATURES = Features(MelConfig(n_fft=256, hop_length=160, n_mels=16), mean=-40.0, std=20.0)


@pytest.fixture(scope="module")
def by_hand():
    return taught("06", torch=torch, nn=nn, training=training)


def small_model():
    torch.manual_seed(7)
    return models.speech(
        n_mels=16, dim=8, codebook_size=16, stages=2, width=16, decoder_blocks=1, dropout=0.5
    )


def noises(n=24, seed=1):
    draw = torch.Generator().manual_seed(seed)
    loudness = torch.rand(n, 1, generator=draw)
    return 0.3 * loudness * torch.randn(n, 3200, generator=draw)


@pytest.mark.parametrize("steps", [1, 5])
def test_the_notebooks_step_and_fit_end_with_the_same_weights(by_hand, steps):
    ours, theirs = small_model(), small_model()
    options = {"learning_rate": 1e-3, "batch_size": 8, "seed": 3, "cosine": False}
    training.fit(
        theirs, noises(), noises(8, seed=2), features=FEATURES, steps=steps, device="cpu",
        progress=False, report_every=100, **options,
    )  # fmt: skip
    torch.manual_seed(3)
    optimizer = torch.optim.Adam(ours.train().parameters(), lr=1e-3)
    for step in range(steps):
        batch, _, _ = batches.own_part(noises(), step, 8, 3)
        by_hand["train_step"](ours, optimizer, batch, FEATURES)
    untrained = _state(small_model())
    assert any(not torch.equal(a, b) for a, b in zip(_state(ours), untrained, strict=True))
    for a, b in zip(_state(ours), _state(theirs), strict=True):
        assert torch.equal(a, b)


def _state(model):
    return list(model.state_dict().values())


def test_the_notebooks_step_returns_both_parts_of_the_loss(by_hand):
    model = small_model()
    model.bottleneck.dropout = 0.0
    x = FEATURES.analyse(noises(8))
    output, quantized = model.train()(x)  # also starts the codebooks
    model.bottleneck.eval()  # from here on the codebooks stay
    output, quantized = model(x)
    expected = training.mel_loss(output, x).item(), quantized.loss.item()
    parts = by_hand["train_step"](model, torch.optim.SGD(model.parameters()), noises(8), FEATURES)
    assert parts == pytest.approx(expected, rel=1e-5)


def test_the_learning_rate_of_the_exercise_is_the_one_of_fit():
    schedule = lessons.find("06-learning-rate").right
    run = training.fit(
        small_model(), noises(), noises(8, seed=2), features=FEATURES, steps=60, batch_size=8,
        report_every=6, learning_rate=1e-3, device="cpu", progress=False,
    )  # fmt: skip
    for report in run.history:  # a report after n steps tells the rate of step n - 1
        assert report["learning_rate"] == pytest.approx(schedule(report["step"] - 1, 60, 1e-3))


@pytest.mark.parametrize(("size", "stages", "stride"), [(1024, 3, 2), (256, 2, 4), (16, 1, 1)])
def test_the_rate_of_the_exercise_is_the_codecs(size, stages, stride):
    options = {"codebook_size": size, "stages": stages, "stride": stride, "width": 8}
    coder = codec.Codec(codec.Recipe("speech", options), Features())
    rate = lessons.find("06-bits-per-second").right
    frames = coder.features.config.frames_per_second
    expected = [rate(frames, stride, n, size) for n in range(1, stages + 1)]
    assert coder.rates == pytest.approx(expected)
