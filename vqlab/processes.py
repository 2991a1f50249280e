"""Several processes that train one model together, one on each GPU or machine.

`torchrun` and `accelerate launch` start the same command several times and number the copies, the
*ranks*, in environment variables. The one idea (Li et al. 2020, "PyTorch Distributed: Experiences
on Accelerating Data Parallel Training"): every rank holds the whole model and computes on its part
of each batch; what a step learns from the batch as a whole is added up over the ranks, so that all
of them take the same step. Here that includes what quantisers count and average.

With one process every function returns what it was given, without any communication. With several,
each function that says "of all ranks" must be called by all of them, in the same order.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

Value = TypeVar("Value", bool, int, float, Tensor)


@dataclass(frozen=True)
class _Place:
    """Which of how many processes this is; `local` counts on this machine alone."""

    rank: int = 0
    size: int = 1
    local: int = 0


_place = _Place()


def start() -> None:
    """Join the other processes that a launcher started; alone, do nothing.

    Tensors on the CPU go through gloo, those on NVIDIA GPUs through NCCL; "cuda" then means this
    process's own GPU.
    """
    global _place
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1 or "RANK" not in os.environ or _place.size > 1:
        return
    rank, local = int(os.environ["RANK"]), int(os.environ.get("LOCAL_RANK", "0"))
    if local < torch.cuda.device_count():
        torch.cuda.set_device(local)
    if not dist.is_initialized():
        dist.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo")
    _place = _Place(rank, size, local)


def stop() -> None:
    """Leave the other processes, at the end of the command."""
    global _place
    if _place.size > 1:
        dist.destroy_process_group()
        gc.collect()  # ends gloo's threads now: at the exit of Python they may abort it
    _place = _Place()


def rank() -> int:
    """Number of this process, from 0."""
    return _place.rank


def world_size() -> int:
    """How many processes there are."""
    return _place.size


def is_main() -> bool:
    """Whether this is the process that writes files and prints: rank 0."""
    return _place.rank == 0


def barrier() -> None:
    """Wait until every rank has come here."""
    sum_over_ranks(torch.zeros(1))  # unlike dist.barrier, it never needs a GPU


def default_device() -> torch.device:
    """The fastest device at hand: a GPU (CUDA, Apple's MPS, …), or the CPU."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found or torch.device("cpu")


def usable_device(name: str | torch.device | None) -> torch.device:
    """The device of that name (None: the fastest). Raises `ValueError` if it is not here."""
    try:
        device = default_device() if name is None else torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):  # torch raises one or another
        raise ValueError(
            f"the device {str(name)!r} is not here: leave it out for the fastest, "
            f"{str(default_device())!r}"
        ) from None
    here = torch.cuda.device_count()
    if device.type == "cuda" and _place.local >= here:
        raise ValueError(
            f"process {_place.local} of this machine has no GPU, there are {here}: start at most "
            f"{here}"
        )
    return device


@contextmanager
def alone() -> Iterator[None]:
    """Within it, this process computes as if it were the only one; it keeps its number."""
    global _place
    before, _place = _place, replace(_place, size=1)
    try:
        yield
    finally:
        _place = before


# Sums and copies


def sum_over_ranks(tensor: Tensor) -> Tensor:
    """The sum of the tensors of all ranks, equal to the last bit on each; no gradient."""
    if _place.size == 1:
        return tensor
    total = tensor.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total


def mean_over_ranks(tensor: Tensor, weight: float) -> Tensor:
    """The mean of all ranks' tensors, of which this one counts `weight`; together they are 1."""
    return tensor if _place.size == 1 else sum_over_ranks(tensor * weight)


def from_main(value: Value) -> Value:
    """Rank 0's value of a tensor (of one shape and type on all ranks) or number, on all ranks."""
    if _place.size == 1:
        return value
    if isinstance(value, Tensor):
        copy = value.detach().clone(memory_format=torch.contiguous_format)
        dist.broadcast(copy, src=0)
        return copy
    return type(value)(from_main(torch.tensor(float(value), dtype=torch.float64)).item())


@torch.no_grad()
def copy_from_main(module: nn.Module) -> None:
    """Give `module` rank 0's weights and buffers, on all ranks."""
    if _place.size > 1:
        for tensor in module.state_dict().values():
            tensor.copy_(from_main(tensor))


