"""Notebook 03: what it teaches equals the package, and its checks answer a learner rightly."""

import math

import pytest
import torch
from _series import sources, taught

from vqlab import inversion, lessons, spectral

CONFIG = spectral.MelConfig()


@pytest.fixture(scope="module")
def by_hand():
    return taught("03", torch=torch, math=math, spectral=spectral)


@pytest.fixture(scope="module")
def sound():
    """0.3 s that glides from 200 to 900 Hz with two harmonics, and a little noise."""
    seconds = torch.arange(4800) / 16000
    turns = 200 * seconds + 1200 * seconds**2
    clean = sum(torch.sin(2 * torch.pi * k * turns) / k for k in (1, 2, 3))
    noise = torch.randn(4800, generator=torch.Generator().manual_seed(0))
    return 0.1 * clean + 0.002 * noise


# --- functions taught in the notebook equal the package's -----------------------------------------


@pytest.mark.parametrize("n_iter", [0, 1, 8])
@pytest.mark.parametrize("length", [4800, 4810, None])
def test_the_notebooks_griffin_lim_equals_the_packages_without_momentum(by_hand, n_iter, length):
    random = torch.Generator().manual_seed(n_iter)
    waveform = torch.randn(4810 if length == 4810 else 4800, generator=random)
    magnitude = spectral.stft(waveform, CONFIG).abs()
    ours = by_hand["griffin_lim"](magnitude, CONFIG, n_iter=n_iter, length=length, seed=5)
    theirs = inversion.griffin_lim(
        magnitude, CONFIG, n_iter=n_iter, momentum=0.0, length=length, seed=5
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=2e-4)


def test_the_notebooks_griffin_lim_is_written_in_at_most_fifteen_lines():
    (cell,) = [text for text in sources("03") if "def griffin_lim(" in text]
    assert len(cell.strip().splitlines()) <= 15


def test_its_error_never_rises(by_hand, sound):
    magnitude = spectral.stft(sound, CONFIG).abs()
    errors = [
        inversion.spectral_convergence(
            by_hand["griffin_lim"](magnitude, CONFIG, n_iter=n, length=4800), magnitude, CONFIG
        )
        for n in range(12)
    ]
    assert all(later <= earlier + 1e-4 for earlier, later in zip(errors, errors[1:], strict=False))
    assert errors[-1] < 0.7 * errors[0]


def test_the_notebooks_descent_equals_the_packages_gradient_method(by_hand, sound):
    magnitude = spectral.stft(sound, CONFIG).abs()
    start = inversion.griffin_lim(magnitude, CONFIG, n_iter=2, momentum=0.0, length=4800)

    def loss_of(waveform):
        spectrum = spectral.stft(waveform, CONFIG)
        lengths = (spectrum.real**2 + spectrum.imag**2 + 1e-20).sqrt()
        return (lengths / magnitude.norm() - magnitude / magnitude.norm()).pow(2).sum()

    ours = by_hand["descend"](start, loss_of, 10)
    theirs = inversion.gradient(magnitude, CONFIG, n_iter=10, init=start)
    assert float(loss_of(ours)) < 0.5 * float(loss_of(start))
    assert float(loss_of(ours)) == pytest.approx(float(loss_of(theirs)), rel=0.02)
    torch.testing.assert_close(ours, theirs, rtol=0.02, atol=2e-3)


def test_fifty_of_the_notebooks_multiplicative_steps_are_the_packages_mel_to_linear(by_hand, sound):
    mel_power = spectral.mel(sound, CONFIG)
    filters = spectral.filter_bank(CONFIG)
    spread = filters / filters.amax(dim=1, keepdim=True)  # the package's smooth start
    density = mel_power / filters.sum(dim=1, keepdim=True)
    power = spread.T @ density / spread.sum(dim=0).clamp(min=1e-9)[:, None]
    for _ in range(50):
        power = by_hand["multiplicative_step"](power, mel_power, filters)
    expected = inversion.mel_to_linear(mel_power, CONFIG)
    torch.testing.assert_close(power.sqrt(), expected, rtol=1e-3, atol=1e-5)


def test_a_multiplicative_step_lowers_the_divergence_and_keeps_powers_positive(by_hand):
    random = torch.Generator().manual_seed(1)
    filters = spectral.filter_bank(CONFIG).double()
    mel_power = filters @ torch.rand(257, 5, generator=random, dtype=torch.float64)
    power = torch.rand(257, 5, generator=random, dtype=torch.float64) + 0.1

    def divergence(p):
        back = filters @ p
        return float((mel_power * (mel_power / back).log() - mel_power + back).sum())

    before = divergence(power)
    for _ in range(5):
        power = by_hand["multiplicative_step"](power, mel_power, filters)
        assert divergence(power) <= before
        assert bool((power >= 0).all())
        before = divergence(power)


