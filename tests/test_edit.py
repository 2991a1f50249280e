"""Playing with codes: each edit does what its name says, and what it gives are codes again."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import vqlab
from vqlab import audio, edit
from vqlab.codec import Codec, Recipe
from vqlab.features import Features
from vqlab.files import bundled
from vqlab.spectral import MelConfig

K = 16


@pytest.fixture(scope="module")
def codec():
    """A small untrained codec: its sound is poor, its bookkeeping is the real one."""
    torch.manual_seed(0)
    options = {"n_mels": 16, "dim": 8, "codebook_size": K, "stages": 4, "width": 16,
               "encoder_blocks": 1, "decoder_blocks": 1, "fine_blocks": 1}  # fmt: skip
    made = Codec(
        Recipe("variable_speech", options),
        Features(MelConfig(n_fft=256, hop_length=160, n_mels=16)),
    )
    for layer in made.model.bottleneck.layers:
        layer.codebook.copy_(torch.randn(K, 8))
    for weight in made.model.decoder.parameters():  # not the start that lets nothing through
        torch.nn.init.normal_(weight, std=0.2)
    made.model.eval()
    return made


def column(depth, values):
    return values[:depth] + [-1] * (len(values) - depth)


@st.composite
def some_codes(draw, positions=None, stages=None):
    stages = stages or draw(st.integers(1, 4))
    positions = positions or draw(st.integers(1, 7))
    numbers = st.lists(st.integers(0, K - 1), min_size=stages, max_size=stages)
    columns = [column(draw(st.integers(1, stages)), draw(numbers)) for _ in range(positions)]
    return torch.tensor(columns).T.unsqueeze(0)


two = st.integers(1, 7).flatmap(lambda n: st.tuples(some_codes(n), some_codes(n)))


def codes_of(*columns):
    """Codes from their columns, one for each position."""
    return torch.tensor(columns).T.unsqueeze(0)


def same(a, b):
    return a.dtype == b.dtype == torch.int64 and torch.equal(a, b)


def depths(codes):
    return (codes[0] >= 0).sum(dim=0)


@given(some_codes(), st.data())
def test_every_edit_of_one_gives_codes_and_leaves_its_own_alone(codes, data):
    before = codes.clone()
    place = st.integers(0, codes.shape[2] - 1)
    position, other, length = data.draw(place), data.draw(place), data.draw(st.integers(1, 5))
    stage = data.draw(st.integers(0, int(depths(codes)[position]) - 1))
    for made, positions in (
        (edit.replace(codes, position, stage, data.draw(st.integers(-(stage > 0), K))), None),
        (edit.swap(codes, position, other), None),
        (edit.reverse(codes), None),
        (edit.hold(codes, position, length), codes.shape[2] + length - 1),
        (edit.stretch(codes, length / 3), max(1, round(length / 3 * codes.shape[2]))),
    ):
        edit.check(made)
        assert made.shape == (1, codes.shape[1], positions or codes.shape[2])
        made.fill_(7)  # a result shares no memory with what it was made of
        assert same(codes, before)


@given(two, st.data())
def test_every_edit_of_two_gives_codes_and_leaves_its_own_alone(pair, data):
    a, b = pair
    before = a.clone(), b.clone()
    stages, positions = max(a.shape[1], b.shape[1]), a.shape[2]
    for made in (
        edit.join(a, b, data.draw(st.integers(0, positions))),
        edit.cross(a, b, data.draw(st.integers(0, stages))),
    ):
        edit.check(made)
        assert made.shape == (1, stages, positions)
        made.fill_(7)
        assert same(a, before[0]) and same(b, before[1])


# one


def test_replace_by_hand():
    codes = codes_of([1, 2, 3], [4, 5, -1], [6, -1, -1])
    assert same(edit.replace(codes, 1, 0, 9), codes_of([1, 2, 3], [9, 5, -1], [6, -1, -1]))
    assert same(edit.replace(codes, 2, 1, 9), codes_of([1, 2, 3], [4, 5, -1], [6, 9, -1]))
    assert same(edit.replace(codes, 0, 1, -1), codes_of([1, -1, -1], [4, 5, -1], [6, -1, -1]))


@pytest.mark.parametrize(
    ("position", "stage", "code", "said"),
    [
        (3, 0, 0, "position is 3, allowed here: 0 to 2"),
        (-1, 0, 0, "position is -1"),
        (2, 2, 0, "stage is 2, allowed here: 0 to 1"),
        (0, 3, 0, "stage is 3, allowed here: 0 to 2"),
        (0, 0, -1, "code is -1"),
        (0, 1, -2, "code is -2"),
    ],
)
def test_replace_leaves_no_gap_and_says_why(position, stage, code, said):
    codes = codes_of([1, 2, 3], [4, 5, -1], [6, -1, -1])
    with pytest.raises(ValueError, match=said):
        edit.replace(codes, position, stage, code)


@given(some_codes(), st.data())
def test_swap_and_reverse_are_undone_by_doing_them_again(codes, data):
    place = st.integers(0, codes.shape[2] - 1)
    first, second = data.draw(place), data.draw(place)
    swapped = edit.swap(codes, first, second)
    assert same(swapped[..., first], codes[..., second])
    assert same(edit.swap(swapped, first, second), codes)
    assert same(edit.reverse(codes)[..., 0], codes[..., -1])
    assert same(edit.reverse(edit.reverse(codes)), codes)


def test_hold_by_hand():
    codes = codes_of([1, 2], [3, -1], [4, 5])
    assert same(edit.hold(codes, 1, 3), codes_of([1, 2], [3, -1], [3, -1], [3, -1], [4, 5]))
    assert same(edit.hold(codes, 2, 1), codes)
    with pytest.raises(ValueError, match="length is 0, allowed here: 1 or more"):
        edit.hold(codes, 0, 0)


def test_stretch_by_hand():
    codes = codes_of([0], [1], [2], [3])
    assert edit.stretch(codes, 1.5).tolist() == [[[0, 1, 1, 2, 3, 3]]]
    assert edit.stretch(codes, 0.5).tolist() == [[[1, 3]]]
    assert edit.stretch(codes, 0.01).tolist() == [[[2]]]
    for factor in (0, -1, 101, float("nan")):
        with pytest.raises(ValueError, match="above 0 and at most 100"):
            edit.stretch(codes, factor)


@given(some_codes(), st.integers(1, 6))
def test_stretch_repeats_and_is_undone(codes, times):
    longer = edit.stretch(codes, times)
    assert same(longer, codes.repeat_interleave(times, dim=2))
    assert same(edit.stretch(longer, 1 / times), codes)


# two


def test_join_by_hand():
    a, b = codes_of([1, 2], [3, -1]), codes_of([5], [6], [7])
    assert same(edit.join(a, b, 1), codes_of([1, 2], [6, -1], [7, -1]))
    assert same(edit.join(b, a, 2), codes_of([5, -1], [6, -1]))
    assert same(edit.join(a, b, 0), codes_of([5, -1], [6, -1], [7, -1]))
    with pytest.raises(ValueError, match="at is 3, allowed here: 0 to 2"):
        edit.join(a, b, 3)


def test_cross_by_hand():
    a = codes_of([1, 2, 3], [1, 2, -1], [1, -1, -1], [1, 2, 3])
    b = codes_of([5, 6, 7], [5, 6, 7], [5, 6, 7], [5, -1, -1])
    # In the third position a ends before b could go on; in the last b has nothing to add.
    crossed = codes_of([1, 2, 7], [1, 2, 7], [1, -1, -1], [1, 2, -1])
    assert same(edit.cross(a, b, 2), crossed)


@given(two)
def test_cross_with_none_or_all_stages_is_the_one_or_the_other(pair):
    a, b = pair
    stages = max(a.shape[1], b.shape[1])
    assert same(edit.cross(a, b, 0)[:, : b.shape[1]], b)
    assert same(edit.cross(a, b, stages)[:, : a.shape[1]], a)
    with pytest.raises(ValueError, match=f"stages is {stages + 1}, allowed here: 0 to {stages}"):
        edit.cross(a, b, stages + 1)


@given(two, st.integers(0, 4))
def test_cross_is_as_deep_as_both_allow(pair, stages):
    a, b = pair
    stages = min(stages, a.shape[1], b.shape[1])
    of_a, of_b = depths(a), depths(b)
    wanted = torch.where(of_a < stages, of_a, of_b.clamp(min=stages))
    assert same(depths(edit.cross(a, b, stages)), wanted)


def test_two_of_different_lengths_are_not_crossed():
    a, b = codes_of([1], [2]), codes_of([1], [2], [3])
    with pytest.raises(ValueError, match="one has 2 positions, the other 3: .* align"):
        edit.cross(a, b, 1)


# alignment


def every_path(rows, columns):
    """All ways from (0, 0) to the end by steps down, right, or both."""
    if rows == columns == 0:
        return [[(0, 0)]]
    before = [(rows - i, columns - j) for i, j in ((1, 0), (0, 1), (1, 1))]
    return [
        [*path, (rows, columns)]
        for r, c in before
        if r >= 0 and c >= 0
        for path in every_path(r, c)
    ]


@pytest.mark.parametrize(("of_a", "of_b"), [(4, 5), (5, 3), (1, 4), (4, 1)])
def test_counterparts_are_those_of_the_cheapest_of_all_paths(codec, of_a, of_b):
    torch.manual_seed(of_a)
    for _ in range(5):
        a, b = torch.randint(K, (1, 3, of_a)), torch.randint(K, (1, 3, of_b))
        bands = []
        for codes in (a, b):
            x = codec.model.decode(codes)[0].reshape(16, codes.shape[2], 4).mean(dim=2)
            bands.append(x - x.mean(dim=1, keepdim=True))
        cost = (bands[0][:, :, None] - bands[1][:, None, :]).square().sum(dim=0)
        paths = every_path(of_a - 1, of_b - 1)
        best = min(paths, key=lambda path: sum(float(cost[step]) for step in path))
        wanted = []
        for _, steps in itertools.groupby(best, key=lambda step: step[0]):
            visited = [column for _, column in steps]
            wanted.append(visited[(len(visited) - 1) // 2])
        assert edit.counterparts(a, b, codec).tolist() == wanted


def test_what_is_aligned_has_the_others_length_and_its_own_depth(codec):
    torch.manual_seed(0)
    a = torch.randint(K, (1, 4, 9))
    assert same(edit.align(a, a, codec), a)
    b = edit.hold(edit.cross(a, a, 4)[:, :2], 3, 5)
    aligned = edit.align(a, b, codec)
    assert aligned.shape == (1, 2, 9)
    edit.check(edit.cross(a, aligned, 1))
    assert edit.align(a, codes_of([1], [2]), codec).shape == (1, 1, 9)


def test_a_word_spoken_slower_is_found_again_by_the_shipped_model():
    """A bundled voice against itself, 1.4 times as slow and a fifth lower in all frequencies."""
    import librosa

    shipped = vqlab.load_pretrained("speech")
    waveform, rate = audio.load(bundled("voices", "en", "hello.flac"), sample_rate=16000)
    lower = librosa.resample(waveform.numpy(), orig_sr=rate, target_sr=1.25 * rate)
    slower = torch.from_numpy(librosa.effects.time_stretch(lower, rate=1.25 / 1.4))
    a, b = (shipped.encode(sound)[0] for sound in (waveform, slower))
    found = edit.counterparts(a, b, shipped)
    assert (found.diff() >= 0).all()
    power = torch.nn.functional.pad(waveform, (0, a.shape[2] * 640 - len(waveform)))
    power = power.reshape(-1, 640).square().mean(dim=1)
    heard = power > 0.01 * power.max()
    wanted = 1.4 * (torch.arange(a.shape[2]) + 0.5) - 0.5
    assert (found - wanted)[heard].abs().mean() < 1.4  # within one position of a


# sound


def test_codes_sound_as_long_as_their_positions(codec):
    torch.manual_seed(0)
    codes = torch.randint(K, (1, 4, 6))
    assert codec.samples_per_position == 640
    loud = edit.sound(codes, codec)
    assert loud.shape == (6 * 640,) and torch.isfinite(loud).all() and loud.abs().max() > 0
    torch.testing.assert_close(edit.sound(codes, codec, gain_db=20) * 10, loud)
    torch.testing.assert_close(loud, codec.decode(codes, 6 * 640))


def test_what_was_encoded_sounds_as_it_is_decoded(codec):
    waveform = 0.1 * torch.sin(torch.arange(6400) * 0.2)
    codes, gain_db = codec.encode(waveform, quality=9)
    heard = edit.sound(codes, codec, gain_db=gain_db)
    torch.testing.assert_close(heard, codec.decode(codes, 6400, gain_db))


def test_every_code_that_is_edited_is_heard(codec):
    codes = torch.full((1, 4, 5), 3)
    before = edit.sound(codes, codec)
    for stage in range(4):
        assert not torch.allclose(edit.sound(edit.replace(codes, 2, stage, 9), codec), before)
    assert edit.sound(codes[..., :1], codec).shape == (640,)


def test_a_code_that_the_codec_does_not_have_is_refused(codec):
    with pytest.raises(ValueError, match=str(K)):
        edit.sound(codes_of([K]), codec)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (torch.zeros(3, 4, dtype=torch.int64), "not .3, 4. of torch.int64"),
        (torch.zeros(2, 3, 4, dtype=torch.int64), "not .2, 3, 4."),
        (torch.zeros(1, 3, 0, dtype=torch.int64), "at least one position"),
        (torch.zeros(1, 3, 4), "of torch.float32"),
        (torch.tensor([[[0, -2]]]), "codes hold -2"),
        (torch.tensor([[[0, -1], [0, -1]]]), "position 1 has"),
        (torch.tensor([[[0, 1], [-1, 2], [3, 4]]]), "position 0 has a code after a missing one"),
    ],
)
def test_what_is_not_codes_is_refused_everywhere(codec, wrong, said):
    right = codes_of([1], [2], [3], [4])
    for use in (
        lambda: edit.sound(wrong, codec),
        lambda: edit.replace(wrong, 0, 0, 1),
        lambda: edit.swap(wrong, 0, 0),
        lambda: edit.reverse(wrong),
        lambda: edit.hold(wrong, 0, 1),
        lambda: edit.stretch(wrong, 1),
        lambda: edit.join(right, wrong, 0),
        lambda: edit.cross(right, wrong, 1),
        lambda: edit.counterparts(right, wrong, codec),
    ):
        with pytest.raises(ValueError, match=said):
            use()
