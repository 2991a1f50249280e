"""Spectrogram to sound: every way back has a measured error, and settings that lie are refused."""

import math

import pytest
import torch
from _support import need

from vqlab import inversion, metrics, spectral
from vqlab.spectral import MelConfig

CONFIG = MelConfig()
SAMPLES = 8000


def vowel(hz, formants, seed, samples=SAMPLES):
    """A vowel-like sound: a gliding pulse's harmonics under formants, with breath, swelling."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.arange(samples) / CONFIG.sample_rate
    pitch = hz * (1 + 0.1 * torch.sin(2 * math.pi * 1.5 * t))
    phase = 2 * math.pi * torch.cumsum(pitch, 0) / CONFIG.sample_rate
    sound = torch.zeros(samples)
    for k in range(1, int(7000 / hz)):
        gain = sum(1 / (1 + ((k * hz - f) / 120) ** 2) for f in formants)
        sound = sound + gain / k**0.5 * torch.sin(k * phase)
    sound = sound / sound.abs().max() + 0.01 * torch.randn(samples, generator=generator)
    return 0.5 * sound * torch.sin(math.pi * t / t[-1]).clamp(min=0) ** 0.5


@pytest.fixture(scope="module")
def sounds():
    return torch.stack(
        [
            vowel(110, (700, 1200, 2600), 0),
            vowel(210, (300, 2300, 3000), 1),
            vowel(150, (500, 900), 2),
        ]
    )


@pytest.fixture(scope="module")
def magnitude(sounds):
    return spectral.stft(sounds, CONFIG).abs()


# ---- Griffin-Lim


def test_fast_griffin_lim_comes_near_and_nearer_than_the_plain_one(sounds, magnitude):
    error = {}
    for momentum in (0.0, 0.99):
        found = inversion.griffin_lim(magnitude, CONFIG, momentum=momentum, length=SAMPLES)
        assert found.shape == sounds.shape
        error[momentum] = metrics.spectral_convergence(found, magnitude, CONFIG)
    assert error[0.0] < 0.17
    assert error[0.99] < 0.095
    assert error[0.99] < 0.7 * error[0.0]


def test_plain_griffin_lim_never_gets_worse(magnitude):
    errors = [
        metrics.spectral_convergence(
            inversion.griffin_lim(magnitude, CONFIG, n_iter=n, momentum=0.0), magnitude, CONFIG
        )
        for n in range(6)
    ]
    assert errors == sorted(errors, reverse=True) and errors[5] < 0.7 * errors[0]


@pytest.mark.parametrize("momentum", [0.0, 0.99])
def test_griffin_lim_is_the_textbook_loop_of_stft_and_istft(magnitude, momentum):
    one = magnitude[0]
    start = torch.rand(one.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    phase = torch.exp(2j * torch.pi * start).to(torch.complex64)
    before = torch.zeros_like(phase)
    for _ in range(3):
        waveform = spectral.istft(one * phase, CONFIG, length=SAMPLES)
        t = spectral.stft(waveform, CONFIG)
        c = t + momentum * (t - before)
        if momentum and not before.any():
            c = t
        phase, before = c / (c.abs() + 1e-16), t
    expected = spectral.istft(one * phase, CONFIG, length=SAMPLES)
    found = inversion.griffin_lim(one, CONFIG, n_iter=3, momentum=momentum, length=SAMPLES, seed=5)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4)


def test_griffin_lim_is_as_good_as_torchaudios(magnitude):
    functional, window = need("torchaudio").functional, torch.hann_window(512)
    ours, theirs = [], []
    for seed in range(6):  # the random start moves a single result by a tenth
        torch.manual_seed(seed)
        peer = functional.griffinlim(magnitude, window, 512, 128, 512, 1.0, 32, 0.99, SAMPLES, True)
        theirs.append(metrics.spectral_convergence(peer, magnitude, CONFIG))
        found = inversion.griffin_lim(magnitude, CONFIG, length=SAMPLES, seed=seed)
        ours.append(metrics.spectral_convergence(found, magnitude, CONFIG))
    assert sum(ours) < 1.1 * sum(theirs)


@pytest.mark.parametrize("geometry", [(1024, 512), (1024, 256), (400, 160), (512, 160)])
def test_griffin_lim_works_at_other_windows_and_hops(sounds, geometry):
    config = MelConfig(n_fft=geometry[0], hop_length=geometry[1], n_mels=40)
    target = spectral.stft(sounds, config).abs()
    found = inversion.griffin_lim(target, config, length=SAMPLES)
    start = inversion.griffin_lim(target, config, n_iter=0, length=SAMPLES)
    error = metrics.spectral_convergence(found, target, config)
    assert error < 0.45 * metrics.spectral_convergence(start, target, config)
    assert found.abs().max() < 2 * sounds.abs().max()  # no click at the ends


def test_a_seed_repeats_and_a_batch_gives_what_each_sound_gets_alone(magnitude):
    together = inversion.griffin_lim(magnitude, CONFIG, seed=3)
    torch.testing.assert_close(together, inversion.griffin_lim(magnitude, CONFIG, seed=3))
    alone = inversion.griffin_lim(magnitude[1], CONFIG, seed=3)
    assert alone.shape == (SAMPLES // 128 * 128,)
    torch.testing.assert_close(together[1], alone, rtol=0, atol=1e-3)
    other = inversion.griffin_lim(magnitude[1], CONFIG, seed=4)
    assert (other - alone).abs().max() > 0.01


@pytest.mark.parametrize("samples", [1, 50, 127, 128, 300])
def test_very_short_and_silent_sounds_come_back(samples):
    x = torch.full((samples,), 0.1)
    target = spectral.stft(x, CONFIG).abs()
    found = inversion.griffin_lim(target, CONFIG, length=samples)
    assert found.shape == (samples,) and torch.isfinite(found).all()
    silent = inversion.griffin_lim(torch.zeros_like(target), CONFIG, length=samples)
    assert silent.shape == (samples,) and not silent.any()
    heard = inversion.mel_to_audio(spectral.mel(x, CONFIG), CONFIG, length=samples)
    assert heard.shape == (samples,) and torch.isfinite(heard).all()


# ---- mel to linear


@pytest.mark.parametrize("options", [{}, {"n_mels": 128}, {"scale": "htk", "norm": None}])
def test_nnls_fits_every_band_to_a_fraction_of_a_decibel(sounds, options):
    config = MelConfig(**options)
    wanted = spectral.mel(sounds, config)
    power = inversion.mel_to_linear(wanted, config).square()
    assert (power >= 0).all()
    reached = spectral.filter_bank(config) @ power
    assert (reached - wanted).norm() < 5e-3 * wanted.norm()
    error_db = (spectral.to_db(reached) - spectral.to_db(wanted)).abs()
    assert error_db.mean() < 0.05


def test_nnls_is_near_scipys_residual_and_nearer_to_the_truth(sounds, magnitude):
    nnls = need("scipy.optimize").nnls
    wanted = spectral.mel(sounds, CONFIG)[0, :, 10:40]
    filters = spectral.filter_bank(CONFIG)
    solved = [nnls(filters.double().numpy(), frame.double().numpy()) for frame in wanted.T]
    theirs = torch.stack([torch.from_numpy(x) for x, _ in solved], 1).float()
    ours = inversion.mel_to_linear(wanted, CONFIG)
    residual = (filters @ ours.square() - wanted).norm() / wanted.norm()
    best = sum(float(r) ** 2 for _, r in solved) ** 0.5 / float(wanted.norm())
    assert residual < best + 5e-3
    # Scipy's answer has at most 80 bins that are not zero: a comb, not a spectrum.
    truth = magnitude[0, :, 10:40]
    assert (ours - truth).norm() < 0.8 * (theirs.sqrt() - truth).norm()


def test_nnls_is_nearer_than_the_pseudo_inverse(sounds, magnitude):
    wanted = spectral.mel(sounds, CONFIG)
    by_pinv = (torch.linalg.pinv(spectral.filter_bank(CONFIG)) @ wanted).clamp(min=0).sqrt()
    nnls = inversion.mel_to_linear(wanted, CONFIG)
    error = {"nnls": float((nnls - magnitude).norm()), "pinv": float((by_pinv - magnitude).norm())}
    assert error["nnls"] < 0.9 * error["pinv"] < 0.5 * float(magnitude.norm())


def test_mel_to_audio_round_trip_has_the_measured_error(sounds, magnitude):
    found = inversion.mel_to_audio(spectral.mel(sounds, CONFIG), CONFIG, length=SAMPLES)
    assert metrics.spectral_convergence(found, magnitude, CONFIG) < 0.30
    error_db = (spectral.log_mel(found, CONFIG) - spectral.log_mel(sounds, CONFIG)).abs()
    assert error_db.mean() < 1.5


def test_level_survives_the_round_trip(sounds):
    for gain in (1.0, 1e-2):
        mel = spectral.mel(gain * sounds, CONFIG)
        found = inversion.mel_to_audio(mel, CONFIG, length=SAMPLES)
        ratio = found.square().mean() / (gain * sounds).square().mean()
        assert 10 * math.log10(float(ratio)) == pytest.approx(0.0, abs=0.7)


# ---- gradient


@pytest.mark.parametrize("normalize", [False, True])
def test_gradient_from_noise_finds_the_magnitude_and_the_level(sounds, magnitude, normalize):
    found = inversion.gradient(
        magnitude[:1], CONFIG, n_iter=60, length=SAMPLES, normalize=normalize
    )
    assert metrics.spectral_convergence(found, magnitude[:1], CONFIG) < 0.12
    assert found.square().mean() == pytest.approx(float(sounds[0].square().mean()), rel=0.1)


def test_gradient_improves_on_the_griffin_lim_it_starts_from(magnitude):
    start = inversion.griffin_lim(magnitude[1], CONFIG, length=SAMPLES)
    before = metrics.spectral_convergence(start, magnitude[1], CONFIG)
    found = inversion.gradient(magnitude[1], CONFIG, n_iter=30, init=start)
    assert metrics.spectral_convergence(found, magnitude[1], CONFIG) < 0.9 * before


def test_gradient_on_decibels_improves_the_decibels(sounds):
    target = spectral.log_mel(sounds[2], CONFIG)
    start = inversion.mel_to_audio(spectral.mel(sounds[2], CONFIG), CONFIG, length=SAMPLES)
    found = inversion.gradient(target, CONFIG, kind="log_mel", n_iter=20, init=start)
    before = (spectral.log_mel(start, CONFIG) - target).square().mean()
    after = (spectral.log_mel(found, CONFIG) - target).square().mean()
    assert after < 0.8 * before


def test_sounds_of_a_batch_do_not_change_each_other(magnitude):
    together = inversion.gradient(magnitude[:2], CONFIG, n_iter=5)
    torch.testing.assert_close(together[1], inversion.gradient(magnitude[1], CONFIG, n_iter=5))


def test_gradient_of_silence_is_silence_and_no_steps_change_nothing(sounds):
    silence = torch.zeros(257, 20)
    assert not inversion.gradient(silence, CONFIG, n_iter=5).any()
    same = inversion.gradient(
        spectral.stft(sounds[0], CONFIG).abs(), CONFIG, n_iter=0, init=sounds[0]
    )
    torch.testing.assert_close(same, sounds[0])


# ---- measures and refusals


def test_spectral_convergence_of_known_estimates(sounds, magnitude):
    assert metrics.spectral_convergence(sounds, magnitude, CONFIG) == pytest.approx(0, abs=1e-6)
    assert metrics.spectral_convergence(0 * sounds, magnitude, CONFIG) == pytest.approx(1.0)
    half = metrics.spectral_convergence(0.5 * sounds, magnitude, CONFIG)
    assert half == pytest.approx(0.5, abs=1e-5)


def test_what_does_not_fit_is_refused_by_name(magnitude):
    decibels = -torch.ones(257, 10)
    refusals = [
        (lambda: inversion.griffin_lim(decibels, CONFIG), "decibels"),
        (lambda: inversion.griffin_lim(torch.full((257, 9), math.nan), CONFIG), "finite"),
        (lambda: inversion.griffin_lim(torch.ones(80, 10), CONFIG), "257"),
        (lambda: inversion.griffin_lim(magnitude, CONFIG, momentum=1.5), "1.5"),
        (lambda: inversion.griffin_lim(magnitude, CONFIG, n_iter=-1), "n_iter"),
        (lambda: inversion.griffin_lim(magnitude, CONFIG, length=16000), "16000"),
        (lambda: inversion.mel_to_linear(decibels[:80], CONFIG), "from_db"),
        (lambda: inversion.mel_to_linear(torch.ones(128, 10), CONFIG), "80 mels"),
        (lambda: inversion.gradient(magnitude, CONFIG, kind="phase"), "phase"),
        (lambda: inversion.gradient(magnitude, CONFIG, kind="log_mel"), "80"),
        (lambda: inversion.gradient(magnitude, CONFIG, init=torch.zeros(3, 5)), "length 5"),
        (lambda: metrics.spectral_convergence(torch.zeros(500), magnitude, CONFIG), "shape"),
    ]
    for call, words in refusals:
        with pytest.raises(ValueError, match=words):
            call()
