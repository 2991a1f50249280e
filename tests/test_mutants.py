"""Each piece's check against mistakes made by machine: none passes, nearly all are told apart."""

import random
import textwrap

import mutants
import mutants_tried
import pytest

from vqlab.lessons import checking, own_file

SAMPLED = 9
"""Edits a piece; `python tools/mutants.py` tries them all."""


@pytest.fixture(scope="module")
def found():
    """How checks take some edits of each piece."""
    chance, taken = random.Random(18), []
    for name in mutants_tried.AGAIN:
        made = [*mutants.edits(own_file.reference()[1][name].text)]
        for change, text in chance.sample(made, SAMPLED):
            taken.append(mutants.tried(name, text, change))
    return taken


@pytest.fixture(scope="module", autouse=True)
def soon():
    """What does not end is given up earlier than in a notebook."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checking, "MOST_SECONDS", 0.5)
        yield


def test_no_mistake_passes(found):
    assert [m for m in found if m.state == "passed"] == []


def test_most_mistakes_are_answered_by_more_than_what_differs(found):
    wrong = [m for m in found if m.state != "equal"]
    general = [m for m in wrong if m.state == "general"]
    assert len(wrong) > 150 and len(general) <= 0.1 * len(wrong), general


def test_edits_are_made_one_at_a_time():
    made = dict(mutants.edits("def f(a, b):\n    return (a - b).detach().sum(dim=1)"))
    assert len(made) == len(set(made.values()))
    for line in (
        "return (b - a).detach().sum(dim=1)",
        "return (a - b.detach()).sum(dim=1)",
        "return (a - b).sum(dim=1)",
        "return (a - b).detach().mean(dim=1)",
        "return (a - b).detach().sum(dim=0)",
        "return (a - b).detach().sum()",
        "return a.detach().sum(dim=1)",
        "(a - b).detach().sum(dim=1)",
    ):
        assert f" 2 {line}" in made


RIGHT = {
    "01-level": """
        def to_level(x):
            level = 20 * math.log10(max(float(x.pow(2).mean().sqrt()), 1e-6))
            n = int(np.clip(np.round(2 * (LEVEL_DB - level)), -128, 127))
            return x * 10.0 ** (n / 40), n
    """,
    "02-stft": """
        def stft(waveform):
            padded = F.pad(waveform, (N_FFT // 2 - HOP // 2, N_FFT // 2 - HOP // 2))
            window = torch.hann_window(N_FFT)
            found = torch.stft(padded, N_FFT, HOP, window=window, center=False, return_complex=True)
            return found
    """,
    "02-log-mel": """
        def log_mel(waveform):
            mel = torch.einsum("mk,bkt->bmt", mel_filters(), stft(waveform).abs() ** 2)
            return 10 * torch.log10(torch.maximum(mel, torch.tensor(1e-8)))
    """,
    "05-nearest-code": """
        def nearest_code(vectors, codebook):
            return (vectors[:, None] - codebook).norm(dim=-1).min(dim=1).indices
    """,
    "05-straight-through": """
        def straight_through(z_e, z_q):
            return z_q.detach() + z_e - z_e.detach()
    """,
    "06-step": """
        def training_step(codec, optimizer, mel):
            out, _, more = codec(mel)
            e = (mel - out) / SPREAD_DB
            loss = F.l1_loss(e, torch.zeros_like(e)) + more
            for a, b in ((e[..., 1:], e[..., :-1]), (e[:, 1:], e[:, :-1])):
                loss = loss + (a - b).abs().mean()
            optimizer.zero_grad(set_to_none=False)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(list(codec.parameters()), max_norm=1)
            optimizer.step()
            return float(loss)
    """,
    "09-frequencies": """
        def frequencies(codes):
            table = torch.ones(STAGES, CODES, dtype=torch.int64)
            for stage in range(STAGES):
                for code in codes[:, stage].reshape(-1):
                    table[stage, code] += 1
            return table
    """,
    "10-checksum": """
        import binascii
        def checksum(data):
            return binascii.crc_hqx(data, 0).to_bytes(2, "big")
    """,
}


@pytest.mark.parametrize("name", RIGHT)
def test_another_right_way_passes(name):
    fn = mutants.built(name, textwrap.dedent(RIGHT[name]))
    assert checking.check(name, fn), checking.check(name, fn)


def test_numpy_is_told_kindly():
    lines = "return torch.fft.rfft(frames * torch.hann_window(N_FFT)).mT"
    text = own_file.reference()[1]["02-stft"].text
    assert lines in text
    for new, told in {
        "return np.fft.rfft(frames.numpy() * np.hanning(N_FFT))": "hand each other tensors",
        "return np.fft.rfft(frames.numpy()).missing": "torch has a function of the same name",
    }.items():
        fn = mutants.built("02-stft", text.replace(lines, new))
        assert told in str(checking.check("02-stft", fn))


def test_what_does_not_end_is_told_with_its_line():
    text = own_file.reference()[1]["09-range-encode"].text.replace("width << 8", "width")
    told = str(checking.check("09-range-encode", mutants.built("09-range-encode", text)))
    assert "has not come to an end" in told and "while width < 1 << 40" in told
