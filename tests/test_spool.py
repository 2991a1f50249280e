"""A sound on disk serves in place of a waveform."""

import numpy as np
import pytest
import soundfile
import torch

from vqlab import audio
from vqlab.audio.long import spool


@pytest.mark.parametrize("rate, channels, samples", [
    (8000, 2, 5003), (44100, 1, 132317), (16000, 1, 777), (48000, 3, 50000), (22050, 2, 22051),
    (16000, 1, 1),
])  # fmt: skip
def test_it_holds_what_load_gives(tmp_path, rate, channels, samples):
    noise = 0.1 * np.random.default_rng(0).standard_normal((samples, channels))
    soundfile.write(tmp_path / "a.wav", noise.astype(np.float32), rate, subtype="FLOAT")
    expected, _ = audio.load(tmp_path / "a.wav", sample_rate=16000)
    with spool(tmp_path / "a.wav", 16000) as sound:
        assert len(sound) == len(expected)
        assert torch.allclose(sound[:], expected, atol=1e-6)
        assert torch.equal(sound[3:10], sound[:][3:10])
        assert torch.equal(sound[len(sound) - 2 : len(sound) + 50], sound[:][-2:])


def test_what_is_wrong_with_a_file_is_said_as_load_says_it(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"not a sound at all")
    for path, kind in ((tmp_path / "a.wav", ValueError), (tmp_path / "b.wav", FileNotFoundError)):
        with pytest.raises(kind) as by_load:
            audio.load(path)
        with pytest.raises(kind) as by_spool, spool(path, 16000):
            pass
        assert str(by_load.value) == str(by_spool.value)


def test_a_cut_file_gives_what_is_there_with_a_warning(tmp_path):
    audio.save(tmp_path / "a.wav", torch.full((20000,), 0.1), 16000)
    (tmp_path / "b.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:-8000])
    with pytest.warns(UserWarning, match="cut short"), spool(tmp_path / "b.wav", 16000) as sound:
        assert len(sound) == 16000
