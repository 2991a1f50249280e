"""Two processes at once at one place: unpackers, writers, trainings; `tools/fuzz.py --races`."""

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from vqlab.experiments import folders
from vqlab.files import load_tensors
from vqlab.training.runs import LAST

ROOT = Path(__file__).resolve().parent.parent

UNPACKER = """
import sys, warnings
from pathlib import Path
from vqlab.datasets.archives import unpacked
warnings.simplefilter("ignore")
for line in sys.stdin:
    place = unpacked(Path(line.strip()), "set", most_bytes=1 << 30, most_files=10_000)
    print(sum(1 for _ in place.rglob("*.wav")), flush=True)
"""
WRITER = """
import sys
from pathlib import Path
from vqlab.files import write_whole
for line in sys.stdin:
    write_whole(Path(line.strip()), sys.argv[1].encode() * 300_000)
    print("written", flush=True)
"""
TRAINER = """
import sys, torch
from vqlab import models, training
for line in sys.stdin:
    torch.manual_seed(0)
    data = torch.randn(8, 8, 20)
    model = models.speech(n_mels=8, dim=4, codebook_size=8, stages=1, width=8, decoder_blocks=1)
    try:
        run = training.fit(
            model, data, data, out=line.strip(), steps=20, report_every=5, batch_size=4,
            device="cpu", progress=False,
        )
        print(run.step, flush=True)
    except ValueError as error:
        print(error, flush=True)
"""


def both(code: str, arguments: tuple[str, str], places: list[Path]) -> list[list[str]]:
    """What two processes say that are told each place at once."""
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    started = [
        subprocess.Popen([sys.executable, "-c", code, given], cwd=ROOT, **pipes)
        for given in arguments
    ]
    said = []
    for place in places:
        for one in started:
            one.stdin.write(f"{place}\n")
            one.stdin.flush()
        said.append([one.stdout.readline().strip() for one in started])
    for one in started:
        one.communicate()
    return said


def races(times: int, folder: Path) -> dict[str, int]:
    """How often two unpackers of an archive, two writers of a file, two trainings of a run left
    it whole; of the trainings one may be refused, in a sentence."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz", compresslevel=1) as tar:
        for n in range(500):
            member = tarfile.TarInfo(f"set/{n:03}.wav")
            member.size = 100
            tar.addfile(member, io.BytesIO(bytes(100)))
    places = []
    for n in range(times):
        places.append(folder / str(n) / "set.tar.gz")
        places[-1].parent.mkdir()
        places[-1].write_bytes(file.getvalue())
    said = both(UNPACKER, ("", ""), places)
    unpacked = sum(
        answers == ["500", "500"] and sorted(os.listdir(place.parent)) == ["set", "set.tar.gz"]
        for answers, place in zip(said, places, strict=True)
    )
    places = [folder / f"written {n}" for n in range(times)]
    said = both(WRITER, ("a", "b"), places)
    whole = {letter * 300_000 for letter in (b"a", b"b")}
    written = sum(
        answers == ["written"] * 2 and place.read_bytes() in whole
        for answers, place in zip(said, places, strict=True)
    )
    places = [folder / f"trained {n}" for n in range(times)]
    said = both(TRAINER, ("", ""), places)
    trained = sum(
        "20" in answers
        and all(a == "20" or a.startswith("another process works in") for a in answers)
        and [report["step"] for report in folders.reports_of(place)] == [5, 10, 15, 20]
        and bool(load_tensors(place / "best.safetensors") and load_tensors(place / LAST))
        for answers, place in zip(said, places, strict=True)
    )
    left = [path for path in folder.rglob("*.part")]
    return {
        "two unpackers": unpacked, "two writers": written, "two trainings": trained - len(left),
    }  # fmt: skip
