"""What the learner writes in notebook 06 does what the package does: loss and learning rate."""

import pytest
import torch
from torch import nn

from vqlab import models, training
from vqlab.features import Features
from vqlab.lessons import own_file
from vqlab.spectral import MelConfig

FEATURES = Features(MelConfig(n_fft=256, hop_length=160, n_mels=16), mean=-40.0, std=20.0)


@pytest.fixture
def codec_file():
    return own_file.program({})


def test_the_loss_of_a_step_is_the_packages_and_the_quantisers(codec_file):
    torch.manual_seed(0)
    codec, mel = codec_file.Codec(), codec_file.MEAN_DB + 20 * torch.randn(4, codec_file.MELS, 40)
    codec.train()(mel)  # starts the codebooks
    codec.eval()  # from here on they stay
    output, _, quantizer_loss = codec(mel)
    spread = codec_file.SPREAD_DB
    expected = training.mel_loss(output / spread, mel / spread) + quantizer_loss
    loss = codec_file.training_step(codec, torch.optim.SGD(codec.parameters(), lr=0.1), mel)
    assert loss == pytest.approx(expected.item(), rel=1e-5)


def test_the_learning_rates_of_the_loop_are_those_of_fit(codec_file, monkeypatch):
    rates = []

    def step(codec, optimizer, mel):
        rates.append(optimizer.param_groups[0]["lr"])
        return 0.0

    monkeypatch.setattr(codec_file, "training_step", step)
    list(codec_file.train(nn.Linear(2, 2), torch.zeros(3, 16, 20), 60, highest=1e-3))
    sounds = 0.3 * torch.randn(24, 3200, generator=torch.Generator().manual_seed(1))
    model = models.speech(n_mels=16, dim=8, codebook_size=16, stages=2, width=16, decoder_blocks=1)
    run = training.fit(
        model, sounds, sounds[:8], features=FEATURES, steps=60, batch_size=8,
        report_every=6, learning_rate=1e-3, device="cpu", progress=False,
    )  # fmt: skip
    for report in run.history:  # a report after n steps tells the rate of step n - 1
        assert report["learning_rate"] == pytest.approx(rates[report["step"] - 1])
