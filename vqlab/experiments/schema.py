"""What an experiment's file may say: every key, its type and its limits.

The one idea: a mistake is found before anything is trained, and named with file and line. A key
that is not here is refused, so a misspelt one cannot be passed over in silence; every key that is
here is read. `reading` turns a file into these models, which are pydantic's.
"""

from __future__ import annotations

import math
import typing
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from ..codec.file import MOST_CODES


def _listed(value: Any) -> Any:
    """One number or name stands for a list of one."""
    one = isinstance(value, int | str) and not isinstance(value, bool)
    return [value] if one else value


def _countable(levels: list[int]) -> list[int]:
    if math.prod(levels) > MOST_CODES:
        raise ValueError(
            f"the levels {levels} make {math.prod(levels):,} codes, at most {MOST_CODES:,}"
        )
    return levels


def _levels(value: Any) -> Any:
    """One list of levels stands for a list of one."""
    plain = isinstance(value, list) and not any(isinstance(each, list) for each in value)
    return [value] if plain and value else value


T = TypeVar("T")
Several = Annotated[list[T], BeforeValidator(_listed), Field(min_length=1)]

Count = Annotated[int, Field(ge=1, le=10_000_000)]
Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[float, Field(gt=0, lt=math.inf)]
Weight = Annotated[float, Field(ge=0, lt=math.inf)]
Names = Several[str]
Seeds = Several[Annotated[int, Field(ge=0, le=2**31)]]
Levels = Annotated[
    list[Annotated[int, Field(ge=2, le=1000)]], Field(min_length=1), AfterValidator(_countable)
]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=80)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _Set(_Section):
    """root: folder of the files. train, validation, test: so many items of each; null for all.

    allow_fewer: where a split has fewer, what there is will do.
    """

    root: str | None = None
    train: Count | None = None
    validation: Count | None = None
    test: Count | None = None
    allow_fewer: bool = False


class PictureSet(_Set):
    """binarise: values from 0.5 up become 1, the rest 0. size: 28 for MNIST without its margin."""

    name: Literal["mnist", "digits", "cifar10", "patches"]
    binarise: bool = False
    size: Literal[28, 32] = 32


class WordSet(_Set):
    """words: which; null for all. A clip is padded or cropped around its word."""

    name: Literal["words", "speech_commands", "mini_speech_commands"]
    words: Names | None = None


class NoteSet(_Set):
    """families, sources: which kinds of instrument; null for all. Notes are cut into segments."""

    name: Literal["nsynth", "notes"]
    families: Names | None = None
    sources: Names | None = None


WITH_WORDS = ("words", "speech_commands", "mini_speech_commands", "folder")
"""Sets of speech whose clips are words; others have sentences."""


class ClipSet(_Set):
    """Seconds of speech from one or several sets, all at one level, for training at `speeds` too.

    words: which, of the sets that have words; null for what each gives by itself.
    """

    name: Literal["clips"]
    of: Names
    words: Names | None = None
    speeds: list[Annotated[float, Field(ge=0.5, le=2)]] = []


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


class MelFrames(_Section):
    """Mel decibels of sound of any length, brought to mean 0 and deviation 1.

    contrast: of the post-filter between decoder and sound (`vqlab.features.sharpen`).
    """

    kind: Literal["mel_frames"]
    n_fft: Count = 512
    hop_length: Count = 160
    n_mels: Count = 80
    contrast: Share = 0.0


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


class SpeechNetwork(_Section):
    """`vqlab.models.speech`, for mel frames and a residual quantiser."""

    kind: Literal["speech"]
    width: Count = 256
    stride: Count = 2
    decoder_blocks: Count = 6


class VariableSpeechNetwork(_Section):
    """`vqlab.models.variable_speech`, whose positions differ in depth."""

    kind: Literal["variable_speech"]
    width: Count = 256
    stride: Count = 4
    encoder_blocks: Count = 3
    decoder_blocks: Count = 8
    fine_blocks: Count = 2


