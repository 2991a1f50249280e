"""A speech codec at about 1.2 kbit/s: sound, spectrum, network, integers, bytes, and back.

    python my_codec.py compress voice.wav voice.mine
    python my_codec.py decompress voice.mine back.wav

The weights lie beside this file (`my_codec.npz`). Needs numpy, torch and soundfile.
"""

import functools
import math
import sys
import zlib
from pathlib import Path

import numpy as np
import soundfile
import torch
import torch.nn.functional as F
from torch import nn

RATE = 16_000  # samples a second
LEVEL_DB = -26.0  # to which every sound is brought, relative to full scale
N_FFT, HOP, MELS = 512, 160, 80  # samples, samples, bands: 100 frames a second
MEAN_DB, SPREAD_DB = -35.0, 20.0  # about the mean and the standard deviation of speech in decibels
STRIDE, DIM, WIDTH = 2, 64, 128  # frames a position; numbers a vector; channels of the network
STAGES, CODES = 3, 256  # 50 positions a second * 3 stages * log2(256) bits = 1,200 bit/s
WEIGHTS = Path(__file__).with_suffix(".npz")


# --- 01-level ---


def to_level(waveform):
    """(samples,) -> the same at LEVEL_DB, and the gain in half decibels, a whole number."""
    power = waveform.square().mean().clamp(min=1e-12)
    half_decibels = round(2 * (LEVEL_DB - 10 * float(power.log10())))
    half_decibels = min(max(half_decibels, -128), 127)
    return waveform * 10 ** (half_decibels / 40), half_decibels


# --- 02-stft ---


def stft(waveform):
    """(batch, samples) -> complex (batch, bins, frames), each centred in the middle of its hop."""
    around = (N_FFT - HOP) // 2
    frames = F.pad(waveform, (around, around)).unfold(-1, N_FFT, HOP)  # (batch, frames, N_FFT)
    return torch.fft.rfft(frames * torch.hann_window(N_FFT)).mT


# --- 02-mel-filters ---


