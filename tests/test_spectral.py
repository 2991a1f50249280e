"""Spectrograms: equal to librosa's and torchaudio's, invertible, and strict about settings."""

import math

import numpy as np
import pytest
import torch
from _support import need
from hypothesis import given, settings
from hypothesis import strategies as st

from vqlab import spectral
from vqlab.spectral import MelConfig

CONFIGS = [
    MelConfig(),
    MelConfig(n_fft=1024, hop_length=512, n_mels=128, scale="htk", norm=None),  # the tutorial's
    MelConfig(n_fft=400, hop_length=160, n_mels=40, f_min=50.0, f_max=7600.0),
    MelConfig(sample_rate=8000, n_fft=256, hop_length=64, n_mels=30, f_max=4000.0, norm=None),
]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 0.1


@pytest.mark.parametrize("config", CONFIGS)
def test_filter_bank_is_librosas(config):
    librosa = need("librosa")
    expected = librosa.filters.mel(
        sr=config.sample_rate,
        n_fft=config.n_fft,
        n_mels=config.n_mels,
        fmin=config.f_min,
        fmax=config.f_max,
        htk=config.scale == "htk",
        norm=config.norm,
    )
    np.testing.assert_allclose(spectral.filter_bank(config).numpy(), expected, atol=1e-7)


@pytest.mark.parametrize("config", CONFIGS)
def test_stft_is_librosas(config):
    librosa = need("librosa")
    x = noise(5000)
    expected = librosa.stft(
        y=x.numpy(), n_fft=config.n_fft, hop_length=config.hop_length, pad_mode="reflect"
    )
    np.testing.assert_allclose(spectral.stft(x, config).numpy(), expected, atol=2e-5)


@pytest.mark.parametrize("config", CONFIGS)
def test_mel_is_librosas(config):
    librosa = need("librosa")
    x = noise(5000)
    expected = librosa.feature.melspectrogram(
        y=x.numpy(),
        sr=config.sample_rate,
        n_fft=config.n_fft,
        hop_length=config.hop_length,
        n_mels=config.n_mels,
        fmin=config.f_min,
        fmax=config.f_max,
        htk=config.scale == "htk",
        norm=config.norm,
        pad_mode="reflect",
    )
    np.testing.assert_allclose(spectral.mel(x, config).numpy(), expected, rtol=1e-3, atol=1e-7)


def test_mel_with_htk_scale_and_no_norm_is_torchaudios_default():
    transforms = need("torchaudio").transforms
    config = CONFIGS[1]
    theirs = transforms.MelSpectrogram(sample_rate=16000, n_fft=1024, hop_length=512, n_mels=128)
    x = noise(2, 16000)
    torch.testing.assert_close(spectral.mel(x, config), theirs(x), rtol=1e-3, atol=1e-5)


def test_htk_and_slaney_scales_disagree_as_in_the_tutorials_flaw():
    centres = {
        scale: float(
            spectral.mel_to_hz(np.linspace(0, spectral.hz_to_mel(8000, scale), 130), scale)[17]
        )
        for scale in ("htk", "slaney")
    }
    assert centres["htk"] == pytest.approx(290, abs=40)
    assert centres["slaney"] > 1.3 * centres["htk"]


@given(st.floats(0, 20000), st.sampled_from(["slaney", "htk"]))
def test_mel_scale_is_undone(hz, scale):
    back = float(spectral.mel_to_hz(spectral.hz_to_mel(hz, scale), scale))
    assert back == pytest.approx(hz, rel=1e-9, abs=1e-6)


