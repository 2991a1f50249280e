"""Crops: pieces of long reels, drawn by weight, in drawn surroundings."""

from types import SimpleNamespace

import pytest
import torch
from crops import HALF_SCALE, Crops, Surroundings, reel


def constant(level, samples=4000):
    return torch.full((samples,), round(level * HALF_SCALE), dtype=torch.int16)


def test_a_reel_holds_every_recording_at_the_codecs_level():
    sounds = [SimpleNamespace(waveform=torch.full((n,), 0.5)) for n in (800, 1600)]
    made = reel(sounds, lambda waveform: (waveform / 2, -6.0))
    assert made.dtype == torch.int16
    assert (made == 0.25 * HALF_SCALE).sum() == 2400
    assert (made[made != 0.25 * HALF_SCALE] == 0).all()  # the rest is silence between


def test_a_faster_crop_has_a_higher_pitch():
    tone = (0.5 * HALF_SCALE * torch.sin(6.2832 * 1000 * torch.arange(48000) / 16000)).short()
    for speed, hertz in ((0.8, 800), (1.0, 1000), (1.25, 1250)):
        crop = Crops([tone], [1.0], samples=16000, length=1, speeds=(speed, speed + 1e-9))[0]
        spectrum = torch.fft.rfft(crop * torch.hann_window(16000)).abs()
        assert crop.shape == (16000,)
        assert abs(int(spectrum.argmax()) - hertz) <= hertz / 40  # speeds come in steps of a crop
        assert 0.45 < crop.abs().max() < 0.55


def test_sets_are_drawn_by_weight():
    crops = Crops([constant(0.1), constant(0.2)], [3.0, 1.0], samples=100, length=400)
    torch.manual_seed(0)
    drawn = torch.stack([crops[i] for i in range(len(crops))])
    assert drawn.shape == (400, 100)
    rare = (drawn[:, 0] > 0.15).float().mean()
    assert 0.18 < rare < 0.32


def test_the_random_state_decides_what_is_cut():
    crops = Crops([torch.arange(5000, dtype=torch.int16)], [1.0], samples=10, length=4)
    torch.manual_seed(0)
    first = [crops[0] for _ in range(3)]
    torch.manual_seed(0)
    assert all(torch.equal(crops[3], before) for before in first)
    assert not torch.equal(first[0], first[1])


@pytest.mark.parametrize(
    ("reels", "weights", "said"),
    [([constant(0.1)], [1.0, 2.0], "one for each"), ([constant(0.1, 9)], [1.0], "less than")],
)
def test_sets_that_cannot_be_drawn_are_refused(reels, weights, said):
    with pytest.raises(ValueError, match=said):
        Crops(reels, weights, samples=10, length=4)


def surroundings(**shares):
    none = {"microphones": 0.0, "rooms": 0.0, "noisy": 0.0, "talkers": 0.0}
    return Surroundings(torch.randn(20000), **none | shares)


def test_without_any_surroundings_only_the_level_changes():
    torch.manual_seed(0)
    batch = torch.randn(3, 3200)
    ratio = surroundings()(batch) / batch
    assert torch.allclose(ratio, ratio[:, :1].expand_as(ratio), rtol=1e-3)


def test_noise_lies_5_to_35_db_below_speech():
    torch.manual_seed(0)
    noise = surroundings(noisy=1.0)(torch.zeros(200, 3200))
    db = 20 * noise.square().mean(dim=1).sqrt().log10()
    assert -20 - 35 - 12 < db.min() < -45
    assert -35 < db.max() < -20 - 5 + 12  # the level of everything moves by about 3 dB


@pytest.mark.parametrize("share", ["microphones", "rooms", "talkers"])
def test_each_kind_of_surroundings_changes_the_sound(share):
    torch.manual_seed(0)
    batch = torch.randn(4, 3200)
    ratio = surroundings(**{share: 1.0})(batch) / batch
    assert ratio.isfinite().all()
    assert (ratio.std(dim=1) > 0.05).all()


def test_a_room_rings_after_a_click():
    torch.manual_seed(0)
    click = torch.zeros(8, 8000)
    click[:, 100] = 1.0
    heard = surroundings(rooms=1.0)(click)
    assert (heard[:, :99].abs().amax(dim=1) < 1e-4).all()  # nothing before it
    assert (heard[:, 200:].norm(dim=1) > 0.05 * heard.norm(dim=1)).all()
