"""Notebook 10 with a sound of one's own as FILE: every cell runs, or the recorder says why not.

And with the exercises solved: then the cells run on the learner's functions.
"""

import linecache
import shutil

import numpy as np
import pytest
import soundfile
from _series import sections, sources
from matplotlib import pyplot

from vqlab.files import bundled
from vqlab.lessons import own_file

RATE = 16_000


def run(path, answers=None):
    """Run set-up, the first player, and every section that uses the sound; return what is there.

    answers : what stands in a cell instead, by its id
    """
    setup = next(source for source in sources("10") if "\nFILE = None" in source)
    names = {}
    exec(setup.replace("\nFILE = None", f"\nFILE = {str(path)!r}"), names)
    (player,) = (source for source in sources("10") if "\nshipped = " in source)
    exec(player, names)
    try:
        for name, source in sections("10", "(?:voice|mine)"):
            source = (answers or {}).get(name, source)
            linecache.cache[name] = len(source), None, source.splitlines(True), name
            if name != "challenge-run":  # does not use the sound
                exec(compile(source, name, "exec"), names)
    finally:
        pyplot.close("all")
    return names


def written(path, samples):
    soundfile.write(path, samples, RATE)
    return path


def voice(samples):
    """A hum that comes and goes, (samples,)."""
    times = np.arange(samples) / RATE
    return 0.3 * np.cos(2 * np.pi * 200 * times) * np.cos(2 * np.pi * 3 * times)


@pytest.mark.filterwarnings("ignore:.*cancel one another")  # the notebook's own example
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros(RATE // 2), "nothing to hear"),
        (voice(640), "tenth of a second"),
        (voice(1), "tenth of a second"),
        (voice(4800), "0.30 s"),
    ],
    ids=["silence", "40 ms", "one sample", "a name of one's own"],
)
def test_every_cell_runs_on(samples, said, tmp_path, capsys):
    names = run(written(tmp_path / "my own voice.wav", samples))
    assert len(names["voice"]) == len(samples)
    out = capsys.readouterr().out
    assert said in out and "my own voice.wav" in out and "bundled clip" not in out


def test_an_hour_is_refused_by_the_recorder_before_it_is_loaded(tmp_path):
    path = written(tmp_path / "hour.flac", np.zeros(3600 * RATE, np.int16))
    with pytest.raises(ValueError, match="lasts 3600 s, taken are at most 120 s: cut it first"):
        run(path)


@pytest.mark.timeout(900)
def test_the_cells_run_on_what_the_learner_wrote(her_file, tmp_path, capsys):
    answers = {
        f"stub-{name}": own_file.reference()[1][f"10-{name}"].text
        for name in ("checksum", "compress", "decompress")
    }
    shutil.copy(bundled("weights", "own", "my_codec.npz"), her_file.with_suffix(".npz"))
    names = run(written(tmp_path / "short.wav", voice(3200)), answers)
    assert names["checksum"].__code__.co_filename == "stub-checksum"
    for stub in answers:
        assert f"# --- 10-{stub[5:]} --- yours" in her_file.read_text()
    out = capsys.readouterr().out
    assert "Your codec, " in out and "10-compress: yours." in out
    assert "the same bytes as here: True" in out
    assert "20 sections filled in with ours" in out and len(names["filled"]) == 20
