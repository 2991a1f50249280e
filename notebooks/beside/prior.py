"""The learned prior: how probable a row of codes is, and new rows drawn from that.

A codec says nothing about which codes follow which. A prior, a model of p(codes), adds that (van
den Oord et al. 2017, section 4.3): it prices codes in bits, -log2 p, and drawing from it gives
sounds that nobody spoke. The one idea is the chain rule: p of all codes is the product of p of each
code given those before it, position after position, and within a position stage after stage. A
small transformer with a causal mask reads the earlier positions and the word; a small network for
each stage sees what it makes of them and the stages already chosen (the order in which the
RQ-Transformer reads residual codes, Lee et al. 2022).

Notebook: 12
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from tqdm.auto import tqdm

from vqlab.codec import Codec
from vqlab.codec.shipped import load_pretrained
from vqlab.files import bundled, load_tensors, save_tensors

AT_ONCE = 256
"""Rows that `Prior.bits` works on at a time: it bounds the memory and changes no result."""


class Prior(nn.Module):
    """p(codes | word) for the first stages of a codec's codes.

    codebook_sizes : K of each stage that is modelled
    words : the words it can be asked for; None in place of a word means any word
    positions : the longest row it reads in one piece
    codec : identity of the weights that the codes come from, as hexadecimal digits
    trained : what there is to say about the training; saved with the weights
    """

    def __init__(
        self,
        codebook_sizes: Sequence[int],
        words: Sequence[str],
        *,
        positions: int = 25,
        width: int = 128,
        layers: int = 4,
        dropout: float = 0.2,
        codec: str = "",
        trained: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.codebook_sizes, self.words, self.positions = [*codebook_sizes], [*words], positions
        self.options = {"width": width, "layers": layers, "dropout": dropout}
        self.codec, self.trained = codec, trained or {}
        self.word = nn.Embedding(len(words) + 1, width)  # the last one: any word
        self.place = nn.Embedding(positions, width)
        self.code = nn.ModuleList(nn.Embedding(size, width) for size in codebook_sizes)
        for table in (self.word, self.place, *self.code):
            nn.init.normal_(table.weight, std=0.3)
        layer = nn.TransformerEncoderLayer(
            width, max(1, width // 32), 4 * width, dropout, "gelu", batch_first=True,
            norm_first=True,
        )  # fmt: skip
        self.body = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.ModuleList(_head(width, size, dropout) for size in codebook_sizes)
        self.dropout = nn.Dropout(dropout)

    @property
    def device(self) -> torch.device:
        """Where the weights are; codes go there and come back by themselves."""
        return self.word.weight.device

    def forward(self, codes: Tensor, word: Tensor) -> Tensor:
        """ln p of every code given those before it: float32, in the shape of `codes`.

        codes : int64 (batch, stages, positions)
        word : int64 (batch,), the place of each row's word in `words`; len(words) is any word
        """
        h = self._read(codes[..., :-1], word)  # (batch, positions, width)
        prices = []
        for stage, head in enumerate(self.head):
            logits = head(h).transpose(1, 2)  # (batch, K, positions)
            prices.append(-F.cross_entropy(logits, codes[:, stage], reduction="none"))
            h = h + self.code[stage](codes[:, stage])
        return torch.stack(prices, dim=1)

    def _read(self, before: Tensor, word: Tensor) -> Tensor:
        """What is known at each of the positions 0 … n from those before it: (batch, n+1, width).

        before : int64 (batch, stages, n)
        """
        x = torch.stack([table(before[:, i]) for i, table in enumerate(self.code)]).sum(dim=0)
        x = F.pad(x, (0, 0, 1, 0))  # nothing comes before position 0; each sees the one before it
        x = x + self.word(word)[:, None] + self.place.weight[: x.shape[1]]
        mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1], device=x.device)
        return self.body(self.dropout(x), mask=mask, is_causal=True)

    @torch.no_grad()
    def bits(self, codes: Tensor, word: str | None | Sequence[str | None] = None) -> Tensor:
        """Price of each row in bits, -log2 p(codes | word): float64 (batch,).

        codes : int64 (batch, stages, n); a row of more than `positions` is priced in pieces,
            each as if nothing came before it
        word : of all rows, or one for each; None is any word
        Raises ValueError for other stages, codes outside 0 … K-1 (-1 too) and unknown words.
        """
        self._check(codes)
        self.eval()
        numbers, codes = self.word_numbers(word, len(codes)).to(self.device), codes.to(self.device)
        total = torch.zeros(len(codes), dtype=torch.float64)
        for piece in codes.split(self.positions, dim=2):
            parts = zip(piece.split(AT_ONCE), numbers.split(AT_ONCE), strict=True)
            total -= torch.cat([self(c, w).cpu().double().sum((1, 2)) for c, w in parts])
        return total / math.log(2)

    @torch.no_grad()
    def sample(
        self,
        word: str | None = None,
        n: int = 1,
        *,
        positions: int | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        guidance: float = 1.0,
        seed: int = 0,
        start: Tensor | None = None,
    ) -> Tensor:
        """Draw `n` rows of codes for a word (None: any): int64 (n, stages, positions).

        temperature : logits are divided by it; below 1 the probable becomes more probable
        top_p : each code is drawn from the fewest codes that together have this probability
            ("nucleus sampling", Holtzman et al. 2020); 1 leaves all in
        guidance : above 1, what the word makes more probable than any word does is overstated:
            the draw is from p(code | word)^g * p(code)^(1-g), made to sum to 1 (Ho and Salimans
            2022, "classifier-free guidance"); 1 leaves it as it is
        start : int64 (stages, k), (1, stages, k) or (n, stages, k) codes that every row begins
            with, as of half a spoken word
        Raises ValueError for an unknown word, a wrong start, and numbers out of range.
        """
        positions = self.positions if positions is None else positions
        for name, value, most in (
            ("n", n, 100_000), ("positions", positions, self.positions),
            ("temperature", temperature, 100.0), ("top_p", top_p, 1.0), ("guidance", guidance, 20),
        ):  # fmt: skip
            if not 0 < value <= most:
                raise ValueError(f"{name} is {value}: it must be more than 0, at most {most}")
        codes = torch.zeros(n, len(self.head), 0, dtype=torch.int64)
        if start is not None:
            start = start[None] if start.ndim == 2 else start
            self._check(start)
            if len(start) not in (1, n) or start.shape[2] > positions:
                raise ValueError(
                    f"start has {len(start)} row(s) of {start.shape[2]} positions: give 1 or "
                    f"{n} row(s) of at most {positions}"
                )
            codes = start.expand(n, -1, -1)
        self.eval()
        number, codes = self.word_numbers(word, n).to(self.device), codes.to(self.device)
        guided = guidance != 1 and word is not None
        if guided:  # every row twice: knowing the word, and not
            number = torch.cat([number, self.word_numbers(None, n).to(self.device)])
            codes = torch.cat([codes, codes])
        generator = torch.Generator().manual_seed(seed)
        todo = range(codes.shape[2], positions)
        for _ in tqdm(todo, "drawing codes", delay=2, leave=False):
            h = self._read(codes, number)[:, -1]  # (n, width)
            column = []
            for stage, head in enumerate(self.head):
                logits = head(h).cpu().log_softmax(dim=1)
                if guided:
                    told, untold = logits.chunk(2)
                    logits = untold + guidance * (told - untold)
                drawn = _draw(logits, temperature, top_p, generator).to(self.device)
                column.append(torch.cat([drawn, drawn]) if guided else drawn)
                h = h + self.code[stage](column[-1])
            codes = torch.cat([codes, torch.stack(column, dim=1)[..., None]], dim=2)
        return codes[:n].cpu().clone()

    def _check(self, codes: Tensor) -> None:
        sizes = torch.tensor(self.codebook_sizes, device=codes.device)[:, None]
        if codes.ndim != 3 or codes.shape[1] != len(sizes) or codes.dtype != torch.int64:
            raise ValueError(
                f"codes are {tuple(codes.shape)} of {codes.dtype}: this prior takes int64 "
                f"(rows, {len(sizes)}, positions), the first {len(sizes)} stages of the codec"
            )
        if ((codes < 0) | (codes >= sizes)).any():
            raise ValueError(
                f"codes reach from {codes.min()} to {codes.max()}, this prior knows 0 to "
                f"{max(self.codebook_sizes) - 1}: encode with stages={len(sizes)}, so that every "
                "position has all of them"
            )

    def word_numbers(self, word: str | None | Sequence[str | None], n: int) -> Tensor:
        """The place in `words` of one word for `n` rows, or of each row's own: int64 (n,)."""
        each = [word] * n if word is None or isinstance(word, str) else list(word)
        if len(each) != n:
            raise ValueError(f"{len(each)} words for {n} rows: give one word, or one for each row")
        for one in each:
            if one is not None and one not in self.words:
                raise ValueError(
                    f"the prior does not know {one!r}: ask for {', '.join(self.words)}, or None "
                    "for any word"
                )
        known: dict[str | None, int] = {name: i for i, name in enumerate(self.words)}
        return torch.tensor([known.get(one, len(known)) for one in each], dtype=torch.int64)

    def check_codec(self, codec: Codec) -> None:
        """Raise ValueError unless the codes of `codec` are the ones this prior has learned."""
        found = codec.identity().hex()
        if found != self.codec:
            raise ValueError(
                f"this prior belongs to the codec {self.codec}, not to {found}: the codes of one "
                "codec mean nothing to another; train a prior for it with tools/train_prior.py"
            )

    def save(self, path: str | Path) -> None:
        """Write weights (float16) and description to one safetensors file, atomically."""
        described = {
            "codebook_sizes": self.codebook_sizes, "words": self.words, "codec": self.codec,
            "positions": self.positions, **self.options, "trained": self.trained,
        }  # fmt: skip
        tensors = {name: tensor.detach().cpu().half() for name, tensor in self.state_dict().items()}
        save_tensors(tensors, Path(path), {"prior": json.dumps(described)})

    @staticmethod
    def load(path: str | Path, *, codec: Codec | None = None) -> Prior:
        """The prior that `save` wrote; with `codec`, only if it belongs to that.

        Raises `ValueError` for another kind of file or another codec.
        """
        try:
            tensors, metadata = load_tensors(path)
            described = json.loads(metadata["prior"])
            with torch.device("meta"):  # shapes alone: a false description must not fill the memory
                shapes = {name: t.shape for name, t in Prior(**described).state_dict().items()}
            if shapes != {name: tensor.shape for name, tensor in tensors.items()}:
                raise ValueError("its weights do not fit its description")
            if not all(torch.isfinite(tensor).all() for tensor in tensors.values()):
                raise ValueError("its weights hold NaN or infinity")
            prior = Prior(**described)
            prior.load_state_dict(tensors)
        except FileNotFoundError:
            raise FileNotFoundError(f"there is no file {path}: check the name") from None
        except Exception as error:
            raise ValueError(f"{path} is not a vqlab prior: {error}") from error
        if codec is not None:
            prior.check_codec(codec)
        return prior.eval()


