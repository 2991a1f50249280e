"""The one-kilobit challenge: a file is scored by what its bytes are worth; a failure is told."""

import csv
import subprocess
import sys

import pytest

from vqlab.cli import main
from vqlab.datasets.items import spread_over_speakers
from vqlab.lessons import challenge

EIGHT_BITS = """
import os, torch
print("a file may print")
assert os.listdir() == []
def compress(waveform):
    return (waveform * 127).round().clamp(-127, 127).to(torch.int8).numpy().tobytes()
def decompress(data):
    return torch.frombuffer(bytearray(data), dtype=torch.int8).float() / 127
"""


@pytest.fixture
def clips():
    return challenge.clips_named("words")[::60]


def written(tmp_path, text):
    path = tmp_path / "mine.py"
    path.write_text(text)
    return path


def test_a_file_is_scored_by_the_bytes_of_the_bare_clips(tmp_path, clips):
    row = challenge.score_file(written(tmp_path, EIGHT_BITS), clips)
    assert row["codec"] == "mine" and row["stored"] == pytest.approx(128)
    assert row["stoi"].mean > 0.95  # of the clips that are long enough for it


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("return (waveform", "raise KeyError('no'); (waveform", "compress failed at clip 1: Key"),
        ("/ 127\n", "/ 127 * data[-1:]\n", "decompress failed at clip 1: TypeError"),
        (".tobytes()", "", "it gave ndarray, not bytes"),
        ("/ 127\n", "[:9]\n", "too short"),
        ("def compress", "def squeeze", "compress failed at clip 1: KeyError: 'compress'"),
        ("import os", "import time; time.sleep(60)", "compress took more than 5 s"),
        ("import os", "import os; os._exit(0)", "compress ended after 0 of"),
    ],
)
def test_a_failure_is_one_sentence(tmp_path, clips, old, new, told):
    path = written(tmp_path, EIGHT_BITS.replace(old, new))
    seconds = 5 if "sleep" in new else None
    with pytest.raises(ValueError, match="mine.py") as found:
        challenge.score_file(path, clips[:1], seconds=seconds)
    assert told in str(found.value) and "\n" not in str(found.value)


def test_a_file_ends_in_its_time_where_nobody_waits_for_it_any_more(tmp_path):
    path = written(tmp_path, "while True: pass")
    command = [sys.executable, "-c", challenge.RUNNER, str(path), "compress", "1"]
    assert b"Timeout" in subprocess.run(command, capture_output=True).stderr


def test_the_command_goes_on_after_a_failure_and_writes_one_table(tmp_path, capsys):
    good, bad = written(tmp_path, EIGHT_BITS), tmp_path / "bad.py"
    bad.write_text("def compress(waveform): return 1")
    out = tmp_path / "all.csv"
    assert main(["score", str(bad), str(good), "--limit", "2", "--csv", str(out)]) == 2
    said = capsys.readouterr()
    assert "| mine | 128.00 |" in said.out and "bad.py" in said.err
    (row,) = csv.DictReader(out.open())
    assert row["codec"] == "mine" and float(row["stored_kbps"]) == 128


def test_a_limit_takes_clips_of_as_many_speakers_and_words_as_it_can():
    clips = challenge.clips_named("words")
    labels, speakers = [clip.label for clip in clips], [clip.speaker for clip in clips]
    for limit in (2, 10, 12, 500):
        chosen = [clips[n] for n in spread_over_speakers(labels, speakers, limit)]
        assert len(chosen) == min(limit, len(clips))
        for names, all_of_them in (
            ([c.label for c in chosen], labels),
            ([c.speaker for c in chosen], speakers),
        ):
            assert len(set(names)) == min(limit, len(set(all_of_them)))
    with pytest.raises(ValueError, match="limit is 0"):
        spread_over_speakers(labels, speakers, 0)


def test_beside_recordings_of_people_stand_the_codecs_measured_on_them(clips, tmp_path):
    row = challenge.score_file(written(tmp_path, EIGHT_BITS), clips[:1])
    text = challenge.table([row], "people")
    assert "| Codec2 3200 | 3.20 | 0.796" in text and "| **vqlab 1** |" in text
    assert "not measured on these clips" in challenge.table([row], "words")


def test_other_clips_are_refused():
    with pytest.raises(ValueError, match="'words' or 'people'"):
        challenge.clips_named("birds")
