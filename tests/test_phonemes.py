"""Phonemes heard differently: counted right, and the committed table is of what ships."""

import builtins
import json

import code_key
import phonemes
import pytest
from _support import ROOT

import vqlab

RESULTS = ROOT / "docs" / "results" / "phonemes"


@pytest.mark.parametrize(
    ("heard", "again", "count"),
    [
        ("", "", 0),
        ("k æ t", "k æ t", 0),
        ("k æ t", "", 3),  # all left out
        ("", "k æ t", 3),  # all put in
        ("k æ t", "k ʌ t", 1),  # one replaced
        ("s t ɑ p", "t ɑ p s", 2),  # one left out, one put in
        ("k ɪ t ə n", "s ɪ t ɪ ŋ z", 4),  # three replaced, one put in
        ("aɪ", "a ɪ", 2),  # a diphthong is one phoneme, not its letters
    ],
)
def test_changes_are_the_fewest_phonemes_replaced_left_out_or_put_in(heard, again, count):
    assert phonemes.changes(heard.split(), again.split()) == count
    assert phonemes.changes(again.split(), heard.split()) == count


def test_the_share_is_over_the_phonemes_of_the_original():
    assert phonemes.share("k æ t s".split(), ["k"]) == 75.0
    assert phonemes.share(["k"], "k æ t s".split()) == 300.0
    assert phonemes.share([], ["k"]) is None


def test_a_missing_recogniser_is_said_with_the_command_that_installs_it(monkeypatch):
    imported = builtins.__import__

    def without(name, *arguments):
        if name == "hama":
            raise ImportError(name)
        return imported(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ValueError, match="pip install --no-deps hama=="):
        phonemes.recogniser()


def test_the_committed_table_is_of_its_scores_and_of_the_shipped_weights():
    """Else: `benchmarks/phonemes.py`, which measures anew only what is out of date."""
    scores = json.loads((RESULTS / "scores.json").read_text(encoding="utf-8"))
    text = phonemes.table(scores["codecs"], scores["clips"]["speakers"])
    assert text == (RESULTS / "table.md").read_text(encoding="utf-8")
    ours = {row["version"] for row in scores["codecs"] if row["family"] == "vqlab"}
    assert ours == {code_key.version_of(vqlab.load_pretrained("speech"))}
