"""What an experiment's file may say: every key, its type and its limits.

The one idea: a mistake is found before anything is trained, and named with file and line. A key
that is not here is refused, so a misspelt one cannot be passed over in silence; every key that is
here is read. `reading` turns a file into these models, which are pydantic's.
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field


def _listed(value: Any) -> Any:
    """One number or name stands for a list of one."""
    return [value] if isinstance(value, int | str) and not isinstance(value, bool) else value


Count = Annotated[int, Field(ge=1, le=10_000_000)]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, lt=math.inf)]
Names = Annotated[list[str], BeforeValidator(_listed), Field(min_length=1)]
Dims = Annotated[
    list[Annotated[int, Field(ge=1, le=4096)]], BeforeValidator(_listed), Field(min_length=1)
]
Codes = Annotated[
    list[Annotated[int, Field(ge=2, le=65_536)]], BeforeValidator(_listed), Field(min_length=1)
]
Stages = Annotated[
    list[Annotated[int, Field(ge=1, le=64)]], BeforeValidator(_listed), Field(min_length=1)
]
Seeds = Annotated[
    list[Annotated[int, Field(ge=0, le=2**31)]], BeforeValidator(_listed), Field(min_length=1)
]


def _countable(levels: list[int]) -> list[int]:
    if math.prod(levels) > 65_536:
        raise ValueError(f"the levels {levels} make {math.prod(levels):,} codes, at most 65,536")
    return levels


Levels = Annotated[
    list[Annotated[int, Field(ge=2, le=1000)]], Field(min_length=1), AfterValidator(_countable)
]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _Set(_Section):
    """root: folder of the files. train, validation, test: at most so many items of each split."""

    root: str | None = None
    train: Count | None = None
    validation: Count | None = None
    test: Count | None = None


class PictureSet(_Set):
    """binarise: values from 0.5 up become 1, the rest 0 (MNIST, as in the thesis)."""

    name: Literal["mnist", "digits", "cifar10", "patches"]
    binarise: bool = False


class WordSet(_Set):
    """words: which; null for all. A clip is padded or cropped around its word."""

    name: Literal["words", "speech_commands"]
    words: Names | None = None


class NoteSet(_Set):
    """families, sources: which kinds of instrument; null for all. Notes are cut into segments."""

    name: Literal["nsynth", "notes"]
    families: Names | None = None
    sources: Names | None = None


class RecordingSet(_Set):
    """Recordings of any length, cut into segments."""

    name: Literal["librispeech", "folder"]


class _Spectrogram(_Section):
    """n_fft, hop_length in samples; frames: width of a picture, which sets the segment's length.

    skip_rms: segments with a root mean square up to this are no use and are left out.
    """

    n_fft: Count = 1024
    hop_length: Count = 128
    frames: Count = 512
    skip_rms: Share = 0.01


class Stft(_Spectrogram):
    """Decibels of every frequency bin but the top one."""

    kind: Literal["stft"]


class LogMel(_Spectrogram):
    """Decibels of n_mels mel bands."""

    kind: Literal["log_mel"]
    n_mels: Count = 80


class PictureNetwork(_Section):
    """Convolutions along both axes of a picture, with so many units (the thesis's model)."""

    kind: Literal["pictures"]
    units: Count = 256


class FrameNetwork(_Section):
    """Convolutions along time; a spectrogram's rows are channels. stride: frames a position."""

    kind: Literal["frames"]
    width: Count = 256
    stride: Count = 4
    encoder_blocks: Count = 2
    decoder_blocks: Count = 4


class _Bottleneck(_Section):
    """label: goes into the runs' names. seeds: instead of the training's.

    loss: of a reconstruction, squared error "sum"med over an item or its "mean" over all values;
    the bottleneck's own loss is added. beta, decay, start, restart_below: see
    `vqlab.quantize.VectorQuantizer`.
    """

    label: Name | None = None
    seeds: Seeds | None = None


class Ae(_Bottleneck):
    """Autoencoder: D numbers a position."""

    kind: Literal["ae"]
    D: Dims
    loss: Literal["sum", "mean"] = "sum"


class Vae(_Bottleneck):
    """Variational autoencoder; beta weighs the divergence."""

    kind: Literal["vae"]
    D: Dims
    beta: Annotated[float, Field(ge=0, lt=math.inf)] = 1.0
    loss: Literal["sum", "mean"] = "sum"


class Vq(_Bottleneck):
    """Vector quantiser with K codes of D numbers."""

    kind: Literal["vq"]
    D: Dims
    K: Codes
    beta: Annotated[float, Field(ge=0, lt=math.inf)] = 0.25
    decay: Share | None = 0.99
    start: Literal["uniform", "kmeans"] = "uniform"
    restart_below: Share = 0.0
    loss: Literal["sum", "mean"] = "mean"


class Rvq(Vq):
    """Residual quantiser: so many stages of K codes."""

    kind: Literal["rvq"]  # type: ignore[assignment]
    stages: Stages


class Fsq(_Bottleneck):
    """Finite scalar quantiser: a list of levels for each run, or one such list."""

    kind: Literal["fsq"]
    levels: Annotated[
        list[Levels],
        BeforeValidator(lambda v: [v] if isinstance(v, list) and _plain(v) else v),
        Field(min_length=1),
    ]
    loss: Literal["sum", "mean"] = "mean"


def _plain(values: list) -> bool:
    return bool(values) and not any(isinstance(value, list) for value in values)


class Training(_Section):
    """batch: items a step, over all processes together. Adam, with a rate that stays the same."""

    epochs: Count
    batch: Count = 16
    learning_rate: Positive = 2e-4
    seeds: Seeds = [0]


class Sound(_Section):
    """The way back to a waveform. scored: so many test items are made heard and measured."""

    inversion: Literal["gradient", "griffin_lim"] = "griffin_lim"
    iterations: Annotated[int, Field(ge=0, le=100_000)] = 32
    scored: Count | None = None


class Grid(_Section):
    """A whole file. A grid with one value in each list is one run."""

    name: Name
    dataset: Annotated[PictureSet | WordSet | NoteSet | RecordingSet, Field(discriminator="name")]
    spectrogram: Annotated[Stft | LogMel, Field(discriminator="kind")] | None = None
    network: Annotated[PictureNetwork | FrameNetwork, Field(discriminator="kind")]
    bottlenecks: Annotated[
        list[Annotated[Ae | Vae | Vq | Rvq | Fsq, Field(discriminator="kind")]],
        Field(min_length=1),
    ]
    training: Training
    sound: Sound | None = None


TAGGED = (
    PictureSet, WordSet, NoteSet, RecordingSet, Stft, LogMel, PictureNetwork, FrameNetwork,
    Ae, Vae, Vq, Rvq, Fsq,
)  # fmt: skip
"""The sections that come in several forms, told apart by `name` or `kind`."""
