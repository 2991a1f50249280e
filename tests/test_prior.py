"""The learned prior: a true probability, of the order it says, and samples that follow it."""

import importlib.util
import itertools
import json
import math

import pytest
import torch
from _support import ROOT
from prior_training import code_vectors, fit, mean_by_word, start_from
from vqlab.lessons.prior import Prior, load_prior, voice

from vqlab.codec import Codec, Recipe
from vqlab.features import Features
from vqlab.files import load_tensors, save_tensors
from vqlab.spectral import MelConfig

WORDS = ["left", "right"]


def tiny(sizes=(3, 3), positions=2, seed=0, **options):
    """A small prior with weights far from uniform: twenty times the usual start."""
    torch.manual_seed(seed)
    prior = Prior(sizes, WORDS, positions=positions, width=32, layers=2, **options).eval()
    with torch.no_grad():
        for table in (prior.word, prior.place, *prior.code):
            table.weight.mul_(20)
        for head in prior.head:
            head[-1].weight.mul_(5)
    return prior


def every_row(sizes, positions):
    """All rows of codes there are: (K1 K2 …) ** positions of them."""
    column = list(itertools.product(*(range(size) for size in sizes)))
    rows = torch.tensor(list(itertools.product(column, repeat=positions)))
    return rows.transpose(1, 2).contiguous()  # (rows, stages, positions)


@pytest.mark.parametrize("word", ["left", None])
@pytest.mark.parametrize("sizes", [(3, 3), (2, 4)])
def test_probabilities_of_all_rows_sum_to_one(word, sizes):
    rows = every_row(sizes, 2)
    assert len(rows) == math.prod(sizes) ** 2
    p = 2 ** -tiny(sizes).bits(rows, word)
    assert p.sum().item() == pytest.approx(1, abs=1e-5)
    assert p.max() > 5 * p.min()  # and it is not just the uniform one


def test_an_untrained_prior_with_flat_heads_asks_the_nominal_bits():
    prior = tiny((4, 8), positions=3)
    for head in prior.head:
        torch.nn.init.zeros_(head[-1].weight)
        torch.nn.init.zeros_(head[-1].bias)
    assert prior.bits(torch.zeros(1, 2, 3, dtype=torch.int64)).item() == pytest.approx(3 * (2 + 3))


def test_the_price_of_a_code_depends_on_nothing_that_comes_after_it():
    prior, word = tiny((5, 5, 5), positions=6), torch.tensor([1])
    torch.manual_seed(1)
    codes = torch.randint(5, (1, 3, 6))
    before = prior(codes, word)
    for stage, position in itertools.product(range(3), range(6)):
        changed = codes.clone()
        changed[0, stage, position] = (codes[0, stage, position] + 1) % 5
        same = prior(changed, word) == before
        order = torch.arange(6)[None] * 3 + torch.arange(3)[:, None]  # position first, then stage
        at = position * 3 + stage
        assert same[0][order < at].all()
        # Whatever follows at this position or the next does depend on it.
        assert not same[0][(order >= at) & (order <= at + 3)].any()


def test_the_word_matters_and_each_row_may_have_its_own():
    prior, rows = tiny(), every_row((3, 3), 2)[:2]
    left, right, either = (prior.bits(rows, word) for word in ("left", "right", None))
    assert (left - right).abs().min() > 1e-3 and (left - either).abs().min() > 1e-3
    mixed = prior.bits(rows, ["right", None])
    assert torch.allclose(mixed, torch.stack([right[0], either[1]]))


def test_samples_occur_as_often_as_their_probability_says():
    prior, rows, n = tiny(), every_row((3, 3), 2), 20_000
    p = 2 ** -prior.bits(rows, "right")
    drawn = prior.sample("right", n, seed=3)
    weights = torch.tensor([27, 9, 3, 1])
    number = (drawn.transpose(1, 2).flatten(1) * weights).sum(1)  # rows are in this order
    counts = torch.bincount(number, minlength=81)
    chi_square = ((counts - n * p) ** 2 / (n * p)).sum().item()
    assert chi_square < 125  # 80 degrees of freedom: above 125 once in a thousand
    wrong = 2 ** -prior.bits(rows, "left")
    assert ((counts - n * wrong) ** 2 / (n * wrong)).sum() > 1000


