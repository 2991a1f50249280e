"""The loss of loudness: Zwicker's law and what P.862 makes of a difference, by hand."""

import math

import librosa
import pytest
import torch
from loudness import Disturbance

from vqlab.features import Features
from vqlab.spectral import MelConfig

CONFIG = MelConfig(sample_rate=16000, n_fft=512, hop_length=160, n_mels=80)
FEATURES = Features(CONFIG, mean=-40.0, std=20.0)
DISTURBANCE = Disturbance(FEATURES)


def speech_like(seed=0):
    torch.manual_seed(seed)
    return torch.randn(2, 80, 100).cumsum(dim=-1) * 0.1


def test_the_bands_share_out_the_bark_scale_and_hearing_is_best_between_three_and_four_kilohertz():
    whole = 6 * math.asinh(8000 / 600)
    assert DISTURBANCE.bark.sum().item() == pytest.approx(whole, rel=0.02)
    centres = torch.from_numpy(librosa.mel_frequencies(82, fmin=0, fmax=8000)[1:-1])
    assert 3000 < centres[DISTURBANCE.threshold.argmin()] < 4000


def test_loudness_of_a_band_by_hand():
    power = torch.full((1, 80, 1), 1e6)
    threshold = DISTURBANCE.threshold[40].item()
    law = (0.5 + 0.5 * 1e6 / threshold) ** 0.23 - 1
    expected = 0.1866 * (threshold / 0.5) ** 0.23 * law
    assert DISTURBANCE.sone(power)[0, 40, 0].item() == pytest.approx(expected, rel=1e-5)
    assert (DISTURBANCE.sone(DISTURBANCE.threshold[None] / 2) == 0).all()


def test_equal_sounds_differ_in_nothing_and_a_gain_of_the_whole_is_no_difference():
    sound = speech_like()
    assert DISTURBANCE(sound, sound).item() < 1e-3
    assert DISTURBANCE(sound + 6 / 20, sound).item() < 1e-3


def test_one_band_that_differs_disturbs_as_by_hand():
    x = torch.full((1, 80, 1), 1e5)
    y = x.clone()
    y[0, 40] = 1e6
    before, after = DISTURBANCE.sone(x)[0, 40, 0], DISTURBANCE.sone(y)[0, 40, 0]
    bark = DISTURBANCE.bark[40, 0]
    heard = (after - before - 0.25 * before) * bark
    symmetric, added = DISTURBANCE.of_frames(x, y)
    whole = DISTURBANCE.bark.sum().sqrt()
    assert symmetric.item() == pytest.approx((heard * whole).item(), rel=1e-3)
    factor = min(((1e6 + 50) / (1e5 + 50)) ** 1.2, 12.0)
    assert added.item() == pytest.approx((heard * factor).item(), rel=1e-4)


def test_what_was_added_disturbs_more_than_what_is_missing():
    x = torch.full((1, 80, 1), 1e5)
    more, less = x.clone(), x.clone()
    more[0, 40], less[0, 40] = 1e6, 1e4
    assert DISTURBANCE.of_frames(x, more)[1] > 0
    assert DISTURBANCE.of_frames(x, less)[1] == 0
    assert DISTURBANCE.of_frames(x, less)[0] > 0.1


def test_a_difference_that_is_masked_is_not_heard():
    x = torch.full((1, 80, 1), 1e9)
    symmetric, added = DISTURBANCE.of_frames(x, 1.5 * x)
    assert symmetric.item() < 0.01 and added.item() == 0


def test_silence_beside_speech_has_a_gradient_and_is_not_made_loud():
    target = torch.cat([speech_like(), torch.full((1, 80, 100), -3.0)])
    output = (target + 0.01).requires_grad_()
    loss = DISTURBANCE(output, target)
    loss.backward()
    assert loss.item() < 0.01 and output.grad.isfinite().all()
    near, far = (target + s * torch.randn_like(target) for s in (0.1, 0.5))
    assert DISTURBANCE(near, target) < DISTURBANCE(far, target)
