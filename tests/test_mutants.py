"""Each piece's check against mistakes made by machine: none passes, nearly all are named."""

import ast
import random
import textwrap
import threading

import mutants
import mutants_tried
import pytest

from vqlab import lessons
from vqlab.lessons import checking, own_file, recognising, slips

SAMPLED = 9
"""Edits a piece; `python tools/mutants.py` tries them all."""


@pytest.fixture(scope="module")
def found():
    """How checks take some edits of each piece."""
    chance, taken = random.Random(18), []
    for name in mutants_tried.AGAIN:
        made = [*slips.slips(own_file.reference()[1][name].text)]
        for slip in chance.sample(made, SAMPLED):
            taken.append(mutants.tried(name, slip.text, slip.line))
    return taken


@pytest.fixture(scope="module", autouse=True)
def soon():
    """What does not end is given up earlier than in a notebook; all slips are tried at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checking, "MOST_SECONDS", 0.5)
        patch.setattr(recognising, "MOST_SECONDS", 1e9)
        yield


def test_no_mistake_passes(found):
    assert [m for m in found if m.state == "passed"] == []


def test_nine_of_ten_mistakes_are_named(found):
    wrong = [m for m in found if m.state != "equal"]
    named = [m for m in wrong if m.state in ("hint", "named")]
    assert len(wrong) > 150 and len(named) >= 0.9 * len(wrong), set(wrong) - set(named)


def test_changes_are_made_one_at_a_time():
    made = [*slips.slips("def f(a, b):\n    return (a - b).detach().sum(dim=1)")]
    assert len(made) == len({slip.text for slip in made})
    told = {slip.line: slip.told for slip in made}
    for line, what in {
        "return (b - a).detach().sum(dim=1)": "the two sides of `-` are exchanged: `b - a`",
        "return (a - b.detach()).sum(dim=1)": "only a part is detached: `a - b.detach()`",
        "return (a - b).sum(dim=1)": "`.detach(…)` is missing after `a - b`",
        "return (a - b).detach().mean(dim=1)": "`mean` stands where another name belongs",
        "return (a - b).detach().sum(dim=0)": "`dim=0` names the wrong axis",
        "return (a - b).detach().sum()": "`dim` is not given to `(a - b).detach().sum`",
        "return a.detach().sum(dim=1)": "only `a` stands: what follows it with `-` is missing",
        "return (a - a).detach().sum(dim=1)": "`a` stands where another argument belongs",
        "(a - b).detach().sum(dim=1)": "a `return` is missing",
    }.items():
        assert told[line] == what


@pytest.mark.parametrize("name", own_file.pieces())
def test_what_is_told_of_a_slip_is_not_the_right_line(name):
    text = own_file.reference()[1][name].text
    whole = {line.strip() for line in ast.unparse(ast.parse(text)).splitlines()}
    long = {line for line in whole if len(line) > 20}
    assert [s.told for s in slips.slips(text) for line in long if line in s.told] == []


def test_of_slips_with_one_outcome_that_in_her_text_is_named():
    text = own_file.reference()[1]["01-level"].text
    for old, new, told in (
        ("square()", "abs()", "`abs` stands where another name belongs"),
        (".square()", "", "`.square(…)` is missing after `waveform`"),
    ):
        wrong = text.replace(old, new)
        assert told in mutants.tried("01-level", wrong).sentence


def test_slips_are_tried_as_far_as_there_is_time(monkeypatch):
    exercise = lessons.find("02-log-mel")
    text = own_file.reference()[1]["02-log-mel"].text.replace("10 *", "20 *")
    fn = mutants.built("02-log-mel", text)
    recognising._tried.cache_clear()
    monkeypatch.setattr(recognising, "MOST_SECONDS", 0.0)
    for _ in range(2):  # none is tried
        assert recognising.NAMED not in str(checking._judge("02-log-mel", exercise, fn))
    assert recognising._tried("02-log-mel").todo and not recognising._tried("02-log-mel").done


def test_a_line_of_hers_that_one_change_makes_right_is_named():
    wrong = textwrap.dedent(RIGHT["02-stft"]).replace("2 - HOP // 2))", "2 + HOP // 2))")
    sentence = mutants.tried("02-stft", wrong).sentence
    line = "padded = F.pad(waveform, (N_FFT // 2 - HOP // 2, N_FFT // 2 + HOP // 2))"
    assert sentence.endswith(f"{recognising.ALMOST} `{line}`.")


def test_where_nothing_can_be_stopped_no_slip_is_tried():
    told = []
    fn = mutants.built("05-nearest-code", "def nearest_code(a, b):\n    return a.sum(dim=1)")
    work = threading.Thread(target=lambda: told.append(checking.check("05-nearest-code", fn)))
    work.start()
    work.join()
    assert told and recognising.NAMED not in str(told[0])


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


def test_slips_in_other_right_ways_are_named_too():
    """The check changes our text; she writes another, and slips there: then hers is changed too."""
    chance, taken = random.Random(18), []
    for name, text in RIGHT.items():
        for slip in chance.sample([*slips.slips(textwrap.dedent(text))], 6):
            taken.append(mutants.tried(name, slip.text, slip.line))
    wrong = [m for m in taken if m.state != "equal"]
    named = [m for m in wrong if m.state in ("hint", "named", "line")]
    assert len(wrong) > 30 and [m for m in wrong if m.state == "passed"] == []
    assert len(named) >= 0.6 * len(wrong), set(wrong) - set(named)


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
