"""Training: the loop, its losses and batches, and the folder that a run leaves."""

from ..datasets.levelled import join, levelled
from ..processes import default_device, usable_device
from .batches import evaluate, shift_and_gain
from .fitting import fit
from .losses import loud_mel_loss, mel_loss
from .runs import Run, copy_state
