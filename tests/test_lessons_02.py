"""Notebook 02: what it says of librosa holds, its checks answer a learner rightly."""

import math

import librosa
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from _series import solutions, taught

from vqlab import lessons, spectral
from vqlab.lessons import own_file

ours = own_file.program({})


def noise(samples, seed=0):
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


# --- what the notebook says of librosa ------------------------------------------------------------


@pytest.mark.parametrize("N", [4, 512])
def test_the_window_by_hand_is_the_periodic_hann_window(N):
    by_hand = taught("02", torch=torch, math=math)
    torch.testing.assert_close(by_hand["hann"](N), torch.hann_window(N), rtol=0, atol=1e-6)


@pytest.mark.parametrize("samples", [16000, 12000, 12001, 700])
def test_with_its_padding_the_codecs_spectrum_is_librosas_and_it_has_a_frame_a_hop(samples):
    x = noise(samples)
    padded = F.pad(x, ((ours.N_FFT - ours.HOP) // 2,) * 2).numpy()
    theirs = librosa.stft(padded, n_fft=ours.N_FFT, hop_length=ours.HOP, center=False)
    np.testing.assert_allclose(ours.stft(x[None])[0].numpy(), theirs, atol=1e-4)
    assert theirs.shape[1] == samples // ours.HOP
    usual = librosa.stft(x.numpy(), n_fft=ours.N_FFT, hop_length=ours.HOP)
    assert usual.shape[1] == samples // ours.HOP + 1


def test_the_codecs_filter_bank_and_log_mel_are_librosas_with_the_settings_named():
    theirs = librosa.filters.mel(sr=ours.RATE, n_fft=ours.N_FFT, n_mels=ours.MELS)
    np.testing.assert_allclose(ours.mel_filters().numpy(), theirs, atol=1e-6)
    x = noise(8000)
    padded = F.pad(x, ((ours.N_FFT - ours.HOP) // 2,) * 2).numpy()
    settings = {"sr": ours.RATE, "n_fft": ours.N_FFT, "hop_length": ours.HOP, "n_mels": ours.MELS}
    power = librosa.feature.melspectrogram(y=padded, center=False, **settings)
    levels = librosa.power_to_db(power, ref=1.0, amin=1e-8, top_db=None)
    np.testing.assert_allclose(ours.log_mel(x[None])[0].numpy(), levels, atol=1e-2)


@pytest.mark.filterwarnings("ignore:Empty filters")
def test_the_numbers_in_the_prose_hold():
    corners = {
        scale: spectral.mel_to_hz(np.linspace(0, spectral.hz_to_mel(8000, scale), 130), scale)
        for scale in ("htk", "slaney")
    }
    assert round(corners["htk"][16]) == 257 and round(corners["slaney"][16]) == 374
    assert (
        spectral.hz_to_mel(1000, "slaney") == 15 and round(spectral.hz_to_mel(1000, "htk")) == 1000
    )
    bank = librosa.filters.mel(sr=16000, n_fft=400, n_mels=128, htk=True, norm=None)
    assert int((bank.max(axis=1) == 0).sum()) == 4
    apart = spectral.mel_to_hz(np.linspace(0, spectral.hz_to_mel(8000), 82))
    assert round(float(apart[1])) == 37
    assert round(float(spectral.mel_to_hz(spectral.hz_to_mel(8000) / 21))) == 144


# --- exercises ------------------------------------------------------------------------------------


@pytest.mark.parametrize("N", [8, 64, 400, 512])
def test_the_fourier_transform_of_the_solution_is_the_fast_one(N):
    frame = noise(N)
    expected = torch.fft.rfft(frame)
    torch.testing.assert_close(solutions("02").fourier(frame), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(("n_mfcc", "n_mels"), [(13, 80), (20, 40), (5, 5)])
def test_the_cosines_of_the_solution_make_librosas_mfcc(n_mfcc, n_mels):
    log_mel = 10 * noise(n_mels * 7).reshape(n_mels, 7) - 40
    rows = solutions("02").cosines(n_mfcc, n_mels)
    torch.testing.assert_close(rows @ rows.T, torch.eye(n_mfcc), rtol=0, atol=1e-5)
    theirs = librosa.feature.mfcc(S=log_mel.numpy(), n_mfcc=n_mfcc)
    np.testing.assert_allclose((rows @ log_mel).numpy(), theirs, rtol=1e-4, atol=1e-3)


def _by_loop(frame, sign=-1, bins=None):
    """One bin after the other, as a learner may write it."""
    N = len(frame)
    rows = []
    for k in range(bins or N // 2 + 1):
        total = 0j
        for n in range(N):
            total += complex(frame[n]) * complex(
                math.cos(2 * math.pi * k * n / N), sign * math.sin(2 * math.pi * k * n / N)
            )
        rows.append(total)
    return torch.tensor(rows)


def _cosines_by_loop(n_mfcc, n_mels, half=0.5):
    rows = torch.zeros(n_mfcc, n_mels)
    for q in range(n_mfcc):
        for m in range(n_mels):
            a = math.sqrt((2 if q else 1) / n_mels)
            rows[q, m] = a * math.cos(math.pi * q * (m + half) / n_mels)
    return rows


@pytest.mark.parametrize(
    ("name", "answer", "word"),
    [
        ("02-fourier", lambda frame: _by_loop(frame, sign=1), "sign"),
        ("02-fourier", lambda frame: _by_loop(frame, bins=4), "last bin"),
        ("02-fourier", lambda frame: _by_loop(frame, bins=8), "N // 2"),
        ("02-fourier", lambda frame: torch.fft.rfft(frame).abs(), "magnitudes"),
        ("02-fourier", lambda frame: torch.fft.rfft(frame, norm="forward"), "no mean"),
        ("02-cosines", lambda q, m: _cosines_by_loop(q, m, half=0), "half is missing"),
        ("02-cosines", lambda q, m: _cosines_by_loop(q, m, half=1), "from 0"),
        ("02-cosines", lambda q, m: _cosines_by_loop(q, m).T, "axes are exchanged"),
    ],
)
def test_a_learners_own_wording_of_a_mistake_gets_the_hint_that_fits(name, answer, word):
    verdict = lessons.check(name, answer)
    assert verdict.state == "wrong" and word in verdict.sentence, verdict


@pytest.mark.parametrize(
    ("name", "answer"),
    [("02-fourier", _by_loop), ("02-fourier", torch.fft.rfft), ("02-cosines", _cosines_by_loop)],
)
def test_other_right_answers_pass(name, answer):
    assert lessons.check(name, answer)
