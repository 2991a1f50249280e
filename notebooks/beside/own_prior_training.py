"""The training of her prior: codes of her codec, a word to each row, and the price going down.

The one idea: it is the training of notebook 06 with other rows and another loss, the mean of
-ln p, so `own_process` runs it in the same way, beside whatever else she does. The weights lie in
`my_codec.prior.npz`, with the words' names and the fingerprint of the codec that the codes are of;
codes of another codec, or of the same one after more training, mean something else.

Notebook: 12
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from IPython.display import display
from torch import Tensor, nn
from vqlab.lessons.own_process import Steps, Training, device, keep
from vqlab.lessons.own_training import UNUSABLE, clips_of, seen, trained

from vqlab.datasets.items import Dataset
from vqlab.files import bundled, write_whole
from vqlab.lessons.guesses import Answer
from vqlab.lessons.own_file import program
from vqlab.lessons.own_pieces import own


@torch.no_grad()
def coded(own_codec: ModuleType, codec: Any, clips: Dataset) -> Tensor:
    """Codes of clips, int64 (versions, clips, STAGES, positions).

    Each clip is coded STRIDE times, from a frame later each time: other codes for the same sound.
    """
    mels = seen(own_codec, clips)
    versions = [mels.roll(-frames, dims=-1) for frames in range(own_codec.STRIDE)]
    codec.eval()
    return torch.stack([torch.cat([codec(part)[1] for part in v.split(50)]) for v in versions])


def train(
    prior: nn.Module, codes: Tensor, word: Tensor, steps: int, *, batch: int = 32
) -> Iterator[float]:
    """Train on random rows, moved in time; yields the loss of every step, in bits a code.

    codes : int64 (versions, clips, STAGES, positions)
    word : int64 (clips,), the number of each clip's word; one in ten is hidden from the prior
    """
    highest, any_word = 3e-3, prior.word.num_embeddings - 1  # type: ignore
    optimizer = torch.optim.AdamW(prior.parameters(), lr=highest, weight_decay=0.1)
    prior.train()
    for step in range(steps):
        warm_up, fall = min(1, (step + 1) / 50), (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.param_groups[0]["lr"] = highest * warm_up * fall
        rows = torch.randint(codes.shape[1], (batch,))
        given = word[rows].where(torch.rand(batch, device=word.device) > 0.1, any_word)
        moved = codes[int(torch.randint(len(codes), ())), rows].roll(
            int(torch.randint(-5, 6, ())), dims=-1
        )
        loss = -prior(moved, given).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(prior.parameters(), 1.0)
        optimizer.step()
        yield loss.item() / math.log(2)
    prior.eval()


@dataclass(frozen=True)
class Learner:
    """A prior before its training, what trains it, what saves it, and the codec it is of."""

    prior: nn.Module
    train: Steps
    save: Callable[[nn.Module, Path], None]
    words: list[str]
    mark: bytes
    data: str


def learner(data: str | None) -> Learner:
    """Her prior, to learn the codes of her codec, or of ours until hers has learned."""
    module, codec = trained()
    mark = module.fingerprint(codec)
    name, clips = clips_of(data)
    words = sorted(set(clips.labels))
    codes = coded(module, codec, clips).to(device())
    rows = torch.tensor([words.index(label) for label in clips.labels]).to(device())
    torch.manual_seed(0)  # so that 800 steps give what ships, but for rounding
    return Learner(
        prior=own().Prior(len(words), codes.shape[-1]).to(device()),
        train=lambda model, steps: train(model, codes, rows, steps),
        save=lambda whole, path: save(whole, path, words, mark),
        words=words,
        mark=mark,
        data=name,
    )


def main(until: float, data: str) -> None:
    """The process: train her prior, keep versions, write down how it stands."""
    now, new = Training("prior"), learner(data)
    going_on = now.place(".now.npz")
    if going_on.exists():
        try:
            known, words, mark = load(own(), going_on)
            if (words, mark) != (new.words, new.mark):  # another codec, or hers has learned since
                going_on.unlink()
            else:
                new.prior.load_state_dict(known.state_dict())
        except UNUSABLE:
            going_on.unlink()
    learning = new.prior, new.train
    keep(now, learning=learning, until=until, data=new.data, save=new.save)


def save(prior: nn.Module, path: Path, words: Sequence[str], mark: bytes) -> None:
    """Write the weights as 16-bit numbers, with the words' names and the codec's fingerprint."""
    arrays = {name: x.numpy().astype(np.float16) for name, x in prior.state_dict().items()}
    about = {"words": np.array(words), "codec": np.frombuffer(mark, np.uint8)}
    file = io.BytesIO()
    np.savez(file, **about, **arrays)  # type: ignore
    write_whole(path, file.getvalue())


def load(own_codec: ModuleType, path: Path) -> tuple[nn.Module, list[str], bytes]:
    """What `save` wrote: the prior, the words' names, the fingerprint of its codec.

    Raises RuntimeError for weights of another Prior than hers now.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    words, mark = arrays.pop("words").tolist(), arrays.pop("codec").tobytes()
    positions = len(arrays.get("place.weight", ()))
    prior = own_codec.Prior(len(words), positions)
    prior.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
    return prior.eval(), words, mark


def trained_prior() -> tuple[ModuleType, nn.Module, nn.Module, list[str]]:
    """Her prior's newest version and the codec it knows, or ours of 800 steps. Says which.

    Returns a module with all pieces, the codec, the prior and the names of its words.
    """
    now, own_codec = Training("prior"), own()
    said = "Our prior, which learned in 800 steps, until yours has a version."
    if now.place(".npz").exists():
        said = "Our prior: the weights of yours are damaged, or of other pieces than you have now."
        try:
            prior, words, mark = load(own_codec, now.place(".npz"))
            for codec in codecs(own_codec):
                if own_codec.fingerprint(codec) == mark:
                    display(Answer(f"Your prior, {now.state.get('minutes', 0):.0f} min old."))
                    return own_codec, codec, prior, words
            said = "Our prior: the version of your codec that yours has learned is not kept."
        except UNUSABLE:
            pass
    display(Answer(said))
    ours = program({})
    codec = ours.load_codec(bundled("weights", "own", "my_codec.npz"))
    prior, words, _ = load(ours, bundled("weights", "own", "my_prior.npz"))
    return ours, codec, prior, words


def codecs(own_codec: ModuleType) -> Iterator[nn.Module]:
    """The versions of her codec that are kept, the newest first, and ours."""
    now = Training()
    for path in (now.place(".npz"), *reversed(now.kept().values())):
        if path.exists():
            yield own_codec.load_codec(path)
    yield program({}).load_codec(bundled("weights", "own", "my_codec.npz"))
