"""The live picture: redrawn in place, in words too, and without a trace in the training."""

import pytest
import torch

from vqlab import codec, training
from vqlab.features import Features
from vqlab.lessons import live
from vqlab.training.runs import Run

SMALL = {"width": 8, "codebook_size": 16, "stages": 2, "decoder_blocks": 1}


@pytest.fixture
def shown(monkeypatch):
    """What is on the page: a list of outputs, each a list of the states it has had."""
    outputs = []

    class Handle:
        def __init__(self, thing):
            outputs.append([thing])
            self.states = outputs[-1]

        def update(self, thing):
            self.states.append(thing)

    monkeypatch.setattr("IPython.display.display", lambda thing, display_id: Handle(thing))
    return outputs


def run_with(*steps, used=True):
    coded = {"used": [5, 7]} if used else {}
    history = [
        {"step": n, "loss": 1 / n, "error": 60 / n, "validation_error": 50 / n} | coded
        for n in steps
    ]
    return Run(None, {"steps": 100}, history, step=steps[-1])


def a_codec():
    torch.manual_seed(0)
    coder = codec.Codec(codec.Recipe("speech", SMALL), Features())
    sound = 0.1 * torch.randn(4000, generator=torch.Generator().manual_seed(1))
    return coder, sound


def test_many_reports_leave_one_picture_and_one_player(shown):
    coder, sound = a_codec()
    picture = live.Live(coder, sound)
    for n in range(1, 7):
        picture(run_with(*range(10, 10 * n + 1, 10)))
    assert [len(states) for states in shown] == [6, 6]
    assert "Step 60" in shown[0][-1].alt


def test_the_player_keeps_early_sounds_and_the_newest(shown):
    coder, sound = a_codec()
    picture = live.Live(coder, sound)
    for n in range(1, 8):
        picture(run_with(10 * n))
    labels = [version.label for version in shown[1][-1].versions]
    assert labels == ["original", "10 steps", "20 steps", "40 steps", "70 steps"]


def test_here_begins_new_outputs_and_keeps_the_sounds(shown):
    coder, sound = a_codec()
    picture = live.Live(coder, sound)
    picture(run_with(10))
    picture.here()(run_with(10, 20))
    assert [len(states) for states in shown] == [1, 1, 1, 1]
    assert [v.label for v in shown[3][0].versions] == ["original", "10 steps", "20 steps"]


def test_without_a_sound_there_is_the_picture_alone(shown):
    live.Live()(run_with(10))
    assert len(shown) == 1


def test_the_words_tell_what_the_picture_shows():
    told = live.sentence(run_with(10, 20))
    assert "Step 20: loss 0.050 (first report 0.100)" in told
    assert "validation speakers 2.50 dB" in told and "in each stage: 5, 7." in told


def test_the_figure_has_a_panel_of_codes_only_where_there_are_codes():
    assert len(live.figure(run_with(10, 20)).axes) == 3
    assert len(live.figure(run_with(10, 20, used=False)).axes) == 2


def test_a_live_picture_changes_nothing_in_the_training(shown):
    weights = []
    for watched in (True, False):
        coder, sound = a_codec()
        x = 0.1 * torch.randn(6, 3200, generator=torch.Generator().manual_seed(2))
        training.fit(
            coder.model, x, x, features=coder.features, steps=6, batch_size=3, report_every=2,
            device="cpu", progress=False, on_report=live.Live(coder, sound) if watched else None,
        )  # fmt: skip
        weights.append(coder.model.state_dict())
    assert all(torch.equal(a, weights[1][name]) for name, a in weights[0].items())


def test_a_codec_without_a_sound_is_refused():
    with pytest.raises(ValueError, match="together"):
        live.Live(a_codec()[0])