def mel_filters():
    """(MELS, bins): triangles of area 1, evenly spaced on Slaney's scale up to RATE / 2."""
    top = 15 + 27 * math.log(RATE / 2 / 1000) / math.log(6.4)
    mels = torch.linspace(0, top, MELS + 2)
    corners = torch.where(mels < 15, mels * 200 / 3, 1000 * 6.4 ** ((mels - 15) / 27))  # Hz
    low, centre, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    hz = torch.arange(N_FFT // 2 + 1) * RATE / N_FFT
    triangles = torch.minimum((hz - low) / (centre - low), (high - hz) / (high - centre))
    return triangles.clamp(min=0) * 2 / (high - low)


# --- 02-log-mel ---


def log_mel(waveform):
    """(batch, samples) -> (batch, MELS, frames): decibels, at least -80."""
    power = mel_filters() @ stft(waveform).abs().square()
    return 10 * power.clamp(min=1e-8).log10()


# --- 03-istft ---


def istft(spectrum):
    """complex (batch, bins, frames) -> (batch, frames * HOP), by overlap-add."""

    def overlap_add(frames):  # (batch, N_FFT, frames)
        length = (frames.shape[-1] - 1) * HOP + N_FFT
        return F.fold(frames, (1, length), (1, N_FFT), stride=(1, HOP)).flatten(1)

    window = torch.hann_window(N_FFT)[:, None]
    total = overlap_add(torch.fft.irfft(spectrum, N_FFT, dim=1) * window)
    weight = overlap_add(window.square().expand(1, -1, spectrum.shape[-1]))
    around = (N_FFT - HOP) // 2
    return (total / weight.clamp(min=1e-9))[:, around:-around]


# --- 03-mel-to-linear ---


def mel_to_linear(mel):
    """Mel power (batch, MELS, frames) -> a magnitude (batch, bins, frames) that has it."""
    filters = mel_filters()
    spread = filters / filters.sum(dim=0).clamp(min=1e-9)  # a bin's shares in the bands
    power = spread.T @ (mel / filters.sum(dim=1, keepdim=True))
    for _ in range(30):  # Lee and Seung's step: never below zero
        power = power * (spread.T @ (mel / (filters @ power).clamp(min=1e-20)))
    return power.sqrt()


# --- 03-griffin-lim ---


def griffin_lim(magnitude, steps=32, momentum=0.99):
    """Magnitude (batch, bins, frames) -> (batch, samples): look for phases that fit each other."""
    random = torch.Generator().manual_seed(0)
    phase = 2 * math.pi * torch.rand(magnitude.shape[1:], generator=random)
    spectrum = torch.polar(magnitude, phase.expand_as(magnitude))
    before = torch.zeros_like(spectrum)
    for _ in range(steps):
        found = stft(istft(spectrum))
        spectrum = torch.polar(magnitude, (found + momentum * (found - before)).angle())
        before = found
    return istft(spectrum)


# --- 05-nearest-code ---


def nearest_code(vectors, codebook):
    """(n, dim), (codes, dim) -> (n,): which code is nearest. |x|^2 is the same for all codes."""
    return (codebook.square().sum(dim=1) - 2 * vectors @ codebook.T).argmin(dim=1)


# --- 05-straight-through ---


def straight_through(z_e, z_q):
    """The value of z_q with the gradient of z_e."""
    return z_e + (z_q - z_e).detach()


# --- 05-vq-layer ---


class VectorQuantizer(nn.Module):
    """One codebook. Each code is the moving average of the vectors that chose it."""

    def __init__(self, dim=DIM, codes=CODES, beta=0.25, decay=0.99):
        super().__init__()
        self.beta, self.decay = beta, decay
        self.register_buffer("codebook", torch.zeros(codes, dim))
        self.register_buffer("counts", torch.zeros(codes))  # vectors a step, and their sums
        self.register_buffer("sums", torch.zeros(codes, dim))

    def forward(self, z_e):
        """(batch, dim, positions) -> z_q of that shape, codes (batch, positions), loss"""
        vectors = z_e.mT.reshape(-1, z_e.shape[1])
        if self.training:
            self.restart(vectors.detach())
        codes = nearest_code(vectors, self.codebook)
        z_q = self.codebook[codes].reshape(z_e.mT.shape).mT
        if self.training:
            self.learn(vectors.detach(), codes)
        loss = self.beta * F.mse_loss(z_e, z_q)  # the averages move the codes
        return straight_through(z_e, z_q), codes.reshape(len(z_e), -1), loss

    def restart(self, vectors):
        """Put codes that hardly anyone chooses on vectors of the batch; at first, all of them."""
        fair = len(vectors) / len(self.counts)
        dead = self.counts < 0.03 * fair
        chosen = vectors[torch.randint(len(vectors), (int(dead.sum()),))]
        self.codebook[dead], self.sums[dead], self.counts[dead] = (
            chosen,
            0.06 * fair * chosen,
            0.06 * fair,
        )

    def learn(self, vectors, codes):
        """One step of the moving averages."""
        one_hot = F.one_hot(codes, len(self.counts)).float()
        self.counts.lerp_(one_hot.sum(dim=0), 1 - self.decay)
        self.sums.lerp_(one_hot.T @ vectors, 1 - self.decay)
        self.codebook.copy_(self.sums / self.counts[:, None])


# --- 05-residual ---


class ResidualQuantizer(nn.Module):
    """Codebooks in a row: each codes what those before it left over."""

    def __init__(self, dim=DIM, codes=CODES, stages=STAGES, decay=0.99):
        super().__init__()
        layers = [VectorQuantizer(dim, codes, decay=decay) for _ in range(stages)]
        self.layers = nn.ModuleList(layers)

    def forward(self, z_e):
        """(batch, dim, positions) -> z_q, codes (batch, stages, positions), loss"""
        rest, codes, loss = z_e, [], 0.0
        for layer in self.layers:
            z_q, chosen, part = layer(rest)
            rest = rest - z_q.detach()
            codes.append(chosen)
            loss = loss + part
        return straight_through(z_e, z_e - rest), torch.stack(codes, dim=1), loss

    def lookup(self, codes):
        """(batch, stages, positions) -> (batch, dim, positions): a row of each codebook, added."""
        rows = [layer.codebook[codes[:, n]] for n, layer in enumerate(self.layers)]
        return torch.stack(rows).sum(dim=0).mT


# --- 06-block ---


class Block(nn.Module):
    """Adds a correction: a filter along time for each channel, a small network for each frame."""

    def __init__(self):
        super().__init__()
        self.along_time = nn.Conv1d(WIDTH, WIDTH, 7, padding=3, groups=WIDTH)
        self.norm = nn.LayerNorm(WIDTH)
        self.network = nn.Sequential(
            nn.Linear(WIDTH, 3 * WIDTH), nn.GELU(), nn.Linear(3 * WIDTH, WIDTH)
        )
        self.scale = nn.Parameter(torch.full((WIDTH,), 0.1))

    def forward(self, x):
        """(batch, WIDTH, frames) -> the same shape"""
        return x + (self.network(self.norm(self.along_time(x).mT)) * self.scale).mT


# --- 06-encoder ---


class Encoder(nn.Sequential):
    """(batch, MELS, frames) -> (batch, DIM, frames / STRIDE)"""

    def __init__(self):
        super().__init__(
            nn.Conv1d(MELS, WIDTH, 7, padding=3),
            nn.GELU(),
            nn.Conv1d(WIDTH, WIDTH, STRIDE, stride=STRIDE),
            Block(),
            Block(),
            nn.Conv1d(WIDTH, DIM, 1),
        )


# --- 06-decoder ---


class Decoder(nn.Sequential):
    """(batch, DIM, positions) -> (batch, MELS, positions * STRIDE)"""

    def __init__(self):
        super().__init__(
            nn.Conv1d(DIM, WIDTH, 7, padding=3),
            Block(),
            Block(),
            Block(),
            nn.ConvTranspose1d(WIDTH, WIDTH, STRIDE, stride=STRIDE),
            nn.GELU(),
            nn.Conv1d(WIDTH, MELS, 7, padding=3),
        )


# --- 06-model ---


class Codec(nn.Module):
    """Encoder, quantiser, decoder; and how often each code occurs, for the coder of the bytes."""

    def __init__(self):
        super().__init__()
        self.encoder, self.quantizer, self.decoder = Encoder(), ResidualQuantizer(), Decoder()
        self.register_buffer("frequencies", torch.ones(STAGES, CODES, dtype=torch.int64))

    def forward(self, mel):
        """Decibels (batch, MELS, frames) -> decibels, codes (batch, STAGES, positions), loss"""
        z_q, codes, loss = self.quantizer(self.encoder((mel - MEAN_DB) / SPREAD_DB))
        return self.decoder(z_q) * SPREAD_DB + MEAN_DB, codes, loss

    @torch.no_grad()
    def decode(self, codes):
        """Codes (batch, STAGES, positions) -> decibels (batch, MELS, frames)"""
        return self.decoder(self.quantizer.lookup(codes)) * SPREAD_DB + MEAN_DB


# --- 06-step ---


def training_step(codec, optimizer, mel):
    """Move all weights a little, so that the output comes nearer to `mel`. Returns the loss."""
    output, _, quantizer_loss = codec(mel)
    error = (output - mel) / SPREAD_DB
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    loss = error.abs().mean() + edges + quantizer_loss
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(codec.parameters(), 1.0)
    optimizer.step()
    return loss.item()


# --- 06-loop ---


def train(codec, mels, steps, batch=16, highest=2e-3):
    """Train on random rows of `mels` (clips, MELS, frames). Yields the loss of every step."""
    optimizer = torch.optim.Adam(codec.parameters(), lr=highest)
    codec.train()
    for step in range(steps):
        warm_up, fall = min(1, (step + 1) / 50), (1 + math.cos(math.pi * step / steps)) / 2
        optimizer.param_groups[0]["lr"] = highest * warm_up * fall
        rows = torch.randint(len(mels), (batch,))
        shift = int(torch.randint(mels.shape[-1], ()))  # begins elsewhere each time
        yield training_step(codec, optimizer, mels[rows].roll(shift, dims=-1))
    codec.eval()


# --- 09-frequencies ---


def frequencies(codes):
    """(clips, STAGES, positions) -> (STAGES, CODES): how often each occurs, plus 1, so never 0."""
    return torch.stack(
        [1 + torch.bincount(stage.flatten(), minlength=CODES) for stage in codes.unbind(1)]
    )


# --- 09-range-encode ---


def range_encode(codes, tables):
    """Codes, and for each a table of frequencies -> bytes. Whole numbers only, exact everywhere."""
    low, width, digits = 0, 1 << 48, 48  # an interval [low, low + width) of binary fractions
    for code, table in zip(codes, tables, strict=True):
        part = width // sum(table)
        low, width = low + part * sum(table[:code]), part * table[code]
        while width < 1 << 40:  # one more byte of digits
            low, width, digits = low << 8, width << 8, digits + 8
    for kept in range(0, digits + 1, 8):  # the fewest bytes that say a number inside
        number = -(-low >> (digits - kept))  # rounded up
        if number << (digits - kept) < low + width:
            return number.to_bytes(kept // 8, "big")


# --- 09-range-decode ---


def range_decode(data, tables):
    """The inverse: bytes, and the table of each code -> codes. Missing bytes count as zeros."""
    digits = iter(data)
    ahead, width = int.from_bytes([next(digits, 0) for _ in range(6)], "big"), 1 << 48
    codes = []
    for table in tables:
        part = width // sum(table)
        code, below = 0, 0
        while (below + table[code]) * part <= ahead and code < len(table) - 1:
            below, code = below + table[code], code + 1
        ahead, width = ahead - below * part, table[code] * part
        while width < 1 << 40:
            ahead, width = ahead << 8 | next(digits, 0), width << 8
        codes.append(code)
    return codes


# --- 10-checksum ---


def checksum(data):
    """CRC-16 of bytes: the remainder of a division of polynomials. Two bytes."""
    remainder = 0
    for byte in data:
        remainder ^= byte << 8
        for _ in range(8):
            remainder = remainder << 1 ^ (0x11021 if remainder & 0x8000 else 0)
    return remainder.to_bytes(2, "big")


# --- 10-compress ---


@torch.no_grad()
def compress(waveform, codec=None):
    """(samples,) at RATE -> bytes: gain (1), samples (3), codes, checksum (2)."""
    codec = codec or load_codec()
    waveform, gain = to_level(torch.as_tensor(waveform, dtype=torch.float32))
    samples = len(waveform)
    if not 0 < samples < 1 << 24:
        raise ValueError(f"{samples} samples: a file holds 1 to {(1 << 24) - 1}, so cut the sound")
    padded = F.pad(waveform, (0, -samples % (HOP * STRIDE)))
    codes = codec(log_mel(padded[None]))[1][0]  # (STAGES, positions)
    tables = [table for table in codec.frequencies.tolist() for _ in range(codes.shape[1])]
    body = bytes([gain + 128]) + samples.to_bytes(3, "big")
    body += range_encode(codes.flatten().tolist(), tables)
    return body + checksum(fingerprint(codec) + body)


# --- 10-decompress ---


@torch.no_grad()
def decompress(data, codec=None):
    """The inverse: bytes -> waveform (samples,). Raises ValueError for a damaged file."""
    codec = codec or load_codec()
    if len(data) < 6 or checksum(fingerprint(codec) + data[:-2]) != data[-2:]:
        raise ValueError("the file is damaged, or was made with other weights")
    gain, samples = data[0] - 128, int.from_bytes(data[1:4], "big")
    positions = math.ceil(samples / (HOP * STRIDE))
    tables = [table for table in codec.frequencies.tolist() for _ in range(positions)]
    codes = torch.tensor(range_decode(data[4:-2], tables)).reshape(1, STAGES, positions)
    magnitude = mel_to_linear(10 ** (codec.decode(codes) / 10))
    return griffin_lim(magnitude)[0, :samples] * 10 ** (-gain / 40)


# --- 12-attend ---


def attend(query, key, value):
    """(batch, heads, positions, size) three times -> each position's mean of `value` in its past"""
    scores = query @ key.mT / math.sqrt(query.shape[-1])  # row: who looks; column: at whom
    later = torch.ones_like(scores, dtype=torch.bool).triu(1)
    return scores.masked_fill(later, -math.inf).softmax(dim=-1) @ value


# --- 12-layer ---


class PriorLayer(nn.Module):
    """Adds what attention finds in the past, then what a small network makes of it."""

    def __init__(self, width, heads=4, dropout=0.2):
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.split, self.join = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.network = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, x):
        """(batch, positions, width) -> the same shape"""
        parts = self.split(self.norm_1(x)).unflatten(-1, (3, self.heads, -1))
        found = attend(*parts.permute(2, 0, 3, 1, 4))  # (batch, heads, positions, width / heads)
        x = x + self.dropout(self.join(found.transpose(1, 2).flatten(2)))
        return x + self.dropout(self.network(self.norm_2(x)))


# --- 12-prior ---


class Prior(nn.Module):
    """How probable codes are: position after position, and in each stage after stage."""

    def __init__(self, words, positions, width=96, layers=3):
        super().__init__()
        self.word = nn.Embedding(words + 1, width)  # the last one: any word
        self.place = nn.Embedding(positions, width)
        self.code = nn.ModuleList([nn.Embedding(CODES, width) for _ in range(STAGES)])
        self.layers = nn.Sequential(*[PriorLayer(width) for _ in range(layers)])
        self.head = nn.ModuleList([nn.Linear(width, CODES) for _ in range(STAGES)])

    def read(self, codes, word):
        """(batch, STAGES, n), (batch,) -> what is known at 0 to n, (batch, n + 1, width)"""
        past = sum(table(codes[:, stage]) for stage, table in enumerate(self.code))
        x = F.pad(past, (0, 0, 1, 0))  # nothing before position 0; each sees the one before it
        return self.layers(x + self.word(word)[:, None] + self.place.weight[: x.shape[1]])

    def forward(self, codes, word):
        """(batch, STAGES, positions), (batch,) -> ln p of each code given those before it"""
        h, found = self.read(codes[..., :-1], word), []
        for stage, (table, head) in enumerate(zip(self.code, self.head, strict=True)):
            found.append(-F.cross_entropy(head(h).mT, codes[:, stage], reduction="none"))
            h = h + table(codes[:, stage])  # the next stage knows this one
        return torch.stack(found, dim=1)


# --- 12-narrow ---


def narrow(logits, temperature, top_p):
    """(n, CODES) -> probabilities: cooled, and only the fewest codes that have top_p together."""
    p, order = (logits / temperature).softmax(dim=-1).sort(dim=-1, descending=True)
    p = p * (p.cumsum(dim=-1) - p < top_p)  # the code with which the sum reaches top_p stays
    return torch.zeros_like(p).scatter(-1, order, p / p.sum(dim=-1, keepdim=True))


# --- 12-draw ---


@torch.no_grad()
def draw(prior, word, temperature=1.0, top_p=0.9, guidance=1.0, start=None):
    """Words (n,) -> new codes (n, STAGES, positions), one after the other, from `start` on."""
    codes = torch.zeros(len(word), STAGES, 0, dtype=torch.int64) if start is None else start
    word = torch.cat([word, torch.full_like(word, prior.word.num_embeddings - 1)])  # told, and not
    while codes.shape[-1] < prior.place.num_embeddings:
        h, column = prior.read(torch.cat([codes, codes]), word)[:, -1], []
        for table, head in zip(prior.code, prior.head, strict=True):
            told, untold = head(h).log_softmax(dim=-1).chunk(2)
            p = narrow(untold + guidance * (told - untold), temperature, top_p)
            column.append(torch.multinomial(p, 1)[:, 0])
            h = h + table(column[-1]).repeat(2, 1)
        codes = torch.cat([codes, torch.stack(column, dim=1)[..., None]], dim=-1)
    return codes


# --- command-line ---


def fingerprint(codec):
    """Four bytes that tell weights from other weights."""
    arrays = (tensor.numpy().tobytes() for tensor in codec.state_dict().values())
    return zlib.crc32(b"".join(arrays)).to_bytes(4, "big")


def save_codec(codec, path=WEIGHTS):
    """Write the weights, as 16-bit numbers; the old file is there until the new one is whole."""
    state = {name: tensor.numpy() for name, tensor in codec.state_dict().items()}
    halves = {
        name: x.astype(np.float16) if x.dtype == np.float32 else x for name, x in state.items()
    }
    new = Path(path).with_suffix(".new.npz")
    np.savez(new, **halves)
    new.replace(path)


@functools.cache
def load_codec(path=WEIGHTS):
    """The codec whose weights `save_codec` wrote. Raises FileNotFoundError before any training."""
    codec = Codec()
    with np.load(path, allow_pickle=False) as state:
        codec.load_state_dict({name: torch.from_numpy(state[name]) for name in state.files})
    return codec.eval()


def read_sound(path):
    """Any sound file -> (samples,) at RATE: channels averaged, resampled by way of its spectrum."""
    sound, rate = soundfile.read(path, dtype="float32", always_2d=True)
    sound = torch.from_numpy(sound).mean(dim=1)
    samples = round(len(sound) * RATE / rate)
    return torch.fft.irfft(torch.fft.rfft(sound), samples) * samples / len(sound)


def main(verb, source, target):
    """What the command line does."""
    if verb not in ("compress", "decompress"):
        raise ValueError(f"{verb!r} is neither compress nor decompress")
    if verb == "compress":
        Path(target).write_bytes(compress(read_sound(source)))
    else:
        soundfile.write(target, decompress(Path(source).read_bytes()).clamp(-1, 1).numpy(), RATE)


if __name__ == "__main__":
    try:
        print(__doc__) if len(sys.argv) != 4 else main(*sys.argv[1:])
    except (OSError, ValueError) as error:
        sys.exit(f"{Path(__file__).name}: {error}")
