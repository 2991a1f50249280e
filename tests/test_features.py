"""What the network sees: shapes, normalisation, and the way back to sound."""

import pytest
import torch
from tutorial import FEATURES as TUTORIAL

from vqlab import metrics, spectral
from vqlab.features import Features, sharpen
from vqlab.spectral import MelConfig

T = torch.arange(16000) / 16000
VOICE = sum(0.1 / k * torch.sin(6.283185 * 120 * k * T) for k in range(1, 20)) * torch.hann_window(
    16000
)


@pytest.mark.parametrize("samples,frames", [(1, 1), (160, 1), (161, 2), (16000, 100), (16001, 101)])
def test_one_frame_a_started_hop(samples, frames):
    features = Features()
    assert features.frames(samples) == frames
    assert features.analyse(torch.zeros(2, samples)).shape == (2, 80, frames)


def test_the_tutorials_picture_is_128_by_32():
    assert TUTORIAL.analyse(VOICE.unsqueeze(0)).shape == (1, 1, 128, 32)


def test_power_is_the_inverse_of_analysis():
    for features in (Features(mean=-45.0, std=20.0), Features(picture=True), TUTORIAL):
        x = features.analyse(VOICE.unsqueeze(0))
        expected = spectral.mel(VOICE.unsqueeze(0), features.config)[..., : x.shape[-1]]
        floor = 10 ** (spectral.FLOOR_DB / 10)
        torch.testing.assert_close(
            features.power(x).clamp_min(floor), expected.clamp_min(floor), rtol=1e-3, atol=1e-12
        )


def test_fitting_gives_mean_zero_and_deviation_one():
    waveforms = torch.stack([VOICE, 0.1 * VOICE])
    features = Features().fitted(waveforms)
    x = features.analyse(waveforms)
    assert x.mean().abs() < 0.05 and (x.std() - 1).abs() < 0.05
    assert features.power(x).max() == pytest.approx(
        spectral.mel(waveforms, features.config).max().item(), rel=1e-3
    )


def test_sound_comes_back_from_features_with_its_length_and_spectrum():
    features = Features(mean=-45.0, std=20.0)
    out = features.synthesise(features.analyse(VOICE.unsqueeze(0)), 16000)
    assert out.shape == (1, 16000)
    target = spectral.stft(VOICE, features.config).abs()
    assert metrics.spectral_convergence(out[0], target, features.config) < 0.25


def test_error_is_in_decibels():
    features = Features(mean=-45.0, std=20.0)
    loud, quiet = (features.analyse(gain * VOICE.unsqueeze(0)) for gain in (1.0, 0.5))
    heard = (features.power(quiet) > 1e-7).squeeze(0)  # away from the floor
    difference = spectral.to_db(features.power(loud)) - spectral.to_db(features.power(quiet))
    assert difference.squeeze(0)[heard].mean().item() == pytest.approx(6.02, abs=0.05)
    assert features.error_db(loud, loud).item() == 0
    assert features.error_db(loud, loud + 0.1).item() == pytest.approx(2.0, abs=0.05)


def test_analysis_and_synthesis_share_one_configuration():
    """The tutorial inverts with another mel scale than it analyses with; here it cannot."""
    features = TUTORIAL
    assert features.config == MelConfig(
        n_fft=1024, hop_length=512, n_mels=128, scale="htk", norm=None
    )
    with pytest.raises(AttributeError):
        features.config.scale = "slaney"


def test_settings_that_cannot_work_are_refused():
    with pytest.raises(ValueError, match="'dB'"):
        Features(scale="dB")
    with pytest.raises(ValueError, match="silence"):
        Features().fitted(torch.zeros(3, 4000))


def test_sharpening_by_hand():
    x = torch.zeros(1, 12, 1)
    x[0, 5] = 9.0
    found = sharpen(x, 0.5).flatten()  # the mean of nine bands is 1 from band 1 to band 9
    wanted = torch.tensor([0.0] + 4 * [-0.5] + [13.0] + 4 * [-0.5] + [0.0, 0.0])
    torch.testing.assert_close(found, wanted)


def test_sharpening_keeps_what_is_flat_and_every_frame_by_itself():
    flat = torch.full((2, 20, 7), -30.0)
    torch.testing.assert_close(sharpen(flat, 0.3), flat)
    x = torch.randn(1, 20, 7)
    torch.testing.assert_close(sharpen(x, 0.3)[..., 2:3], sharpen(x[..., 2:3], 0.3))
