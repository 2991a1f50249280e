"""Real speech, where recordings are at hand: the shipped weights, and a training that learns."""

import statistics

import pytest
import torch
from _support import need

import vqlab
from vqlab import datasets, metrics, training
from vqlab.codec import Codec, Recipe
from vqlab.features import Features


@pytest.fixture(scope="module")
def test_clips(recordings):
    """Fifteen clips of speakers that no training saw."""
    return datasets.load("speech_commands", "test", root=recordings, words="right", limit=15)


def mean_stoi(clips, kbps):
    """Intelligibility of what comes out of packed files, each within the rate; mean over clips."""
    need("pystoi")
    values = []
    for item in clips:
        data = vqlab.compress(item.waveform, kbps=kbps)
        assert 8 * len(data) * item.sample_rate <= 1000 * kbps * len(item.waveform)
        decoded, sample_rate = vqlab.decompress(data)
        values.append(metrics.stoi(item.waveform, decoded, sample_rate))
    values = [value for value in values if value is not None]
    assert len(values) >= 10
    return statistics.mean(values)


def test_shipped_weights_are_understood_on_new_speakers_and_better_at_higher_rates(test_clips):
    stoi = [mean_stoi(test_clips, kbps) for kbps in (0.75, 1.0, 1.5)]
    assert stoi[0] < stoi[1] < stoi[2]
    assert stoi[0] > 0.77


def test_level_and_length_of_real_clips_are_kept(test_clips):
    changes = []
    for item in test_clips:
        waveform, _ = vqlab.decompress(vqlab.compress(item.waveform, kbps=1.5))
        assert len(waveform) == len(item.waveform)
        changes.append(float(20 * torch.log10(waveform.std() / item.waveform.std())))
    # Not each clip's: blurred harmonics cost most clips some energy, a few of them 9 dB and more.
    assert abs(statistics.median(changes)) < 4


def test_a_short_training_on_real_words_learns(recordings):
    torch.manual_seed(0)
    torch_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    options = {"width": 48, "decoder_blocks": 2, "codebook_size": 256}
    codec = Codec(Recipe("speech", options), Features())
    sets = {
        split: datasets.load("speech_commands", split, root=recordings, words="right", limit=n)
        for split, n in (("train", 160), ("validation", 32))
    }
    waveforms = {split: training.levelled(codec, data) for split, data in sets.items()}
    assert not set(sets["train"].speakers) & set(sets["validation"].speakers)
    codec.features = codec.features.fitted(waveforms["train"])
    before = training.evaluate(codec.model, waveforms["validation"], features=codec.features)
    run = training.fit(
        codec.model,
        waveforms["train"],
        waveforms["validation"],
        features=codec.features,
        steps=120,
        learning_rate=2e-3,
        augment=training.shift_and_gain,
        device="cpu",
        progress=False,
    )
    torch.set_num_threads(torch_threads)
    assert run.best["validation_error"] < 0.5 * before
    assert min(run.history[0]["used"]) > 25
