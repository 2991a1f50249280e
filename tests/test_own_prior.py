"""Her own prior: ours until there is one, hers with the codec it knows, trained beside all else."""

import math
import time

import pytest
import torch

from vqlab import datasets, lessons
from vqlab.files import bundled
from vqlab.lessons import own_file, own_prior_training


def solve(*names):
    """Pass exercises as somebody does who writes what the solutions have."""
    solutions = own_file.load(bundled("solutions", "my_codec.py"))
    for name in names:
        assert lessons.check(name, getattr(solutions, own_file.reference()[1][name].defines))


def test_until_hers_has_a_version_ours_is_given_and_knows_what_follows(capsys):
    module, codec, prior, words = lessons.trained_prior()
    assert "800 steps" in capsys.readouterr().out
    clips = datasets.load("words", "test", words="all", limit=40)
    codes = own_prior_training.coded(module, codec, clips)[0]
    told = torch.tensor([words.index(label) for label in clips.labels])
    with torch.no_grad():
        known = -prior(codes, told).sum(dim=(1, 2)).mean() / math.log(2)
        hidden = -prior(codes, torch.full_like(told, len(words))).sum(dim=(1, 2)).mean()
    assert known < 1_030 and known < hidden / math.log(2)  # of 1,200 nominal
    assert bundled("weights", "own", "my_prior.npz").stat().st_size < 1_100_000


def test_hers_is_given_with_the_codec_whose_codes_it_knows(her_file, capsys):
    solve(*lessons.pieces())
    module, path = lessons.own(), her_file.with_suffix(".npz")
    module.save_codec(module.Codec(), path)
    mark = module.fingerprint(lessons.own().load_codec(path))
    prior = module.Prior(3, 50)
    own_prior_training.save(prior, her_file.with_suffix(".prior.npz"), ["a", "b", "c"], mark)
    _, codec, found, words = lessons.trained_prior()
    assert "Your prior" in capsys.readouterr().out and words == ["a", "b", "c"]
    assert module.fingerprint(codec) == mark
    torch.testing.assert_close(found.word.weight, prior.word.weight, rtol=1e-3, atol=1e-3)
    module.save_codec(module.Codec(), path)  # it has learned since, and no version is kept
    lessons.trained_prior()
    assert "is not kept" in capsys.readouterr().out


def test_no_training_of_a_prior_is_started_where_it_is_off(monkeypatch, capsys):
    monkeypatch.setenv("VQLAB_TRAINING", "off")
    assert not lessons.start_training(of="prior").running
    assert "VQLAB_TRAINING is off" in capsys.readouterr().out
    with pytest.raises(ValueError, match="prior"):
        lessons.training("voice")


@pytest.mark.timeout(1200)  # its process loads torch and codes 450 clips
def test_her_prior_is_trained_in_a_process_of_its_own(her_file, capsys):
    solve("12-attend")
    lessons.start_training("words", minutes=0.05, of="prior")
    now, end = lessons.training("prior"), time.monotonic() + 900
    while now.running and time.monotonic() < end:
        time.sleep(0.5)
    assert now.state["ended"] == "finished", her_file.with_suffix(".prior.training.log").read_text()
    assert now.state["versions"] == [0.05] and "Training of the prior" in lessons.progress()
    assert "| 12-attend | **yours** |" in lessons.progress()
    assert repr(lessons.training()) == "No training yet."
    lessons.trained_prior()
    assert "Your prior" in capsys.readouterr().out