def test_a_sine_lands_in_its_bin_and_frame_count_follows_the_hop():
    config = MelConfig(n_fft=512, hop_length=128)
    t = torch.arange(16000) / 16000
    magnitude = spectral.stft(torch.sin(2 * math.pi * 1000.0 * t), config).abs()
    assert magnitude.shape == (257, 16000 // 128 + 1)
    assert int(magnitude[:, 60].argmax()) == 32  # 1000 Hz / (16000 Hz / 512)
    # A full-scale sine of amplitude 1: half the sum of the window, which is 512 / 2.
    assert float(magnitude[32, 60]) == pytest.approx(128, rel=1e-4)


@settings(max_examples=40)
@given(
    samples=st.integers(1, 3000),
    geometry=st.sampled_from([(512, 128), (512, 160), (400, 160), (1024, 256)]),
)
def test_istft_undoes_stft(samples, geometry):
    n_fft, hop = geometry
    config = MelConfig(n_fft=n_fft, hop_length=hop, n_mels=40)
    x = noise(2, samples, seed=samples)
    spectrum = spectral.stft(x, config)
    assert spectrum.shape == (2, n_fft // 2 + 1, samples // hop + 1)
    back = spectral.istft(spectrum, config, length=samples)
    torch.testing.assert_close(back, x, rtol=0, atol=1e-5)


@pytest.mark.parametrize("samples", [1, 50, 256, 257])
def test_sounds_shorter_than_the_window_have_a_spectrogram(samples):
    result = spectral.log_mel(noise(samples), MelConfig())
    assert result.shape == (80, samples // 128 + 1)
    assert torch.isfinite(result).all()


def test_leading_dimensions_are_kept_and_do_not_mix():
    config, x = MelConfig(), noise(2, 3, 2000)
    together = spectral.log_mel(x, config)
    assert together.shape == (2, 3, 80, 16)
    torch.testing.assert_close(together[1, 2], spectral.log_mel(x[1, 2], config))


def test_decibels_of_known_powers_and_the_floor():
    db = spectral.to_db(torch.tensor([1.0, 0.1, 1e-8, 1e-12, 0.0]))
    torch.testing.assert_close(db, torch.tensor([0.0, -10.0, -80.0, -80.0, -80.0]))
    assert spectral.FLOOR_DB == -80.0


@given(st.floats(-80, 60))
def test_from_db_undoes_to_db(db):
    value = torch.tensor([db], dtype=torch.float64)
    torch.testing.assert_close(spectral.to_db(spectral.from_db(value)), value, rtol=0, atol=1e-6)


def test_silence_is_at_the_floor_everywhere():
    assert (spectral.log_mel(torch.zeros(4000), MelConfig()) == -80.0).all()


def test_gradient_flows_through_the_mel_spectrogram():
    x = noise(2000).requires_grad_(True)
    spectral.log_mel(x, MelConfig()).sum().backward()
    assert torch.isfinite(x.grad).all() and (x.grad != 0).any()


def test_128_mels_fit_512_points_on_the_slaney_scale_but_not_on_the_htk_scale():
    assert (spectral.filter_bank(MelConfig(n_mels=128)).amax(dim=1) > 0).all()
    with pytest.raises(ValueError, match="128.*512.*empty"):
        MelConfig(n_mels=128, scale="htk")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hop_length": 513}, "hop_length 513"),
        ({"hop_length": 0}, "hop_length"),
        ({"n_fft": -512}, "n_fft"),
        ({"n_fft": 511}, "even"),
        ({"n_mels": 0}, "n_mels"),
        ({"n_mels": 80.0}, "n_mels"),
        ({"n_mels": 300}, "300"),
        ({"sample_rate": 0}, "sample_rate"),
        ({"f_max": 8001.0}, "8000"),
        ({"f_min": -1.0}, "f_min"),
        ({"f_min": 8000.0}, "f_min"),
        ({"f_max": math.nan}, "f_max"),
        ({"scale": "bark"}, "bark"),
        ({"norm": "area"}, "area"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(options, words):
    with pytest.raises(ValueError, match=words):
        MelConfig(**options)


def test_what_is_no_waveform_or_no_spectrogram_is_refused():
    config = MelConfig()
    with pytest.raises(ValueError, match="int16"):
        spectral.stft(torch.zeros(1000, dtype=torch.int16), config)
    with pytest.raises(ValueError, match="no samples"):
        spectral.stft(torch.zeros(2, 0), config)
    with pytest.raises(ValueError, match="257 bins"):
        spectral.istft(torch.zeros(513, 10, dtype=torch.complex64), config)
    with pytest.raises(ValueError, match="gaps"):
        wide = MelConfig(hop_length=400)
        spectral.istft(torch.zeros(257, 10, dtype=torch.complex64), wide)


def test_frames_per_second():
    assert MelConfig(hop_length=160).frames_per_second == 100.0
    assert MelConfig().bins == 257


def test_tensors_cached_in_inference_mode_can_be_trained_through_afterwards():
    config = MelConfig(n_fft=400, hop_length=100, n_mels=40)
    with torch.inference_mode():
        spectral.mel(torch.randn(4000), config)
    waveform = torch.randn(4000, requires_grad=True)
    spectral.mel(waveform, config).sum().backward()
    assert waveform.grad.abs().sum() > 0