def test_temperature_reshapes_the_draw_as_it_says():
    prior, n, temperature = tiny((4,), positions=1), 20_000, 0.5
    rows = every_row((4,), 1)
    p = 2 ** (-prior.bits(rows, "left") / temperature)
    counts = torch.bincount(prior.sample("left", n, temperature=temperature).flatten(), minlength=4)
    assert torch.allclose(counts / n, (p / p.sum()).float(), atol=0.015)


def test_guidance_overstates_what_the_word_makes_more_probable():
    prior, n, guidance = tiny((4,), positions=1, seed=1), 20_000, 3.0
    rows = every_row((4,), 1)
    told, untold = (2 ** -prior.bits(rows, word) for word in ("left", None))
    p = told**guidance * untold ** (1 - guidance)
    drawn = prior.sample("left", n, guidance=guidance).flatten()
    assert torch.allclose(torch.bincount(drawn, minlength=4) / n, (p / p.sum()).float(), atol=0.015)
    assert ((p / p.sum()) - told).abs().max() > 0.05  # which is another distribution
    any_word = [prior.sample(None, 50, guidance=g) for g in (1.0, guidance)]
    assert torch.equal(*any_word)  # nothing to overstate
    start = torch.tensor([[[1]]])
    assert (tiny((4,)).sample("left", 5, guidance=2.0, start=start)[..., :1] == start).all()


def test_top_p_keeps_the_fewest_codes_that_reach_it():
    prior = tiny((6,), positions=1)
    p = 2 ** -prior.bits(every_row((6,), 1), "left")
    ordered = p.sort(descending=True)
    for keep in (1, 2, 4):
        least = ordered.values[: keep - 1].sum() + 0.5 * ordered.values[keep - 1]
        drawn = prior.sample("left", 4000, top_p=least.item()).flatten()
        assert set(drawn.tolist()) == set(ordered.indices[:keep].tolist())


def test_a_tiny_top_p_is_greedy():
    prior = tiny((3, 4), positions=5)
    greedy = torch.zeros(1, 2, 0, dtype=torch.int64)
    for _ in range(5):
        column = every_row((3, 4), 1)
        # The most probable first stage, then the most probable second stage after it.
        longer = torch.cat([greedy.expand(12, -1, -1), column], dim=2)
        prices = prior(longer, torch.zeros(12, dtype=torch.int64))[..., -1]
        first = column[prices[:, 0].argmax(), 0, 0]
        among = (column[:, 0, 0] == first).nonzero()[:, 0]
        greedy = longer[among[prices[among, 1].argmax()]][None]
    for row in prior.sample("left", 3, top_p=1e-6, seed=5):
        assert torch.equal(row, greedy[0])


def test_a_continuation_keeps_its_start_and_follows_it():
    prior = tiny((3, 3), positions=3)
    start = torch.tensor([[[2, 0], [1, 1]]])
    n = 9000
    drawn = prior.sample("left", n, start=start, seed=1)
    assert drawn.shape == (n, 2, 3) and (drawn[..., :2] == start).all()
    column = every_row((3, 3), 1)
    p = 2 ** -prior.bits(torch.cat([start.expand(9, -1, -1), column], dim=2), "left")
    counts = torch.bincount(drawn[:, 0, 2] * 3 + drawn[:, 1, 2], minlength=9)
    assert torch.allclose(counts / n, (p / p.sum()).float(), atol=0.02)
    each = torch.randint(3, (4, 2, 2))
    assert torch.equal(prior.sample("left", 4, start=each)[..., :2], each)
    assert torch.equal(prior.sample("left", start=start, positions=2), start)


