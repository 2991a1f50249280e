"""Training: the loop, its losses and batches, and the folder that a run leaves."""

from .batches import evaluate, shift_and_gain
from .fitting import default_device, fit, join, usable_device
from .levelled import levelled
from .losses import loud_mel_loss, mel_loss
from .runs import Run, copy_state
