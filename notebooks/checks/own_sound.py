"""The pieces of notebooks 01 to 03: level, spectrum, and back to sound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from vqlab.lessons.edits import form, noise, piece

from vqlab.lessons.own_file import program

_ours = program({})
_sound = 0.1 * noise(2, 20 * _ours.HOP)
_spectrum = _ours.stft(_sound)
_mel = _ours.mel_filters() @ _spectrum.abs().square()
_gaps = torch.arange(20) % 5 > 0  # every fifth frame is silent

_tones = torch.sin(torch.arange(800) * 0.3)


def _levels(fn: Callable[..., Any]) -> Any:
    seen: dict[str, Any] = {}
    sounds = {"a loud sound": 0.5 * _tones, "one 100 times softer": 0.005 * _tones}
    sounds |= {"silence": torch.zeros(400), "one far too loud": 900 * _tones}
    gains = []
    for name, sound in sounds.items():
        returned = fn(sound)
        if (found := form(returned)) != f"{tuple(sound.shape)}, a number":
            return {f"what comes back for {len(sound)} samples": found}
        waveform, gain = returned
        gains.append(float(gain))
        seen |= {f"the type of the gain of {name}": type(gain).__name__}
        seen |= {f"the gain of {name}": gain, f"the waveform of {name}": waveform}
    return {"what 100 times softer adds to the gain": gains[1] - gains[0]} | seen


level = piece(
    "01-level",
    _levels,
    (
        ".square().mean()",
        ".abs().mean().square()",
        "the level is the mean of the *squares*, in decibels; you took the mean of the absolute "
        "values.",
    ),
    ("10 * float", "20 * float", "20 log10 is for amplitudes; of a power it is 10 log10."),
    (
        "LEVEL_DB - 10 * float(power.log10())",
        "10 * float(power.log10()) - LEVEL_DB",
        "the gain has the wrong sign: what is too soft needs a gain above 0.",
    ),
    (
        "/ 40)",
        "/ 20)",
        "the gain counts *half* decibels, and 20 decibels are a factor of 10: divide by 40.",
    ),
    (
        "/ 40)",
        "/ 10)",
        "decibels of a power divide by 10; samples are amplitudes, 20 (and here half decibels, so "
        "40).",
    ),
    (
        ".clamp(min=1e-12)",
        "",
        "silence has no logarithm: keep the power away from 0 (`clamp(min=1e-12)`).",
    ),
    (
        "    half_decibels = min(max(half_decibels, -128), 127)\n",
        "",
        "the gain has to fit into a byte: cut it off at -128 and 127.",
    ),
    ("waveform * 10", "waveform / 10", "you divide by the gain; multiply."),
    (
        "waveform * 10 ** (half_decibels / 40)",
        "waveform * 10 ** ((LEVEL_DB - 10 * float(power.log10())) / 20)",
        "you multiply by the gain before it is rounded; the file knows only the rounded one.",
    ),
    (
        "min(max(half_decibels, -128), 127)",
        "torch.tensor(half_decibels).clamp(-128, 127)",
        "the gain is a tensor; wanted is a Python int: `int(...)`, because it becomes a byte.",
    ),
    (
        "min(max(half_decibels, -128), 127)",
        "float(min(max(half_decibels, -128), 127))",
        "the gain has a decimal point; wanted is a Python int: `int(...)`, because it becomes a "
        "byte.",
    ),
    hints=(
        "The level in decibels is 10 log10 of the mean of the squares.",
        "gain = LEVEL_DB - level; in half decibels, rounded: `round(2 * gain)`.",
        "The factor for the samples is `10 ** (half_decibels / 40)`.",
    ),
    parts={
        "comes back": "Wanted is the waveform at its new level, (samples,), and the gain, an int.",
        "100 times softer adds": "A tenth of the amplitude is 20 decibels less: 40 half decibels "
        "more. Look at the logarithm and its factor, at the square, and at what is rounded.",
        "the gain of a loud": "Its level is -9.0 dB; the gain is LEVEL_DB minus the level, in half "
        "decibels, rounded.",
        "the gain of silence": "The gain is cut off at 127 half decibels, the largest in a byte.",
        "the gain of one far": "The gain is cut off at -128 half decibels, the smallest in a byte.",
        "the waveform": "It is the sound times 10 ** (half decibels / 40), with the gain that is "
        "returned, -34 half decibels for the loud sound: a factor of 0.1413.",
    },
)

stft = piece(
    "02-stft",
    lambda fn: {
        "the spectrum of noise": fn(_sound.clone()),
        "the spectrum of noise that ends within a hop": fn(_sound[:, :-1].clone()),
    },
    (
        "(N_FFT - HOP) // 2",
        "N_FFT // 2",
        "this centres frame t at the *beginning* of hop t, and gives frames too many: pad with "
        "(N_FFT - HOP) // 2.",
    ),
    (
        "F.pad(waveform, (around, around))",
        "waveform",
        "nothing is padded: the first frame then begins at sample 0 and frames are missing at the "
        "end.",
    ),
    (
        " * torch.hann_window(N_FFT)",
        "",
        "the window is missing: without it every frame begins and ends with a click.",
    ),
    (
        "torch.hann_window(N_FFT)",
        "torch.hann_window(N_FFT, periodic=False)",
        "this is the symmetric window; the periodic one (torch's default) is wanted.",
    ),
    (
        "torch.hann_window(N_FFT)",
        "torch.hamming_window(N_FFT)",
        "this is Hamming's window; Hann's goes down to 0.",
    ),
    (".mT", "", "the axes are (batch, frames, bins); wanted is (batch, bins, frames): `.mT`."),
    (
        "rfft",
        "fft",
        "`fft` gives every frequency twice, as the samples are real; `rfft` gives N_FFT // 2 + 1 "
        "bins.",
    ),
    ("N_FFT, HOP)", "N_FFT, N_FFT // 4)", "the frames begin N_FFT // 4 samples apart, not HOP."),
    ("rfft(", "rfft(norm='ortho', input=", "no scaling is wanted: leave `norm` out."),
    hints=(
        "Pad, cut into overlapping frames, multiply by the window, transform.",
        "`unfold(-1, N_FFT, HOP)` cuts (..., samples) into (..., frames, N_FFT).",
        "`torch.fft.rfft(frames * torch.hann_window(N_FFT))`, then the two last axes exchanged.",
    ),
    parts={
        "the spectrum of noise": "Its frames are N_FFT long and begin HOP apart, the first "
        "(N_FFT - HOP) // 2 before the sound; each is multiplied by the window, then comes `rfft`.",
    },
)


def _bank(fn: Callable[..., Any]) -> Any:
    bank = fn()
    if form(bank) != str((_ours.MELS, _ours.N_FFT // 2 + 1)):
        return {"the filters": bank}
    hz = _ours.RATE / _ours.N_FFT
    return {
        "where each filter is largest, in hertz,": bank.argmax(dim=1) * hz,
        "the smallest weight": bank.min(),
        "the area of each filter": bank.sum(dim=1) * hz,
        "the filters": bank,
    }


mel_filters = piece(
    "02-mel-filters",
    _bank,
    (
        "MELS + 2",
        "MELS",
        "MELS triangles have MELS + 2 corners: each begins in the middle of the one before.",
    ),
    (
        " * 2 / (high - low)",
        "",
        "these triangles have height 1; wanted is area 1: times 2 / (high - low).",
    ),
    (
        " * 2 / (high - low)",
        " / (high - low)",
        "the area of a triangle is half of width times height: 2 / width, not 1 / width.",
    ),
    (".clamp(min=0)", "", "outside its corners a triangle is 0, not negative."),
    (
        "torch.minimum",
        "torch.maximum",
        "a triangle lies *under* both of its sides: the smaller of the two.",
    ),
    ("RATE / 2 / 1000", "RATE / 1000", "the top is half the sample rate."),
    (
        "corners = torch.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))",
        "corners = mels / top * RATE / 2",
        "the corners are evenly spaced in hertz; they should be on the mel scale.",
    ),
    (
        "torch.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))",
        "700 * (10 ** (torch.linspace(0, 2595 * math.log10(1 + RATE / 2 / 700), MELS + 2) / 2595) "
        "- 1)",
        "this is HTK's mel scale; Slaney's is wanted (at 80 bands, some of HTK's are empty).",
    ),
    ("* RATE / N_FFT", "* RATE / 2 / N_FFT", "bin k lies at k * RATE / N_FFT hertz."),
    (
        "triangles.clamp(min=0) * 2 / (high - low)",
        "(triangles.clamp(min=0) * 2 / (high - low)).T",
        "the axes are exchanged: a row for each band, (MELS, bins).",
    ),
    hints=(
        "First the corners on the mel scale, evenly spaced; then the same corners in hertz.",
        "Below 15 mel a mel is 200 / 3 Hz; above, 27 mel are a factor of 6.4.",
        "Rising side: (hz - low) / (centre - low). Falling: (high - hz) / (high - centre).",
    ),
    parts={
        "is largest": "That is the middle corner, so look at the corners: evenly spaced from 0 mel "
        "to the mel of RATE / 2; mel * 200 / 3 hertz below 15 mel, above it "
        "1000 * 6.4 ** ((mel - 15) / 27); the frequency of bin k is k * RATE / N_FFT.",
        "smallest weight": "Outside its corners a triangle is 0.",
        "the area": "The tops are at the right places; the height is 2 / (high - low), in hertz.",
        "the filters": "One row for each of the MELS filters, one column for each of the "
        "N_FFT // 2 + 1 bins. A side rises from 0 at `low` to 1 at `centre`, the other falls to 0 "
        "at `high`; the smaller of the two counts.",
    },
)


def _in_decibels(fn: Callable[..., Any]) -> Any:
    loud, soft, silent = (fn(gain * _sound) for gain in (1.0, 0.1, 0.0))
    wanted = str((len(_sound), _ours.MELS, _sound.shape[1] // _ours.HOP))
    if form(loud) != wanted:
        return {"the decibels of noise": loud}
    return {
        "the mean of what 10 times the amplitude adds, in decibels,": (loud - soft).mean(),
        "the smallest value": silent.min(),
        "the decibels of noise": loud,
        "those of soft noise": soft,
        "those of silence": silent,
        "the decibels of very soft noise": fn(3e-4 * _sound),
    }


log_mel = piece(
    "02-log-mel",
    _in_decibels,
    (".square()", "", "filter the *power*, the square of the magnitude."),
    ("10 * power", "20 * power", "20 log10 is for magnitudes; of a power it is 10 log10."),
    ("10 * power", "power", "these are bels: times 10."),
    (".log10()", ".log()", "decibels take the logarithm to base 10."),
    (
        ".clamp(min=1e-8)",
        "",
        "silence gives minus infinity: keep the power at 1e-8 or more, which is -80 dB.",
    ),
    (
        ".clamp(min=1e-8)",
        ".add(1e-8)",
        "raise what is below the floor to it (`clamp`); do not add the floor to everything.",
    ),
    ("clamp(min=1e-8)", "clamp(min=1e-10)", "the floor is 1e-8, which is -80 decibels."),
    (
        "mel_filters() @ stft(waveform).abs().square()",
        "(mel_filters() @ stft(waveform).abs()).square()",
        "square first, then filter: powers add up, magnitudes do not.",
    ),
    ("return 10 *", "return -10 *", "the sign is wrong: a quieter sound has *fewer* decibels."),
    hints=(
        "Spectrum, magnitude, square, filter, logarithm.",
        "`mel_filters() @ power` works for a whole batch (batch, bins, frames).",
    ),
    parts={
        "10 times the amplitude": "It should add 20: 10 log10 of the power, and the power is the "
        "*square* of the magnitude.",
        "smallest value": "What is below a power of 1e-8 is raised to it, which is -80 dB.",
        "decibels of": "The power of the spectrum, filtered: `mel_filters() @ power`, (batch, "
        "MELS, frames); then 10 log10 of it.",
        "those of": "The floor, 1e-8, is applied to the filtered power, before the logarithm.",
    },
)

istft = piece(
    "03-istft",
    lambda fn: {
        "the sound of a spectrum": fn(_spectrum.clone()),
        "the sound of frames that do not fit": fn(_spectrum * torch.linspace(0, 1, 20)),
    },
    (
        "dim=1) * window",
        "dim=1)",
        "the window is missing in the synthesis: frames that do not fit each other would click at "
        "their ends.",
    ),
    (
        "window.square()",
        "window",
        "each sample was weighted by the window *twice*, before and after: divide by the sum of "
        "its squares.",
    ),
    (
        "(total / weight.clamp(min=1e-9))",
        "total",
        "overlapping frames add up to more than the sound: divide by the sum of the squared "
        "windows.",
    ),
    (
        "around:-around",
        ":",
        "the padding of the analysis is still there: cut (N_FFT - HOP) // 2 samples off at both "
        "ends.",
    ),
    (
        "around = (N_FFT - HOP) // 2\n    return",
        "around = N_FFT // 2\n    return",
        "too much is cut off: the padding was (N_FFT - HOP) // 2.",
    ),
    (
        "torch.fft.irfft(spectrum, N_FFT, dim=1)",
        "torch.fft.irfft(spectrum.abs(), N_FFT, dim=1)",
        "the phases are lost: give the complex spectrum to `irfft`.",
    ),
    hints=(
        "Inverse transform along the bins, window, add at every HOP, divide, cut.",
        "`F.fold(frames, (1, length), (1, N_FFT), stride=(1, HOP))` adds frames at their places.",
        "The divisor is the same overlap-add of the squared window.",
    ),
    parts={
        "the sound of": "`irfft` along the bins gives frames (batch, N_FFT, frames); times the "
        "window; added up HOP apart; divided by the squared windows, added up alike; "
        "(N_FFT - HOP) // 2 samples cut off at each end, so that frames * HOP are left.",
    },
)


def _unfiltered(fn: Callable[..., Any]) -> Any:
    magnitude, paused = fn(_mel.clone()), fn(_mel * _gaps)
    if form(magnitude) != str(tuple(_spectrum.shape)):
        return {"the magnitude": magnitude}
    return {
        "the mel power that the result has": _ours.mel_filters() @ magnitude.square(),
        "the magnitude": magnitude,
        "the magnitude where some frames are silent": paused,
    }


mel_to_linear = piece(
    "03-mel-to-linear",
    _unfiltered,
    (".sqrt()", "", "this is the power; the magnitude is its root."),
    (
        "range(30)",
        "range(0)",
        "the start is spread evenly over each band; the steps that make it fit are missing.",
    ),
    ("range(30)", "range(1)", "one step is too few: repeat it (30 times)."),
    (
        "power * (spread.T",
        "power + (spread.T",
        "the step multiplies: what is too small gets a factor above 1.",
    ),
    (
        "(mel / (filters @ power).clamp(min=1e-20))",
        "((filters @ power) / mel.clamp(min=1e-20))",
        "the quotient is upside down: wanted over found.",
    ),
    (
        "spread = filters / filters.sum(dim=0).clamp(min=1e-9)",
        "spread = filters",
        "the shares of a bin in the bands have to add up to 1: divide by the sum over bands.",
    ),
    (
        "mel / filters.sum(dim=1, keepdim=True)",
        "mel",
        "the start is too loud: a band's power is shared by all its bins (any start above 0 would "
        "end near, this one is told).",
    ),
    hints=(
        "Start with each band's power spread evenly, then correct it again and again.",
        "The correction of a bin is the mean, over its bands, of wanted / found.",
        "`spread.T @ (mel / (filters @ power))` are the factors; the root comes last.",
    ),
    parts={
        "mel power": "It should be near the mel power that was given: see how the power of a bin "
        "is corrected in each of the 30 steps, by the mean of wanted / found over its bands; the "
        "magnitude is the root of the power.",
        "frames are silent": "In silence found is 0: keep the divisor away from it, "
        "`.clamp(min=1e-20)`.",
        "the magnitude": "(batch, bins, frames). `spread`, the share that each band has in a bin, "
        "is the filters divided by their sum over the bands; the start is `spread.T` times the mel "
        "power, each band divided by the sum of its filter; then 30 steps, and the root.",
    },
)

_paused = _spectrum.abs() * (torch.arange(20) - 10.5).abs().ge(5)  # silent in its middle columns

griffin_lim = piece(
    "03-griffin-lim",
    lambda fn: {
        "the sound of the first phases, after 0 steps,": fn(_paused.clone(), steps=0),
        "the sound after 1 step": fn(_paused.clone(), steps=1),
        "the sound after 4 steps": fn(_paused.clone(), steps=4),
        "the sound after 4 steps without momentum": fn(_paused.clone(), steps=4, momentum=0),
        "the sound if nothing is said of steps and momentum": fn(_paused[:, :, :7]),
    },
    (
        "torch.polar(magnitude, (found + momentum * (found - before)).angle())",
        "magnitude * (a := found + momentum * (found - before)) / a.abs()",
        "in silence |t| is 0, and 0 / 0 is not a number: take the `.angle()`, with `torch.polar`.",
    ),
    (
        "before = found",
        "before = found + momentum * (found - before)",
        "what the next step compares with is the spectrum *found*, without the momentum: "
        "before = found.",
    ),
    (
        "momentum * (found - before)",
        "0 * (found - before)",
        "this is plain Griffin-Lim; the fast one goes on by `momentum` in the direction of the "
        "last step.",
    ),
    (
        "found + momentum",
        "found - momentum",
        "the momentum points backwards: the change since the last step is *added*.",
    ),
    (
        "torch.polar(magnitude, (found + momentum * (found - before)).angle())",
        "found + momentum * (found - before)",
        "the magnitude is never put back: keep the phases found, and give them the magnitude "
        "wanted.",
    ),
    ("range(steps)", "range(steps - 1)", "one step is missing."),
    ("range(steps)", "range(0)", "the steps are missing: this is the sound of random phases."),
    (
        "spectrum = torch.polar(magnitude, phase.expand_as(magnitude))",
        "spectrum = magnitude + 0j",
        "the start has phase 0 everywhere: every frame begins with a click; draw phases at random "
        "(seed 0).",
    ),
    (
        "2 * math.pi * torch.rand",
        "torch.rand",
        "the phases are drawn from 0 to 1; a whole turn is 2 pi.",
    ),
    hints=(
        "To the sound and back: `stft(istft(spectrum))` is a spectrum that a sound has.",
        "Keep its phase, put the magnitude back: `torch.polar(magnitude, found.angle())`.",
        "Fast: the phase of found + momentum * (found - before).",
    ),
    parts={
        "after 0 steps": "At first the phases are random, from 0 to 2 pi, by a generator with seed "
        "0; drawn once, (bins, frames), for all items of the batch. Then `istft`.",
        "after 1 step": "The first phases are right. A step: `stft(istft(spectrum))`, the angle of "
        "that, and the magnitude wanted with it (`torch.polar(magnitude, angle)`).",
        "after 4 steps": "The first step is right. From the second on the momentum counts: the "
        "angle of found + momentum * (found - before); `before` is what the step before found.",
        "nothing is said": "32 steps and a momentum of 0.99 are usual.",
    },
)

PIECES = {
    "01-level": level,
    "02-stft": stft,
    "02-mel-filters": mel_filters,
    "02-log-mel": log_mel,
    "03-istft": istft,
    "03-mel-to-linear": mel_to_linear,
    "03-griffin-lim": griffin_lim,
}