def test_the_seed_decides_the_draw():
    prior = tiny((50,), positions=8)
    a, b, c = (prior.sample("left", 2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)
    assert not torch.equal(a[0], a[1])


def test_long_rows_are_priced_in_pieces():
    prior = tiny(positions=4)
    torch.manual_seed(2)
    codes = torch.randint(3, (5, 2, 10))
    pieces = [codes[..., :4], codes[..., 4:8], codes[..., 8:]]
    assert torch.allclose(prior.bits(codes), sum(prior.bits(piece) for piece in pieces))


def test_it_learns_a_small_set_by_heart_and_tells_words_apart():
    torch.manual_seed(0)
    codes = torch.randint(16, (6, 2, 8))
    words = ["left"] * 3 + ["right"] * 3
    prior = Prior((16, 16), WORDS, positions=8, width=32, layers=1, dropout=0.0)
    untrained = prior.bits(codes, words).mean()
    reports: list = []
    history = fit(
        prior, codes[None], words, (codes, words), steps=100, batch_size=6, report_every=25,
        learning_rate=1e-2, on_report=reports.append,
    )  # fmt: skip
    assert reports == history and [report["step"] for report in history] == [25, 50, 75, 100]
    learned = prior.bits(codes, words)
    assert untrained == pytest.approx(2 * 8 * 4, rel=0.15)
    assert learned.max() < 8  # three rows of a word: log2(3) bits if it knew nothing else of them
    assert history[0]["validation_bits"] > history[-1]["validation_bits"]
    assert history[-1]["validation_bits"] == pytest.approx(learned.mean().item(), rel=1e-4)
    assert (prior.bits(codes, words[::-1]) > learned + 5).all()
    by_heart = {tuple(row.flatten().tolist()) for row in codes[:3]}
    drawn = prior.sample("left", 20)
    assert sum(tuple(row.flatten().tolist()) in by_heart for row in drawn) >= 7  # by luck none


def test_training_keeps_the_weights_that_are_best_on_validation():
    torch.manual_seed(0)
    train, validation = torch.randint(16, (1, 4, 1, 8)), torch.randint(16, (40, 1, 8))
    prior = Prior((16,), WORDS, positions=8, width=32, layers=1, dropout=0.0)
    history = fit(
        prior, train, ["left"] * 4, (validation, [None] * 40), steps=60, batch_size=4,
        report_every=10, learning_rate=1e-2,
    )  # fmt: skip
    prices = [report["validation_bits"] for report in history]
    assert prices[-1] > min(prices) + 1  # it went on to learn the four rows by heart
    assert prior.bits(validation).mean().item() == pytest.approx(min(prices), rel=1e-4)


def test_the_same_seed_trains_the_same_prior():
    codes = torch.randint(8, (3, 5, 1, 4))
    prices = []
    for _ in range(2):
        prior = tiny((8,), positions=4, dropout=0.3)
        fit(prior, codes, [None] * 5, (codes[0], [None] * 5), steps=5, batch_size=2)
        prices.append(prior.bits(codes[0]))
    assert torch.equal(prices[0], prices[1])


def test_every_word_counts_the_same_in_the_mean():
    assert mean_by_word(torch.tensor([1.0, 1.0, 1.0, 5.0]), ["a", "a", "a", None]) == 3.0


@pytest.fixture(scope="module")
def codec():
    return small_codec(0)


def small_codec(seed):
    torch.manual_seed(seed)
    options = {"n_mels": 16, "dim": 8, "codebook_size": 32, "width": 16, "decoder_blocks": 1}
    codec = Codec(
        Recipe("speech", options), Features(MelConfig(n_fft=256, hop_length=160, n_mels=16))
    )
    codec.model(torch.randn(8, 16, 100))
    codec.model.eval()
    return codec


def test_saved_and_loaded_prices_alike(tmp_path, codec):
    prior = tiny(codec=codec.identity().hex(), trained={"steps": 7}, dropout=0.4)
    prior.save(tmp_path / "a.safetensors")
    loaded = Prior.load(tmp_path / "a.safetensors")
    rows = every_row((3, 3), 2)
    assert torch.allclose(loaded.bits(rows, "left"), prior.bits(rows, "left"), atol=0.02)
    assert loaded.trained == {"steps": 7} and loaded.words == WORDS
    assert loaded.options == prior.options and not loaded.training
    loaded.save(tmp_path / "b.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


def test_another_codec_is_refused_in_one_sentence(tmp_path, codec):
    prior = tiny(codec=codec.identity().hex())
    prior.save(tmp_path / "prior.safetensors")
    assert load_prior(tmp_path / "prior.safetensors", codec=codec).words == WORDS
    said = f"belongs to the codec {codec.identity().hex()}, not to "
    with pytest.raises(ValueError, match=said):
        load_prior(tmp_path / "prior.safetensors", codec=small_codec(1))
    with pytest.raises(ValueError, match=said):
        prior.check_codec(small_codec(1))


def test_what_is_no_prior_is_refused(tmp_path):
    path = tmp_path / "x.safetensors"
    with pytest.raises(FileNotFoundError, match="check the name"):
        Prior.load(path)
    path.write_bytes(b"not tensors at all")
    with pytest.raises(ValueError, match="is not a vqlab prior"):
        Prior.load(path)
    tiny().save(path)
    tensors, metadata = load_tensors(path)
    described = json.loads(metadata["prior"])
    for lie in ({"width": 64}, {"layers": 3}, {"words": ["left"]}, {"codebook_sizes": [10**12, 3]}):
        save_tensors(tensors, path, {"prior": json.dumps(described | lie)})
        with pytest.raises(ValueError, match="do not fit"):
            Prior.load(path)


@pytest.mark.parametrize(
    ("codes", "said"),
    [
        (torch.zeros(1, 3, 2, dtype=torch.int64), r"takes int64 \(rows, 2, positions\)"),
        (torch.zeros(2, 2, dtype=torch.int64), "takes int64"),
        (torch.zeros(1, 2, 2), "float32"),
        (torch.full((1, 2, 2), 3), "knows 0 to 2"),
        (torch.full((1, 2, 2), -1), "encode with stages=2"),
    ],
)
def test_codes_that_cannot_be_priced_are_refused(codes, said):
    prior = tiny()
    with pytest.raises(ValueError, match=said):
        prior.bits(codes)
    with pytest.raises(ValueError, match="takes int64|knows 0 to"):
        prior.sample("left", start=codes if codes.ndim == 3 else codes[0])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"word": "bird"}, "does not know 'bird': ask for left, right, or None"),
        ({"n": 0}, "n is 0"),
        ({"positions": 3}, "positions is 3: it must be more than 0, at most 2"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"guidance": -1.0}, "guidance is -1.0"),
        ({"start": torch.zeros(2, 3, dtype=torch.int64)}, "1 row.s. of 3 positions"),
        ({"n": 3, "start": torch.zeros(2, 2, 1, dtype=torch.int64)}, "give 1 or 3"),
    ],
)
def test_wishes_that_cannot_be_met_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        tiny().sample(**{"word": "left"} | options)


