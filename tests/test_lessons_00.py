"""Notebook 00: its exercises, what it says of codes, its map."""

import re

import pytest
import torch
from _series import NOTEBOOKS, NUMBERS, notebook, solutions, sources

import vqlab
from vqlab import audio, edit, lessons
from vqlab.spectral import to_db

VOICE = NOTEBOOKS.parent / "data/voices/en/goodbye.flac"


@pytest.fixture(scope="module")
def coded():
    """The word of the notebook: the codec, a quality, and its codes there."""
    codec, waveform = vqlab.load_pretrained(), audio.load(VOICE, sample_rate=16_000)[0]
    quality = codec.quality_for(waveform, kbps=1.0)
    return codec, quality, codec.encode(waveform, quality=quality)[0]


def test_the_decoder_knows_how_many_codes_a_position_has_from_its_first_one(coded):
    codec, quality, codes = coded
    assert codec.depth(codes[:, 0], quality)[0].equal(solutions("00").codes_per_position(codes))


def test_the_solutions_do_what_the_package_does(coded):
    _, _, codes = coded
    solved = solutions("00")
    assert solved.change_one(codes, 4, 7).equal(edit.replace(codes, 4, 0, 7))
    assert solved.join_at(codes, codes.flip(2), 8).equal(edit.join(codes, codes.flip(2), 8))


def test_a_code_changes_its_neighbourhood_and_no_more(coded):
    codec, _, codes = coded
    before, after = (
        to_db(codec.features.power(codec.model.decode(c).detach()))[0]
        for c in (codes, edit.replace(codes, 10, 0, 500))
    )
    changed = (before - after).abs().mean(dim=0) > 1  # by more than 1 dB, of each 10 ms
    assert changed[40:44].all() and 4 < changed.sum() < 20


def word_like():
    """Noise that swells and fades within a second of near silence."""
    swell = torch.hann_window(16_000, periodic=False) ** 4
    return 0.1 * swell * torch.randn(16_000, generator=torch.Generator().manual_seed(0))


def test_what_is_loud_gets_more_codes_as_the_notebook_says():
    codec = vqlab.load_pretrained()
    quality = codec.quality_for(word_like(), 1.0)
    depth = (codec.encode(word_like(), quality=quality)[0][0] >= 0).sum(dim=0).float()
    fifth = len(depth) // 5
    middle, ends = depth[2 * fifth : 3 * fifth], torch.cat([depth[:fifth], depth[-fifth:]])
    assert middle.mean() > 1.5 * ends.mean()


# What learners may write that is none of the listed mistakes: an answer all the same, or a pass.


def test_other_spellings_pass():
    assert lessons.check("00-codes-per-position", lambda codes: codes.ne(-1).sum(1).squeeze(0))
    assert lessons.check("00-change-one", lambda codes, p, c: edit.replace(codes, p, 0, c))
    assert lessons.check("00-join-at", edit.join)


def test_a_change_in_place_and_a_change_elsewhere_get_different_hints():
    def in_place(codes, position, code):
        codes[0, 0, position] = code
        return codes

    def elsewhere(codes, position, code):
        changed = codes.clone()
        changed[0, position, 0] = code
        return changed

    assert "clone" in lessons.check("00-change-one", in_place).sentence
    assert "last axis" in lessons.check("00-change-one", elsewhere).sentence


def test_the_map_names_each_notebook_its_pieces_and_the_minutes_of_its_banner():
    (series,) = [text for text in sources("00", "markdown") if text.startswith("## The series")]
    rows = [line.strip("| ").split(" | ") for line in series.splitlines() if line[:3] == "| 0"]
    rows += [line.strip("| ").split(" | ") for line in series.splitlines() if line[:3] == "| 1"]
    assert [row[0] for row in rows] == NUMBERS
    for number, title, _, pieces, minutes in rows:
        banner = sources(number, "markdown")[0]
        assert number == "00" or f"]({notebook(number).name})" in title
        assert minutes == re.search(r"About (\d+) minutes", banner)[1], number
        asked = sum(name[:2] == number for name in lessons.pieces())
        assert pieces == (str(asked) if asked else "–"), number
