"""Notebook 01: what it writes out by hand equals the package, librosa and the formulas."""

import math
import wave

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from _series import solutions, taught

from vqlab import audio, lessons


@pytest.fixture(scope="module")
def by_hand():
    return taught("01", torch=torch, F=F, math=math, np=np)


@pytest.fixture(scope="module")
def solved():
    return solutions("01")


def noise(samples, seed=0):
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def tone(frequency, rate, seconds=1.0, amplitude=1.0):
    time = torch.arange(int(seconds * rate), dtype=torch.float64) / rate
    return (amplitude * torch.sin(2 * math.pi * frequency * time + 0.3)).float()


# --- taught functions -----------------------------------------------------------------------------


@pytest.mark.parametrize("cutoff", [500, 1800, 3600])
def test_the_low_pass_keeps_what_is_below_and_stops_what_is_above(by_hand, cutoff):
    for frequency, least, most in ((cutoff - 150, 0.98, 1.02), (cutoff + 150, 0.0, 0.01)):
        left = by_hand["low_pass"](tone(frequency, 16000), cutoff, 16000)
        assert len(left) == 16000
        assert least <= float(left[200:-200].abs().max()) <= most


def test_every_fourth_sample_after_the_low_pass_is_the_packages_resampling(by_hand):
    x = by_hand["low_pass"](noise(16000), 1500, 16000)
    by_hand = by_hand["low_pass"](x, 1800, 16000)[::4]
    theirs = audio.resample(x, 16000, 4000)
    error = (by_hand - theirs)[100:-100].square().mean() / theirs.square().mean()
    assert float(error) < 1e-4


def test_sixteen_bits_by_rounding_are_what_a_saved_file_holds(by_hand, solved, tmp_path):
    x = (4 * noise(4000)).clamp(-1, 1)
    x[:2] = torch.tensor([1.0, -1.0])
    audio.save(tmp_path / "x.wav", x, 16000)
    assert torch.equal(by_hand["few_bits"](x, 16), audio.load(tmp_path / "x.wav")[0])
    with wave.open(str(tmp_path / "x.wav")) as file:
        stored = np.frombuffer(file.readframes(4000), dtype="<i2")
    np.testing.assert_array_equal(solved.to_integers(x, 16).numpy(), stored)


@pytest.mark.parametrize("bits", [2, 4, 8, 12])
def test_few_bits_are_the_whole_numbers_times_the_step(by_hand, solved, bits):
    x = (6 * noise(3000)).clamp(-1, 1)
    rounded = by_hand["few_bits"](x, bits)
    assert len(rounded.unique()) == 2**bits or bits > 4
    torch.testing.assert_close(rounded, solved.to_integers(x, bits) * 2 / 2**bits)


@pytest.mark.parametrize("bits", [6, 8, 12])
@pytest.mark.parametrize("gain_db", [0.0, -12.0])
def test_a_bit_is_worth_six_decibels_and_level_counts(by_hand, bits, gain_db):
    x = torch.rand(200_000, generator=torch.Generator().manual_seed(1)) * 1.9 - 0.95
    x = x * 10 ** (gain_db / 20)
    error = (by_hand["few_bits"](x, bits) - x).double()
    measured = audio.level(x) - audio.level(error)
    assert measured == pytest.approx(audio.level(x) + 4.77 + 6.02 * bits, abs=0.1)


@pytest.mark.parametrize(("samples", "frame", "hop"), [(4000, 512, 128), (4001, 1024, 512)])
def test_frame_levels_are_librosas_rms_and_the_largest_sample(by_hand, samples, frame, hop):
    import librosa

    x = noise(samples)
    peak, rms = by_hand["frame_levels"](x, frame, hop)
    theirs = librosa.feature.rms(y=x.numpy(), frame_length=frame, hop_length=hop)[0]
    np.testing.assert_allclose(rms.numpy(), theirs, atol=1e-6)
    for t in (0, 3, len(peak) - 1):
        piece = x[max(0, t * hop - frame // 2) : t * hop + frame // 2]
        assert float(peak[t]) == pytest.approx(float(piece.abs().max()))


# --- exercises ------------------------------------------------------------------------------------


@pytest.mark.parametrize("frequency", [300, 3900, 4100, 7999, 12500, 23000])
def test_the_solution_names_the_tone_that_the_samples_hold(solved, frequency):
    samples = tone(frequency, 8000, seconds=2.0)
    spectrum = torch.fft.rfft(samples * torch.hann_window(len(samples))).abs()
    assert solved.alias(frequency, 8000) == pytest.approx(float(spectrum.argmax()) / 2)


@pytest.mark.parametrize(
    ("name", "answer", "word"),
    [
        ("01-alias", lambda f, rate: f - rate * math.floor(f / rate), "still be above"),
        ("01-alias", lambda f, rate: f if f < rate / 2 else rate - f, "negative"),
        ("01-alias", lambda f, rate: math.fabs(f - rate), "one fold only"),
        ("01-to-integers", lambda x, b: (x * 2 ** (b - 1)).round(), "ends of the ladder"),
        (
            "01-to-integers",
            lambda x, b: (x * 2 ** (b - 1)).int().clamp(-(2 ** (b - 1)), 2 ** (b - 1) - 1),
            "fraction",
        ),
        (
            "01-to-integers",
            lambda x, b: torch.fake_quantize_per_tensor_affine(
                x, 2 / 2**b, 0, -(2 ** (b - 1)), 2 ** (b - 1) - 1
            ),
            "amplitudes again",
        ),
    ],
)
def test_a_learners_own_wording_of_a_mistake_gets_the_hint_that_fits(name, answer, word):
    verdict = lessons.check(name, answer)
    assert verdict.state == "wrong" and word in verdict.sentence, verdict


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("01-alias", lambda f, rate: min(f % rate, rate - f % rate)),
        (
            "01-to-integers",
            lambda x, b: (x / (2 / 2**b)).round().clamp(-(2**b) // 2, 2**b // 2 - 1).int(),
        ),
    ],
)
def test_other_right_answers_pass(name, answer):
    verdict = lessons.check(name, answer)
    assert verdict, verdict
