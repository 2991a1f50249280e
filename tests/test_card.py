"""The model card's kinds of speech: who belongs where, and noise as strong as it says."""

import card
import pytest
import soundfile
import torch

from vqlab.datasets import Item


@pytest.mark.parametrize(
    ("name", "label", "kind"),
    [
        ("speechocean762", "children", "children"),
        ("speechocean762", "adults", "English as a second language"),
        ("voice_datasets", "nl_NL", "other languages"),
        ("voice_datasets", "en_US", "other sentences"),
        ("vctk", "vctk", "other sentences"),
    ],
)
def test_every_label_belongs_to_one_kind(name, label, kind):
    assert card.kind_of(name, label) == kind


def test_noise_lies_20_db_below_the_loudest_speech(tmp_path, monkeypatch):
    torch.manual_seed(0)
    folder = tmp_path / "SpeechCommands" / "speech_commands_v0.02" / "_background_noise_"
    folder.mkdir(parents=True)
    soundfile.write(folder / f"{card.NOISE}.wav", 0.05 * torch.randn(5 * card.RATE).numpy(), 16000)
    monkeypatch.setenv("VQLAB_DATA", str(tmp_path))
    loud = torch.zeros(3 * card.RATE)
    loud[: card.RATE] = 0.2 * (-1.0) ** torch.arange(card.RATE)  # RMS -14 dBFS
    item = Item(loud, card.RATE, "here", "nobody", tmp_path)
    noise = card.noisy([item])[0].waveform - loud
    assert abs(20 * float(noise.std().log10()) - (-14 - 20)) < 0.5
