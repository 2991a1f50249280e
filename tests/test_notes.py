"""Synthesised notes: they sound as their names say, and the splits keep instruments apart."""

import numpy as np
import pytest
import torch

from vqlab import datasets
from vqlab.datasets import notes, nsynth

RATE = 16000


def note(name: str) -> nsynth.Note:
    found = nsynth.parse(name)
    assert found is not None
    return found


def spectrum(sound: torch.Tensor, start: float = 0.25) -> torch.Tensor:
    """Power of the bins of 2.048 s from `start`, 0.49 Hz each."""
    part = sound[round(start * RATE) :][:32768] * torch.hann_window(32768)
    return torch.fft.rfft(part).abs() ** 2


def centroid(sound: torch.Tensor) -> float:
    """Mean frequency of the first half second, weighted with the power."""
    power = torch.fft.rfft(sound[: RATE // 2]).abs() ** 2
    return float((power * torch.arange(len(power)) * 2).sum() / power.sum())


# The building blocks


@pytest.mark.parametrize("brightness", [0.0, 0.4, 0.9])
def test_the_closed_formula_is_the_sum_of_harmonics(brightness):
    angle = np.linspace(0.1, 20, 300)
    brute = sum(brightness ** (k - 1) * np.sin(k * angle) for k in range(1, 13))
    np.testing.assert_allclose(notes.summed(angle, brightness, 12), brute, atol=1e-10)


def test_a_string_is_the_loop_written_out_sample_by_sample():
    burst = np.random.default_rng(0).uniform(-1, 1, 40)
    hertz, loss, softness = 700.0, 0.99, 0.3
    period = RATE / hertz - softness
    whole, rest = int(period), period - int(period)
    taps = loss * np.array(
        [(1 - softness) * (1 - rest), (1 - softness) * rest + softness * (1 - rest),
         softness * rest]
    )  # fmt: skip
    brute = list(burst[: whole + 2])
    while len(brute) < 64000 + whole + 2:
        brute.append(sum(tap * brute[-whole - k] for k, tap in enumerate(taps)))
    sound = notes.plucked(hertz, loss=loss, softness=softness, burst=burst)
    np.testing.assert_allclose(sound, brute[-64000:], atol=1e-12)


@pytest.mark.parametrize("hertz", [110.0, 437.0, 660.0])
def test_a_string_is_in_tune(hertz):
    burst = np.random.default_rng(1).uniform(-1, 1, 200)
    sound = notes.plucked(hertz, loss=0.9995, softness=0.5, burst=burst - burst.mean())
    power = spectrum(torch.from_numpy(sound).float())
    low, high = (round(f * hertz * 32768 / RATE) for f in (0.8, 1.2))
    peak = (low + int(power[low:high].argmax())) * RATE / 32768
    assert peak == pytest.approx(hertz, rel=0.006)  # a tenth of a semitone


# Whole notes


@pytest.mark.parametrize("family", notes.RANGES)
def test_a_note_is_as_its_name_says(family):
    low, high = notes.RANGES[family]
    for variant in (0, 9):
        pitch = low + (high - low) // 6 * 3
        name = f"{family}_synthetic_{variant:03}-{pitch:03}"
        hard, soft = (notes.synthesise(note(f"{name}-{v}")) for v in ("127", "025"))
        for sound in (hard, soft):
            assert sound.shape == (4 * RATE,) and sound.dtype == torch.float32
            assert sound.isfinite().all() and float(sound[-1]) == 0
            assert sound[:RATE].mean().abs() < 0.01 * sound.abs().max()  # no constant in it
            assert sound[-RATE // 4 :].abs().max() < 0.02 * sound.abs().max()  # let go
        assert float(hard.abs().max()) == pytest.approx(0.9, abs=1e-5)
        assert float(soft.abs().max()) < 0.4
        power = spectrum(hard)
        # Power lies at multiples of half the pitch (an octave below: bass, organ); a bar's does not
        if family != "mallet":
            hertz = 440 * 2 ** ((pitch - 69) / 12)
            places = torch.arange(len(power)) * RATE / 32768 / (hertz / 2)
            near = (places - places.round()).abs() * hertz / 2 < torch.clamp(
                0.03 * places * hertz / 2, min=4
            )
            assert power[near].sum() / power.sum() > 0.85


@pytest.mark.parametrize("family", ["brass", "string", "bass", "keyboard", "mallet"])
def test_a_harder_velocity_is_brighter(family):
    pitch = notes.RANGES[family][0] + 12
    ratios = []
    for variant in range(4):
        name = f"{family}_synthetic_{variant:03}-{pitch:03}"
        soft, hard = (centroid(notes.synthesise(note(f"{name}-{v}"))) for v in ("025", "127"))
        ratios.append(hard / soft)
    assert np.median(ratios) > 1.05


def test_pitch_of_a_note_is_the_named_one():
    for pitch in (48, 60, 72):
        power = spectrum(notes.synthesise(note(f"guitar_synthetic_000-{pitch:03}-100")))
        hertz = 440 * 2 ** ((pitch - 69) / 12)
        low, high = (round(f * hertz * 32768 / RATE) for f in (0.9, 1.1))
        peak = (low + int(power[low:high].argmax())) * RATE / 32768
        assert peak == pytest.approx(hertz, rel=0.012)


def test_nothing_lies_above_what_the_sample_rate_holds():
    """The highest note of every instrument falls off before 8 kHz: nothing is mirrored back."""
    for family in set(notes.RANGES) - {"guitar", "flute", "string"}:  # those have noise in them
        name = f"{family}_synthetic_001-{notes.RANGES[family][1]:03}-127"
        power = spectrum(notes.synthesise(note(name)))
        hertz = torch.arange(len(power)) * RATE / 32768
        assert power[hertz > 7800].sum() < 1e-3 * power.sum()


def test_a_note_is_the_same_every_time_and_no_two_are_alike():
    names = [
        "organ_synthetic_000-060-100", "organ_synthetic_001-060-100",
        "organ_synthetic_000-063-100", "organ_synthetic_000-060-050",
    ]  # fmt: skip
    sounds = [notes.synthesise(note(name)) for name in names]
    assert torch.equal(sounds[0], notes.synthesise(note(names[0])))
    unit = torch.stack(sounds)
    unit = unit / unit.norm(dim=1, keepdim=True)
    alike = (unit @ unit.T).abs() - torch.eye(len(names))
    assert alike.max() < 0.95


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("vocal_acoustic_000-060-100", "'vocal'.*bass, brass"),
        ("organ_synthetic_000-010-100", "Pitch 10.*21 to 108"),
        ("organ_synthetic_000-060-000", "velocity 0.*1 to 127"),
    ],
)
def test_a_note_nobody_here_plays_is_refused(name, said):
    with pytest.raises(ValueError, match=said):
        notes.synthesise(note(name))


# The data set


def test_every_family_is_in_every_split_and_no_instrument_in_two():
    parts = [datasets.load("notes", split) for split in ("train", "validation", "test")]
    speakers = [set(part.speakers) for part in parts]
    assert [len(found) for found in speakers] == [64, 8, 8]
    assert len(set().union(*speakers)) == 80
    for part in parts:
        assert set(part.labels) == set(notes.RANGES) == set(part.classes)
    assert len(datasets.load("notes", "all")) == sum(map(len, parts)) == 5000


def test_a_part_of_a_split_has_all_families_and_many_pitches_and_velocities():
    few = datasets.load("notes", "train", limit=64)
    found = [note(entry.path.stem) for entry in few.entries]
    assert {n.family for n in found} == set(notes.RANGES)
    assert len({n.instrument for n in found}) >= 50
    assert {n.velocity for n in found} == set(notes.VELOCITIES)
    assert len({n.pitch for n in found}) > 12


def test_items_slices_and_stacks_are_those_of_any_data_set():
    found = datasets.load("notes", "test", seconds=4.0, limit=6, level_db=-25.0)
    item = found[1]
    assert (item.label, item.speaker) == (found.labels[1], found.speakers[1])
    assert item.sample_rate == RATE and item.gain_db != 0
    assert torch.equal(found[1:3].waveforms(), found.waveforms()[1:3])
    assert len(found.scan()) == 6 and len(found.at_most(1)) == len(set(found.labels))
    assert datasets.load("notes", "test", limit=1)[0].waveform.shape == (RATE,)


def test_families_are_chosen_and_the_source_is_always_synthetic():
    some = datasets.load("notes", "train", families=["organ", "bass"], sources="synthetic")
    assert some.classes == ["bass", "organ"] and set(some.labels) == {"bass", "organ"}
    with pytest.raises(ValueError, match=r"'reed'.*bass, brass"):
        datasets.load("notes", families="reed")
    with pytest.raises(ValueError, match="'acoustic'.*synthetic"):
        datasets.load("notes", sources="acoustic")


def test_notes_take_no_folder():
    with pytest.raises(ValueError, match="leave root out"):
        datasets.load("notes", root=".")