def test_as_many_words_as_rows():
    with pytest.raises(ValueError, match="1 words for 2 rows"):
        tiny().bits(torch.zeros(2, 2, 2, dtype=torch.int64), ["left"])


def test_codes_become_sound_and_sound_becomes_codes_again(codec):
    """A second of real codes: as many samples as were coded, and the prior takes them."""
    waveform = 0.1 * torch.sin(2 * math.pi * 440 / 16000 * torch.arange(16000))
    codes = codec.encode(waveform, stages=2)[0]
    prior = Prior((32, 32), WORDS, positions=codes.shape[2], width=32, layers=1)
    sound = voice(codec, prior.sample("left", 2, start=codes[..., :10]))
    assert sound.shape == (2, 16000) and torch.isfinite(sound).all()
    assert torch.equal(voice(codec, codes)[0], codec.decode(codes, 16000))


def test_a_stages_vectors_are_what_its_codes_add_to_the_decoders_input(codec):
    first, second = code_vectors(codec, 2)
    assert first.shape == second.shape == (32, 8)
    assert second.mean(dim=0).abs().max() < 1e-5
    decode = codec.model.bottleneck.decode
    z = decode(torch.tensor([[[7], [4]], [[7], [9]], [[3], [9]]]))[..., 0]
    assert torch.allclose(z[0] - z[1], second[4] - second[9], atol=1e-5)
    assert torch.allclose(z[1] - z[2], first[7] - first[3], atol=1e-5)


