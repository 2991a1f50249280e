"""Notebook 13: its WaveNet sees no later sample, draws as it learned; what ships fits its cells."""

import math
import time

import pytest
import torch
import torch.nn.functional as F
from _series import taught
from torch import nn

from vqlab import datasets, lessons
from vqlab.lessons import own_file, relatives, tutorial_training


def from_classes(classes):
    y = classes / 127.5 - 1
    return y.sign() * (256 ** y.abs() - 1) / 255


@pytest.fixture(scope="module")
def cells():
    """What the notebook's WaveNet cells define, on our pieces."""
    my, ids = own_file.program({}), ("gated", "wavenet", "wavenet-train", "wavenet-draw")
    given = {"math": math, "torch": torch, "nn": nn, "F": F, "my": my, "relatives": relatives}
    given["mu_law"] = lessons.find("13-mu-law").right
    given["causal_conv"] = lessons.find("13-causal-conv").right
    given["normal"] = lambda mel: (mel - my.MEAN_DB) / my.SPREAD_DB
    given["from_classes"] = lambda k: (
        (k / 127.5 - 1).sign() * (256 ** (k / 127.5 - 1).abs() - 1) / 255
    )
    return taught("13", *ids, **given)


@pytest.fixture(scope="module")
def net(cells):
    return relatives.load(cells["WaveNet"](), "wavenet")


def spectrum():
    return -40 + 20 * torch.randn(1, 80, 4, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_no_output_depends_on_a_later_sample(cells, net):
    x = 0.3 * torch.randn(1, 640, generator=torch.Generator().manual_seed(1)).clamp(-3, 3)
    changed = x.clone()
    changed[:, 400:] = 0.5
    one, other = (net(sound, cells["normal"](spectrum())) for sound in (x, changed))
    assert torch.equal(one[..., :400], other[..., :400])
    assert not torch.equal(one[..., 400], other[..., 400])


@torch.no_grad()
def test_drawing_with_rings_draws_what_the_whole_stack_would(cells, net):
    mel, random = spectrum(), torch.Generator().manual_seed(0)
    drawn = cells["spoken"](net, mel)[:, :60]
    past = torch.zeros(1, 640)
    for n in range(60):
        shares = net(past, cells["normal"](mel))[..., n].softmax(dim=1)
        sample = cells["from_classes"](torch.multinomial(shares, 1, generator=random))
        assert torch.equal(sample, drawn[:, n : n + 1])
        past[:, n + 1] = sample[:, 0]


@torch.no_grad()
def test_the_shipped_wavenet_expects_what_its_frames_say(cells, net):
    my = cells["my"]
    clips = datasets.load("words", "test", words="right", seconds=1.0, limit=2)
    x = torch.stack([my.to_level(clip.waveform)[0] for clip in clips]).clamp(-1, 1)
    mel = my.log_mel(x)
    right, other = cells["price"](net, mel, x), cells["price"](net, mel.roll(20, dims=-1), x)
    assert right < other < 8


def test_a_short_training_lowers_its_loss():
    torch.manual_seed(0)
    layer, x = nn.Linear(4, 4), torch.randn(32, 4)

    def loss():
        return (layer(x) - x).square().mean()

    before = loss().item()
    after = relatives.learned(layer.parameters(), loss, 200, rate=0.03)
    assert after < 0.1 * before


def test_pieces_of_frames_and_samples_belong_together():
    frames = torch.arange(20.0).reshape(2, 1, 10)
    sounds = frames[:, 0].repeat_interleave(4, dim=1)
    some, heard = relatives.pieces(frames, sounds, batch=8, length=3)
    assert some.shape == (8, 1, 3) and torch.equal(some[:, 0].repeat_interleave(4, dim=1), heard)


@pytest.mark.timeout(1200)
def test_the_tutorials_model_is_trained_in_a_process_of_its_own(her_file):
    lessons.start_training("words", minutes=0.02, of="tutorial")
    now, end = lessons.training("tutorial"), time.monotonic() + 900
    while now.running and time.monotonic() < end:
        time.sleep(0.5)
    assert now.state["ended"] == "finished", now.place(".training.log").read_text()
    (version,) = now.kept().values()
    model = tutorial_training.load(version)
    picture = torch.rand(1, 1, 128, 32)
    assert model(picture)[0].shape == picture.shape
    assert "Training of the tutorial's model is finished" in repr(now)
