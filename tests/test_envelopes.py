"""The loss of envelopes: STOI's bands and correlation, by hand."""

import pytest
import torch
from envelopes import BANDS, Envelopes, third_octaves

from vqlab.features import Features
from vqlab.spectral import MelConfig

CONFIG = MelConfig(sample_rate=16000, n_fft=512, hop_length=160, n_mels=80)
FEATURES = Features(CONFIG, mean=-40.0, std=20.0)
ENVELOPES = Envelopes(FEATURES)


def frames(envelope):
    """The same envelope, of magnitude, in all bands: (1, 80, frames) in normalised decibels."""
    return ((20 * envelope.log10() + 40) / 20).expand(1, 80, -1)


def rising(n=200):
    return 1.5 + torch.sin(torch.arange(n) / 5.0)


def test_every_band_adds_up_some_mel_bands_near_its_centre():
    bands = third_octaves(FEATURES)
    assert bands.shape[0] == BANDS and (bands.gt(0).sum(dim=1) >= 1).all()


def test_equal_sounds_correlate_wholly_and_a_gain_changes_nothing():
    two = frames(rising())
    assert ENVELOPES.correlation(two, two).item() == pytest.approx(1.0, abs=1e-5)
    louder = two + 6 / 20
    assert ENVELOPES.correlation(louder, two).item() == pytest.approx(1.0, abs=1e-5)


def test_an_envelope_upside_down_correlates_as_by_hand():
    x = rising()[:38]
    y = 3.0 - x  # the same about 1.5, upside down
    scaled = y * x.norm() / y.norm()
    clipped = torch.minimum(scaled, (1 + 10 ** (15 / 20)) * x)
    a, b = x - x.mean(), clipped - clipped.mean()
    expected = (a @ b / (a.norm() * b.norm())).item()
    assert expected < -0.9
    assert ENVELOPES.correlation(frames(y), frames(x)).item() == pytest.approx(expected, abs=1e-4)


def test_stretches_of_silence_do_not_count():
    x = torch.cat([rising(100), torch.full((100,), 1e-5)])
    noisy = torch.cat([rising(100), 1e-5 * (1 + torch.rand(100))])
    quiet = ENVELOPES.correlation(frames(noisy), frames(x)).item()
    assert quiet > 0.99


def test_the_loss_is_what_the_correlation_lacks():
    torch.manual_seed(0)
    target, output = frames(rising()), frames(rising()) + 0.3 * torch.randn(1, 80, 200)
    lacking = 1 - ENVELOPES.correlation(output, target)
    assert ENVELOPES(output, target).item() == pytest.approx(lacking.item()) and lacking > 0.01