def test_a_gradient_step_of_the_notebooks_size_is_a_griffin_lim_step(sound):
    magnitude = spectral.stft(sound, CONFIG).abs()
    start = inversion.griffin_lim(magnitude, CONFIG, n_iter=0, length=4800)
    twins = torch.full((257, 1), 2.0)
    twins[0] = twins[-1] = 1.0
    x = start.clone().requires_grad_()
    (0.5 * twins * (spectral.stft(x, CONFIG).abs() - magnitude).pow(2)).sum().backward()
    by_gradient = start - x.grad / (1.5 * 512)
    c = torch.polar(magnitude, spectral.stft(start, CONFIG).angle())
    by_griffin_lim = spectral.istft(c, CONFIG, length=4800)
    inside = slice(512, -512)
    torch.testing.assert_close(by_gradient[inside], by_griffin_lim[inside], rtol=1e-3, atol=1e-5)


def test_the_exercises_references_are_the_packages_functions(sound):
    target = spectral.stft(sound, CONFIG).abs()
    estimate = inversion.griffin_lim(target, CONFIG, n_iter=2, length=4800)
    found = spectral.stft(estimate, CONFIG).abs()
    convergence = lessons.find("03-spectral-convergence").right
    expected = inversion.spectral_convergence(estimate, target, CONFIG)
    assert float(convergence(found, target)) == pytest.approx(expected, rel=1e-5)
    by_pinv = lessons.find("03-mel-to-magnitude").right
    mel_power, filters = spectral.mel(sound, CONFIG).double(), spectral.filter_bank(CONFIG).double()
    # The pseudo-inverse of a matrix with independent rows, by its formula.
    power = filters.T @ torch.linalg.solve(filters @ filters.T, mel_power)
    magnitude = power.clamp(min=0).sqrt()
    torch.testing.assert_close(by_pinv(mel_power, filters), magnitude, rtol=1e-6, atol=1e-6)


def test_momentum_and_griffin_lim_steps_in_a_loop_are_the_packages_fast_version(sound):
    step = lessons.find("03-griffin-lim-step").right
    ahead = lessons.find("03-momentum-step").right
    magnitude = spectral.stft(sound, CONFIG).abs()
    dice = torch.Generator().manual_seed(0)
    turns = torch.rand(magnitude.shape, generator=dice, dtype=torch.float64)
    c = torch.polar(magnitude, (2 * torch.pi * turns).float())
    before = torch.zeros_like(c)
    for n in range(6):
        t = spectral.stft(spectral.istft(c, CONFIG, length=4800), CONFIG)
        if n == 0:  # from t_before = 0 the prolonged step only changes the lengths
            torch.testing.assert_close(step(c, magnitude, CONFIG, 4800), _sized(t, magnitude))
        c = _sized(ahead(t, before, 0.99), magnitude)
        before = t
    ours = spectral.istft(c, CONFIG, length=4800)
    theirs = inversion.griffin_lim(magnitude, CONFIG, n_iter=6, momentum=0.99, length=4800)
    torch.testing.assert_close(ours, theirs, rtol=1e-2, atol=1e-3)


def _sized(t, magnitude):
    return torch.polar(magnitude, t.angle())


# --- the checks answer, in a learner's own words --------------------------------------------------


def _step_without_round_trip(c, magnitude, config, length):
    return magnitude * c / c.abs()


def _step_forgets_magnitude(c, magnitude, config, length):
    x = spectral.istft(c, config, length=length)
    return spectral.stft(x, config)


WRONG = [
    ("03-combine", lambda a, b: b.abs() * torch.exp(1j * a.angle()), "roles are exchanged"),
    ("03-combine", lambda a, b: a.abs() * b.angle(), "length by an angle"),
    ("03-spectral-convergence", lambda f, t: ((f - t) ** 2).sum().sqrt(), "must be relative"),
    ("03-spectral-convergence", lambda f, t: torch.dist(f, t) ** 2 / t.norm() ** 2, "its square"),
    ("03-griffin-lim-step", _step_without_round_trip, "nothing has moved"),
    ("03-griffin-lim-step", _step_forgets_magnitude, "first half is right"),
    ("03-momentum-step", lambda t, b, a: (1 - a) * t + a * b, "goes back"),
    ("03-momentum-step", lambda t, b, a: 2 * t - b, "alpha is missing"),
    ("03-mel-to-magnitude", lambda m, f: (torch.linalg.pinv(f) @ m) ** 0.5, "nan"),
    ("03-mel-to-magnitude", lambda m, f: (torch.linalg.pinv(f) @ m).relu(), "this is power"),
]


@pytest.mark.parametrize(("name", "answer", "words"), WRONG, ids=lambda value: str(value)[:40])
def test_a_wrong_answer_gets_the_hint_that_fits(name, answer, words):
    verdict = lessons.check(name, answer)
    assert verdict.state == "wrong"
    assert words in verdict.sentence


NAMES = [name for name in lessons.exercise_names() if name.startswith("03-")]


def test_there_are_five_exercises_and_all_are_tried_above():
    assert len(NAMES) == 5
    assert {name for name, _, _ in WRONG} == set(NAMES)


def test_shapes_in_the_table_of_symbols_are_the_codes():
    waveform = torch.zeros(12800)
    assert spectral.stft(waveform, CONFIG).shape == (257, 101)
    assert spectral.filter_bank(CONFIG).shape == (80, 257)
    assert torch.linalg.pinv(spectral.filter_bank(CONFIG)).shape == (257, 80)
