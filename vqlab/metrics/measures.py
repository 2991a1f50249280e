"""How near one decoded clip is to its original: STOI, ESTOI, PESQ and the log-mel distance.

The one idea: a figure counts only if somebody else can get it again. So these are the published
measures with every setting fixed here, and where one of them is undefined (too little speech in
the clip) the value is None, never the number that its library gives back in that case.

STOI and ESTOI (0 to 1) estimate how much can be understood: short-time objective intelligibility
(Taal et al. 2011) and its extended form (Jensen & Taal 2016). PESQ (about 1 to 4.6) estimates how
good it sounds: ITU-T P.862.2 in wide band (16 kHz, "wb") and P.862.1 in narrow band (8 kHz, "nb").
The log-mel distance (dB, 0 is best) is the mean difference between two pictures of the sound.
People use these through `vqlab.metrics`.

Notebook: 07
"""

from __future__ import annotations

import importlib
import warnings
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import audio, spectral

METRICS = ("stoi", "estoi", "pesq_wb", "pesq_nb", "log_mel_db")
LOG_MEL = spectral.MelConfig(sample_rate=16000, n_fft=1024, hop_length=256, n_mels=80)
RANGE_DB = 80.0  # what lies further under the original's maximum counts as equally silent
LONGEST_PESQ = 20.0  # seconds; the pesq library crashes on more than 50 utterances, see _pesq


def log_mel_distance(original: Any, decoded: Any, sample_rate: int = 16000) -> float | None:
    """Mean absolute difference of two 80-band log mel power spectrograms, in dB.

    At 16 kHz, n_fft 1024, hop 256, Slaney bands from 0 to 8 kHz, zeros beyond both ends: the
    spectrogram of librosa with these settings. Both are raised to 80 dB under the original's
    maximum, so that differences between two kinds of near silence do not count. A wrong level is
    not forgiven: half the amplitude costs 6.02 dB where the sound is not on the floor.

    original, decoded : (samples,), in [-1, 1]
    returns           : dB, or None for a silent original
    """
    original, decoded = _pair(original, decoded, sample_rate, wanted=16000)
    if not original.any():
        return None
    # Four hops of zeros at both ends, whose frames are dropped again, put zeros where the
    # centred STFT would mirror the sound.
    margin = LOG_MEL.n_fft // LOG_MEL.hop_length
    both = F.pad(torch.stack([original, decoded]), (LOG_MEL.n_fft, LOG_MEL.n_fft))
    frames = original.shape[-1] // LOG_MEL.hop_length + 1
    power = spectral.mel(both, LOG_MEL)[..., margin : margin + frames]  # (2, n_mels, frames)
    floor = float(power[0].max()) * 10 ** (-RANGE_DB / 10)
    db = 10 * power.clamp(min=floor).log10()
    return float((db[0] - db[1]).abs().mean())


def stoi(original: Any, decoded: Any, sample_rate: int = 16000) -> float | None:
    """Short-time objective intelligibility (Taal et al. 2011), computed by pystoi.

    original, decoded : (samples,), in [-1, 1]
    returns           : 0 (not to be understood) to 1, or None where the original holds fewer than
                        30 frames of speech (0.4 s)

    Raises ImportError without pystoi.
    """
    return _stoi(original, decoded, sample_rate, extended=False)


def estoi(original: Any, decoded: Any, sample_rate: int = 16000) -> float | None:
    """Extended STOI (Jensen & Taal 2016): stricter, and fit for noise that comes and goes.

    Arguments, None and errors as for `stoi`.
    """
    return _stoi(original, decoded, sample_rate, extended=True)


def pesq_wb(original: Any, decoded: Any, sample_rate: int = 16000) -> float | None:
    """PESQ in wide band (ITU-T P.862.2) at 16 kHz, computed by the library pesq.

    original, decoded : (samples,), in [-1, 1]
    returns           : about 1 (bad) to 4.64, or None where PESQ finds no speech (no "utterance")
                        in the original, the sound is under a quarter of a second, or the decoded
                        sound is digital silence

    Raises ImportError without pesq, ValueError for more than 20 s.
    """
    return _pesq(original, decoded, sample_rate, 16000, "wb")


def pesq_nb(original: Any, decoded: Any, sample_rate: int = 16000) -> float | None:
    """PESQ in narrow band (ITU-T P.862.1): both sounds are first resampled to 8 kHz.

    Blind to what lies above 4 kHz, so that telephone-band codecs can be compared. The best is
    4.55. Arguments, None and errors as for `pesq_wb`.
    """
    return _pesq(original, decoded, sample_rate, 8000, "nb")