def load_prior(path: str | Path | None = None, *, codec: Codec | None = None) -> Prior:
    """The prior that ships, or the one at `path`, for `codec` (None: the shipped one).

    Raises `ValueError` where it belongs to another codec, `FileNotFoundError` without a file.
    """
    path = bundled("weights", "prior", "words.safetensors") if path is None else path
    return Prior.load(path, codec=codec or load_pretrained("speech"))


def voice(codec: Codec, codes: Tensor, *, n_iter: int = 32) -> Tensor:
    """Sound of each row of codes (n, stages, positions): waveforms (n, samples).

    n_iter : of the inversion, see `Codec.decode`
    """
    samples = codes.shape[2] * codec.model.stride * codec.features.config.hop_length
    bar = tqdm(codes, "decoding", delay=2, leave=False)
    return torch.stack([codec.decode(row[None], samples, n_iter=n_iter) for row in bar])


def _head(width: int, size: int, dropout: float) -> nn.Module:
    """Logits of one stage (…, size) from what is known before it (…, width)."""
    return nn.Sequential(
        nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), nn.Dropout(dropout),
        nn.Linear(2 * width, width), nn.LayerNorm(width), nn.Linear(width, size),
    )  # fmt: skip


def _draw(logits: Tensor, temperature: float, top_p: float, generator: torch.Generator) -> Tensor:
    """One index for each row of `logits (n, K)`: int64 (n,)."""
    p, index = (logits.double() / temperature).softmax(dim=1).sort(dim=1, descending=True)
    p = p * (p.cumsum(dim=1) - p < top_p)  # the most probable one always stays
    return index.gather(1, torch.multinomial(p, 1, generator=generator))[:, 0]