def test_the_start_knows_which_codes_are_alike_and_how_frequent_they_are():
    prior = Prior((4,), WORDS, positions=2, width=32, layers=1).eval()
    vectors = torch.tensor([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.1], [-1.0, -0.1]])
    rows = torch.tensor([0] * 4 + [1] * 2 + [2] * 1 + [3] * 1)[:, None, None]
    torch.manual_seed(0)
    start_from(prior, [vectors], rows)
    for weight in (prior.code[0].weight, prior.head[0][-1].weight):
        distance = torch.cdist(weight, weight)
        assert distance[0, 1] < 0.3 * distance[0, 2] and distance[2, 3] < 0.3 * distance[1, 3]
    p = prior.head[0][-1].bias.exp()  # half a count for everyone
    assert torch.allclose(p, torch.tensor([4.5, 2.5, 1.5, 1.5]) / 10)


def script(path):
    spec = importlib.util.spec_from_file_location(f"{path.stem}_script", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_varied_clip_is_moved_faster_or_slower_and_as_long_as_before():
    vary = script(ROOT / "tools/train_prior.py").vary
    generator = torch.Generator().manual_seed(0)
    click = torch.zeros(16000)
    click[8000] = 1
    places = [int(vary(click, 16000, generator).abs().argmax()) for _ in range(40)]
    assert 900 < max(abs(place - 8000) for place in places) <= 1602
    assert min(places) < 8000 < max(places)
    wave = torch.sin(2 * math.pi * 1000 / 16000 * torch.arange(16000))
    tones = [torch.fft.rfft(vary(wave, 16000, generator)).abs().argmax() for _ in range(40)]
    assert 920 <= min(tones) < 960 and 1040 < max(tones) <= 1090


def test_a_copy_is_found_though_it_was_moved_and_a_stranger_is_not():
    benchmark = script(ROOT / "benchmarks/prior.py")
    torch.manual_seed(0)
    pictures = torch.full((3, 4, 30), -50.0)
    pictures[..., 12:20] = -40 * torch.rand(3, 4, 8)
    moved = pictures[1:2].roll(-7, dims=2)
    found = benchmark.distances(moved, pictures)[0]
    assert found[1] < 0.1 and min(found[0], found[2]) > 3
    by_hand = (moved[0].roll(7, dims=1) - pictures[0]).square().mean().sqrt()
    assert found[0] <= by_hand + 1e-3
    still = benchmark.distances(pictures[:1], pictures[1:2], shift=0)[0, 0]
    assert still == pytest.approx(
        (pictures[0] - pictures[1]).square().mean().sqrt().item(), abs=1e-3
    )
    codes = torch.randint(1000, (5, 2, 10))
    later = codes[3:4].roll(1, dims=2)
    assert benchmark.equal_codes(later, codes[None]).item() == pytest.approx(0.9)
    assert benchmark.equal_codes(torch.full((1, 2, 10), 1001), codes[None]).item() == 0


def test_every_word_counts_the_same_in_what_was_heard():
    benchmark = script(ROOT / "benchmarks/prior.py")
    words, heard = ["up"] * 3 + ["go"], ["up", "up", "up", "up"]
    assert benchmark.share_heard(heard, words, "up") == 100
    assert benchmark.share_heard(heard, words) == 50


def test_the_static_price_is_that_of_the_shares_in_training():
    benchmark = script(ROOT / "benchmarks/prior.py")
    prior = Prior((4,), WORDS, positions=5, width=32, layers=1)
    train = torch.tensor([0, 0, 0, 0, 0, 1])[:, None, None]  # 5.5 : 1.5 : 0.5 : 0.5 of 8
    (row,) = benchmark.price(prior, train, {"test": (torch.zeros(2, 1, 5).long(), ["up", "left"])})
    assert row["nominal"] == 10
    assert row["static"] == round(5 * -math.log2(5.5 / 8))


def test_a_half_is_taken_for_the_word_under_which_it_costs_least():
    benchmark = script(ROOT / "benchmarks/prior.py")
    torch.manual_seed(0)
    prior = Prior((4,), WORDS, positions=5, width=32, layers=1)
    codes = torch.randint(4, (6, 1, 3))
    taken = benchmark.guesses(prior, codes)
    for row, word in zip(codes, taken, strict=True):
        assert all(prior.bits(row[None], word) <= prior.bits(row[None], w) for w in WORDS)