def score(original: Any, decoded: Any, sample_rate: int = 16000) -> dict[str, float | None]:
    """All measures of one clip.

    original, decoded : (samples,), in [-1, 1], equally long
    returns           : stoi, estoi, pesq_wb, pesq_nb, log_mel_db; None where undefined, also PESQ
                        for clips over 20 s (with a warning)

    Raises ImportError where pystoi or pesq is missing, ValueError for sounds that do not match.
    """
    scores = {
        "stoi": stoi(original, decoded, sample_rate),
        "estoi": estoi(original, decoded, sample_rate),
    }
    seconds = len(original) / sample_rate
    if seconds > LONGEST_PESQ:
        warnings.warn(
            f"PESQ is left out: the clip lasts {seconds:.1f} s, and the library crashes on long "
            f"recordings. Score pieces of up to {LONGEST_PESQ:g} s to get it.",
            stacklevel=2,
        )
        scores |= {"pesq_wb": None, "pesq_nb": None}
    else:
        scores["pesq_wb"] = pesq_wb(original, decoded, sample_rate)
        scores["pesq_nb"] = pesq_nb(original, decoded, sample_rate)
    return scores | {"log_mel_db": log_mel_distance(original, decoded, sample_rate)}


@torch.no_grad()
def spectral_convergence(
    estimate: Tensor, target_magnitude: Tensor, config: spectral.MelConfig
) -> float:
    """Relative error of a waveform's magnitude, norm(|STFT| - target) / norm(target); 0 is perfect.

    For a batch, the mean over its sounds (those with a silent target are left out).

    estimate         : waveform (..., samples)
    target_magnitude : Tensor (..., bins, frames)
    """
    magnitude = spectral.stft(estimate, config).abs()
    if magnitude.shape != target_magnitude.shape:
        raise ValueError(
            f"The waveform has a spectrogram of shape {tuple(magnitude.shape)}, the target "
            f"{tuple(target_magnitude.shape)}; give both the same length and configuration."
        )
    error = (magnitude - target_magnitude).flatten(-2).norm(dim=-1)
    size = target_magnitude.flatten(-2).norm(dim=-1)
    return float((error / size)[size > 0].mean())


def _pair(
    original: Any, decoded: Any, sample_rate: int, wanted: int | None = None
) -> tuple[Tensor, Tensor]:
    """Both sounds as float32 (samples,), checked to match, at the wanted sample rate if given."""
    pair = []
    for name, value in (("original", original), ("decoded", decoded)):
        pair.append(audio.one_sound(value, f"the {name} sound").float())
    if len(pair[0]) != len(pair[1]):
        raise ValueError(
            f"The original has {len(pair[0])} samples, the decoded sound {len(pair[1])}; they "
            "must be equally long and aligned. Remove the codec's delay and cut it to the clip."
        )
    if wanted is not None and wanted != sample_rate:
        pair = [audio.resample(sound, sample_rate, wanted) for sound in pair]
    return pair[0], pair[1]


def _stoi(original: Any, decoded: Any, sample_rate: int, extended: bool) -> float | None:
    pystoi = _library("pystoi", "STOI")
    x, y = _pair(original, decoded, sample_rate)
    # 30 frames, 12.8 ms apart, are needed; pystoi fails on sounds shorter than one frame.
    if not x.any() or len(x) / sample_rate < 30 * 0.0128:
        return None
    with warnings.catch_warnings():
        # Below 30 frames of speech pystoi warns and returns 1e-5. Any codec can have that value
        # in earnest, so the warning decides.
        warnings.filterwarnings("error", message="Not enough STFT frames", category=RuntimeWarning)
        try:
            return float(pystoi.stoi(x.numpy(), y.numpy(), sample_rate, extended=extended))
        except RuntimeWarning:
            return None


def _pesq(original: Any, decoded: Any, sample_rate: int, wanted: int, mode: str) -> float | None:
    library = _library("pesq", "PESQ")
    x, y = _pair(original, decoded, sample_rate, wanted)
    if len(x) > LONGEST_PESQ * wanted:
        # The C code has room for 50 utterances and writes past it, which ends the whole process.
        # An utterance with its pause lasts over 0.4 s, so 20 s cannot hold more than 50.
        raise ValueError(
            f"PESQ takes clips of up to {LONGEST_PESQ:g} s, not {len(x) / wanted:.1f} s: the "
            "library crashes on long recordings. Score the recording in pieces."
        )
    if not x.any() or not y.any():
        return None
    try:
        return float(library.pesq(wanted, x.numpy(), y.numpy(), mode))
    except (library.NoUtterancesError, library.BufferTooShortError):
        return None


def _library(name: str, measure: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{measure} needs the library {name}, which is not installed: pip install {name}"
        ) from error
