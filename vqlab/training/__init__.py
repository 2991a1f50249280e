"""Training: the loop, its losses and batches, and the folder that a run leaves."""

from .batches import evaluate
from .fitting import (
    default_device,
    fit,
    join,
    loud_mel_loss,
    mel_loss,
    shift_and_gain,
    usable_device,
)
from .levelled import levelled
from .runs import Run, copy_state