def copy_random_state() -> None:
    """Give all ranks rank 0's random state."""
    if _place.size > 1:
        torch.set_rng_state(from_main(torch.get_rng_state()))
        if torch.cuda.is_available():
            torch.cuda.set_rng_state(from_main(torch.cuda.get_rng_state()))


def sum_gradients(parameters: Iterable[nn.Parameter], weight: float) -> None:
    """Replace each gradient by the sum, over all ranks, of `weight` times theirs.

    A parameter without a gradient on every rank keeps none; on some, theirs counts as 0.
    """
    if _place.size == 1:
        return
    learned = [p for p in parameters if p.requires_grad]
    given = [p.grad is not None for p in learned]
    flat = [torch.zeros_like(p) if p.grad is None else p.grad for p in learned]
    # One tensor of everything: one round over the network instead of one for each parameter.
    parts = [g.reshape(-1).float() * weight for g in flat]
    total = sum_over_ranks(torch.cat([*parts, torch.tensor(given, device=parts[0].device)]))
    anyone = total[-len(learned) :].tolist()
    pieces = total[: -len(learned)].split([p.numel() for p in learned])
    for p, piece, some in zip(learned, pieces, anyone, strict=True):
        p.grad = piece.view_as(p).to(p.dtype) if some else None


# Ends


def agreed(interrupted: bool, seconds: float) -> tuple[bool, float]:
    """Whether any rank was interrupted, and rank 0's time: all go on, or stop, together."""
    told = torch.tensor([interrupted, seconds * is_main()], dtype=torch.float64)
    anyone, agreed = sum_over_ranks(told).tolist()
    return anyone > 0, agreed


class Interrupts:
    """Notes the first ctrl-C, so that the step in hand can end; a second acts at once."""

    def __init__(self) -> None:
        self.seen = False
        self.before = signal.getsignal(signal.SIGINT)
        main = threading.current_thread() is threading.main_thread()  # others may set no handler
        self.ours = main and self.before is signal.default_int_handler
        if self.ours:
            signal.signal(signal.SIGINT, self._note)

    def _note(self, *_: object) -> None:
        self.seen = True
        if _place.size == 1:  # several must end together, at the step's end
            self.end()

    def end(self) -> None:
        """Leave ctrl-C to whoever had it before."""
        if self.ours:
            signal.signal(signal.SIGINT, self.before)

    def call_on_main(self, act: Callable[[Any], None], argument: Any) -> None:
        """Call `act` on rank 0; if that is interrupted, all have seen it (one process raises it).

        Random states follow rank 0's.
        """
        if _place.size == 1:
            act(argument)
            return
        interrupted = False
        if is_main():
            try:
                act(argument)
            except KeyboardInterrupt:
                interrupted = True
        copy_random_state()
        self.seen = from_main(interrupted) or self.seen


# Rows: the batch is cut along its first axis, rank 0 has the first rows, and so on


def part(n: int) -> slice:
    """Which of the n rows of a batch are this rank's: parts in a row, equal to within one."""
    rank = _place.rank % _place.size  # 0 within `alone`
    return slice(n * rank // _place.size, n * (rank + 1) // _place.size)


def share(n: int) -> tuple[int, int]:
    """Where the n rows of this rank begin among the rows of all ranks, and how many all have."""
    if _place.size == 1:
        return 0, n
    counts = torch.zeros(_place.size, dtype=torch.int64)
    counts[_place.rank] = n
    counts = sum_over_ranks(counts)
    return int(counts[: _place.rank].sum()), int(counts.sum())


def gather_rows(rows: Tensor) -> Tensor:
    """The rows (n, …) of all ranks, in rank order; n may differ and be 0."""
    if _place.size == 1:
        return rows
    first, total = share(len(rows))
    every = rows.new_zeros(total, *rows.shape[1:])
    every[first : first + len(rows)] = rows.detach()
    return sum_over_ranks(every)  # a number and zeros: exact


def draw_rows(rows: Tensor, most: int) -> Tensor:
    """Up to `most` different rows, drawn at random from the rows (n, …) of all ranks.

    The same on each rank, if their random states are; the one process would draw the same.
    """
    first, total = share(len(rows))
    index = torch.randperm(total, device=rows.device)[:most]
    if _place.size == 1:
        return rows[index]
    mine = (index >= first) & (index < first + len(rows))
    drawn = rows.new_zeros(len(index), *rows.shape[1:])
    drawn[mine] = rows[index[mine] - first].detach()
    return sum_over_ranks(drawn)