Loss = Literal["sum", "mean", "mel", "loud_mel"]


class _Bottleneck(_Section):
    """label: goes into the runs' names. seeds: instead of the training's.

    loss: of a reconstruction, squared error "sum"med over an item or its "mean" over all values, or
    `vqlab.training.mel_loss` or `loud_mel_loss`; the bottleneck's own loss is added. beta, decay,
    start, restart_below: see `vqlab.quantize.VectorQuantizer`.
    """

    label: Name | None = None
    seeds: Seeds | None = None


class Ae(_Bottleneck):
    """Autoencoder: D numbers a position."""

    kind: Literal["ae"]
    D: Several[Annotated[int, Field(ge=1, le=4096)]]
    loss: Loss = "sum"


class Vae(Ae):
    """Variational autoencoder; beta weighs the divergence."""

    kind: Literal["vae"]  # type: ignore[assignment]
    beta: Weight = 1.0


class Vq(_Bottleneck):
    """Vector quantiser with K codes of D numbers."""

    kind: Literal["vq"]
    D: Several[Annotated[int, Field(ge=1, le=4096)]]
    K: Several[Annotated[int, Field(ge=2, le=MOST_CODES)]]
    beta: Weight = 0.25
    decay: Share | None = 0.99
    start: Literal["uniform", "kmeans"] = "uniform"
    restart_below: Share = 0.0
    loss: Loss = "mean"


class Rvq(Vq):
    """Residual quantiser: so many stages of K codes.

    dropout: how often an item of a batch uses fewer, so that these sound as well.
    """

    kind: Literal["rvq"]  # type: ignore[assignment]
    stages: Several[Annotated[int, Field(ge=1, le=64)]]
    dropout: Annotated[float, Field(ge=0, le=1)] = 0.0


class Fsq(_Bottleneck):
    """Finite scalar quantiser: a list of levels for each run, or one such list."""

    kind: Literal["fsq"]
    levels: Annotated[list[Levels], BeforeValidator(_levels), Field(min_length=1)]
    loss: Loss = "mean"


class Training(_Section):
    """epochs, steps or minutes: how long. batch: items a step, over all processes together.

    Adam: with a rate that stays the same, or, for clips, falls along a cosine. start: a codec whose
    weights these begin with. report_every: steps; null for an epoch.
    """

    epochs: Count | None = None
    steps: Count | None = None
    minutes: Positive | None = None
    start: str | None = None
    report_every: Count | None = None
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
    dataset: Annotated[
        PictureSet | WordSet | NoteSet | ClipSet | RecordingSet, Field(discriminator="name")
    ]
    spectrogram: Annotated[Stft | LogMel | MelFrames, Field(discriminator="kind")] | None = None
    network: Annotated[
        PictureNetwork | FrameNetwork | SpeechNetwork | VariableSpeechNetwork,
        Field(discriminator="kind"),
    ]
    bottlenecks: Annotated[
        list[Annotated[Ae | Vae | Vq | Rvq | Fsq, Field(discriminator="kind")]],
        Field(min_length=1),
    ]
    training: Training
    sound: Sound | None = None


def _tags(section: type[BaseModel]) -> tuple[str, ...]:
    fields = section.model_fields
    return typing.get_args((fields.get("kind") or fields["name"]).annotation)


_TAGGED: list[type[BaseModel]] = [
    PictureSet, WordSet, NoteSet, ClipSet, RecordingSet, Stft, LogMel, MelFrames, PictureNetwork,
    FrameNetwork, SpeechNetwork, VariableSpeechNetwork, Ae, Vae, Vq, Rvq, Fsq,
]  # fmt: skip
SECTIONS: dict[str, type[BaseModel]] = {
    "training": Training,
    "sound": Sound,
    **{tag: section for section in _TAGGED for tag in _tags(section)},
}
"""Each section by its own name, or by the `name` or `kind` that tells it apart."""
