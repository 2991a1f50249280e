"""Notebook 02: what it writes out by hand equals the package, librosa and torchaudio."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from _series import taught

from vqlab import lessons, spectral


@pytest.fixture(scope="module")
def by_hand():
    return taught("02", torch=torch, F=F, math=math, np=np, spectral=spectral)


def noise(samples, seed=0):
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


# --- taught functions -----------------------------------------------------------------------------


@pytest.mark.parametrize("N", [8, 64, 400, 512])
def test_the_fourier_transform_by_hand_is_the_fast_one(by_hand, N):
    frame = noise(N)
    expected = torch.fft.rfft(frame)
    torch.testing.assert_close(by_hand["fourier"](frame), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("N", [4, 512])
def test_the_window_by_hand_is_the_periodic_hann_window(by_hand, N):
    torch.testing.assert_close(by_hand["hann"](N), torch.hann_window(N), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("samples", "n_fft", "hop"),
    [(4000, 512, 128), (4001, 512, 128), (3000, 256, 100), (700, 400, 160)],
)
def test_the_stft_by_hand_is_the_packages(by_hand, samples, n_fft, hop):
    x = noise(samples)
    config = spectral.MelConfig(n_fft=n_fft, hop_length=hop, n_mels=20)
    ours = by_hand["stft_by_hand"](x, n_fft, hop)
    torch.testing.assert_close(ours, spectral.stft(x, config), rtol=1e-3, atol=1e-4)


def test_the_stft_by_hand_is_librosas(by_hand):
    import librosa

    x = noise(4000)
    theirs = librosa.stft(x.numpy(), n_fft=512, hop_length=128, pad_mode="reflect")
    np.testing.assert_allclose(by_hand["stft_by_hand"](x).numpy(), theirs, atol=1e-4)


def test_slaneys_scale_by_hand_is_the_packages(by_hand):
    hz = torch.linspace(0, 8000, 999)
    expected = torch.from_numpy(spectral.hz_to_mel(hz.numpy(), "slaney")).float()
    torch.testing.assert_close(by_hand["slaney"](hz), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize(("n_mels", "n_fft"), [(80, 512), (40, 1024), (20, 400)])
def test_the_filter_bank_by_hand_is_the_packages_with_either_norm(by_hand, scale, n_mels, n_fft):
    triangles, width = by_hand["mel_filters"](n_mels, n_fft, 16000, scale)
    plain = spectral.MelConfig(n_fft=n_fft, n_mels=n_mels, scale=scale, norm=None)
    area = spectral.MelConfig(n_fft=n_fft, n_mels=n_mels, scale=scale, norm="slaney")
    torch.testing.assert_close(triangles, spectral.filter_bank(plain), rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(
        2 * triangles / width, spectral.filter_bank(area), rtol=1e-4, atol=1e-8
    )


@pytest.mark.parametrize(("n_mfcc", "n_mels"), [(13, 80), (20, 40), (5, 5)])
def test_the_cosines_make_librosas_mfcc(by_hand, n_mfcc, n_mels):
    import librosa

    log_mel = 10 * noise(n_mels * 7).reshape(n_mels, 7) - 40
    rows = by_hand["cosines"](n_mfcc, n_mels)
    torch.testing.assert_close(rows @ rows.T, torch.eye(n_mfcc), rtol=0, atol=1e-5)
    theirs = librosa.feature.mfcc(S=log_mel.numpy(), n_mfcc=n_mfcc)
    np.testing.assert_allclose((rows @ log_mel).numpy(), theirs, rtol=1e-4, atol=1e-3)


def test_the_numbers_in_the_prose_hold():
    corners = {
        scale: spectral.mel_to_hz(np.linspace(0, spectral.hz_to_mel(8000, scale), 130), scale)
        for scale in ("htk", "slaney")
    }
    assert round(corners["htk"][16]) == 257 and round(corners["slaney"][16]) == 374
    assert (
        spectral.hz_to_mel(1000, "slaney") == 15 and round(spectral.hz_to_mel(1000, "htk")) == 1000
    )


# --- exercises ------------------------------------------------------------------------------------


def _frames_by_loop(waveform, frame_length, hop_length):
    """Stops one frame too early, as a learner may write it."""
    rows = []
    start = 0
    while start + frame_length < len(waveform):
        rows.append(waveform[start : start + frame_length])
        start += hop_length
    return torch.stack(rows)


def _frames_without_overlap(waveform, frame_length, hop_length):
    n = len(waveform) // frame_length
    return torch.stack([waveform[i * frame_length : (i + 1) * frame_length] for i in range(n)])


@pytest.mark.parametrize(
    ("name", "answer", "word"),
    [
        ("02-frames", _frames_by_loop, "last complete frame"),
        ("02-frames", _frames_without_overlap, "side by side"),
        ("02-rms", lambda p: torch.sqrt(torch.mean(p**2, 0)), "columns"),
        ("02-rms", lambda p: torch.linalg.norm(p, dim=1), "mean"),
        ("02-to-db", lambda p, floor_db=-80.0: 10 * torch.log10(p), "minus infinity"),
        (
            "02-to-db",
            lambda p, floor_db=-80.0: torch.maximum(20 * p.log10(), torch.tensor(floor_db)),
            "squared already",
        ),
        ("02-hz-to-mel", lambda f: 2595 * torch.log1p(f / 700), "1127"),
        ("02-hz-to-mel", lambda f: 2595 * torch.log10(1 + f) / 700, "differ"),
        ("02-mel-power", lambda power, filters: torch.matmul(power, filters), "order"),
        ("02-mel-power", lambda power, filters: torch.mul(filters, power), "value by value"),
    ],
)
def test_a_learners_own_wording_of_a_mistake_gets_the_hint_that_fits(name, answer, word):
    verdict = lessons.check(name, answer)
    assert verdict.state == "wrong" and word in verdict.sentence, verdict


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("02-to-db", lambda p, floor_db=-80.0: (10 * p.log10()).clamp(min=floor_db)),
        ("02-hz-to-mel", lambda f: 2595 / math.log(10) * torch.log1p(f / 700)),
        ("02-rms", lambda p: torch.linalg.norm(p, dim=1) / p.shape[1] ** 0.5),
        ("02-mel-power", lambda power, filters: torch.einsum("mb,bt->mt", filters, power)),
        ("02-frames", lambda x, frame, hop: x.unfold(0, frame, hop)),
    ],
)
def test_other_right_answers_pass(name, answer):
    assert lessons.check(name, answer)
