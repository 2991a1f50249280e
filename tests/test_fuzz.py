"""Strangers' files and messages: each kind for some seconds of the processor, by tools/fuzz.py."""

import json
import re
import subprocess
import sys
import tracemalloc

import fuzz
import fuzz_kinds
import numpy as np
import pytest
import torch

import vqlab
from vqlab.codec import Codec
from vqlab.experiments import folders
from vqlab.files import load_tensors, save_tensors

SECONDS = 2.0


@pytest.mark.parametrize("kind", fuzz.KINDS)
def test_forged_input_is_taken_or_refused_in_a_sentence(tmp_path, kind):
    got = fuzz.tried(kind, SECONDS, 17, tmp_path)
    assert got["found"] == {}
    assert got["taken"] > 0 and got["refused"] > 0


def test_the_fuzzer_finds_what_is_there(tmp_path, monkeypatch):
    def bad(folder):
        def take(number):
            if number > 5:
                raise KeyError("lost")
            if number > 3:
                raise ValueError("first line\nsecond line")

        return lambda chance: chance.randrange(8), take

    monkeypatch.setitem(fuzz.KINDS, "bad", bad)
    monkeypatch.setattr(fuzz.resource, "setrlimit", lambda *_: None)  # not of this process
    got = fuzz.child("bad", 0.05, 0, tmp_path)
    assert {said.partition(":")[0] for said in got["found"]} == {"KeyError", "ValueError"}
    assert all(open(file).read().isdigit() for file in got["found"].values())
    with pytest.raises(KeyError):
        fuzz.KINDS["none"](tmp_path)
    crashed = fuzz.tried("none", 1.0, 0, tmp_path)
    assert list(crashed["found"]) == ["KeyError: 'none'"]


def test_two_at_once_leave_everything_whole(tmp_path):
    assert fuzz.races(5, tmp_path) == {
        "two unpackers": 5, "two writers": 5, "two trainings": 5,
    }  # fmt: skip


# What a foreign model asks for


@pytest.mark.parametrize("name, value", [("n_fft", 65536), ("sample_rate", True), ("n_mels", -1)])
def test_a_codec_that_asks_for_memory_is_refused_before_it_gets_any(tmp_path, name, value):
    tensors, metadata = load_tensors(fuzz_kinds.GOLDEN / "codec.safetensors")
    described = json.loads(metadata["codec"])
    described["features"]["config"] |= {"n_mels": 20_000, name: value}
    save_tensors(tensors, tmp_path / "a.safetensors", {"codec": json.dumps(described)})
    with pytest.raises(ValueError, match="its description says"):
        Codec.load(tmp_path / "a.safetensors")


@pytest.mark.parametrize("name", ["width", "encoder_blocks", "D", "K"])
def test_a_run_that_asks_for_memory_is_refused_before_it_gets_any(tmp_path, name):
    fuzz_kinds.run_folder(tmp_path)
    path = tmp_path / folders.CONFIG
    text, count = re.subn(rf"\b{name}: (\[?)\d+", rf"{name}: \g<1>30000", path.read_text())
    assert count == 1
    path.write_text(text)
    with pytest.raises(ValueError, match="do not fit its config.yaml|30000"):
        folders.load_model(tmp_path)


def test_weights_of_a_run_that_are_no_numbers_are_refused(tmp_path):
    fuzz_kinds.run_folder(tmp_path)
    tensors, _ = load_tensors(tmp_path / "best.safetensors")
    next(iter(tensors.values())).fill_(float("nan"))
    save_tensors(tensors, tmp_path / "best.safetensors", {})
    with pytest.raises(ValueError, match="NaN or infinity"):
        folders.load_model(tmp_path)


# What a byte of a .vql file can cost: docs/file-format.md has these numbers.


def cheapest(codec: Codec, positions: int) -> bytes:
    """A file of the code that costs least after itself, at the lowest quality."""

    def likely(code: int) -> int:
        return codec.tables._expected(0, np.full((1, 64), code), np.array([63]))[0, code]

    codes = torch.full((1, 1 + len(codec.tables.later), positions), -1)
    codes[0, 0] = max(range(codec.model.bottleneck.codebook_sizes[0]), key=likely)
    return codec.to_bytes(codes, positions * codec.samples_per_position, 0.0, 0)


def test_a_byte_costs_what_the_formats_page_says():
    codec = vqlab.load_pretrained()
    for positions in (1000, 20_000):
        data = cheapest(codec, positions)
        tracemalloc.start()
        codec.from_bytes(data)
        assert tracemalloc.get_traced_memory()[1] < 1_200_000 + 2000 * len(data)
        tracemalloc.stop()
        assert positions / len(data) < 31
    assert 29 < positions / len(data)  # of the longer one, whose header counts for little


def test_no_codec_lets_a_byte_claim_more_than_8000_positions():
    codec = Codec.load(fuzz_kinds.GOLDEN / "codec.safetensors")
    tables = codec.tables
    for table in (tables.first, *tables.later):  # as skewed as a file can say
        table[...] = 1
        table[..., 0] = 32767
    sure = type(tables)(tables.context, tables.first, tables.later)
    tracemalloc.start()
    with pytest.raises(ValueError, match="cannot hold"):
        sure.decode(bytes(100), (8 * 100 + 64) * 1000 + 1, lambda first: np.ones_like(first))
    assert tracemalloc.get_traced_memory()[1] < 20_000_000
    tracemalloc.stop()


REFUSED = """
import resource, sys, time
from pathlib import Path
from vqlab.codec import Codec
from vqlab.experiments import folders
path = Path(sys.argv[1])
modules = set(sys.modules)
start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    folders.load_model(path) if path.is_dir() else Codec.load(path)
except ValueError:
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    more = set(sys.modules) - modules
    print(time.process_time() - start, grown / 1024, len(more), "torch._dynamo" in more)
"""


@pytest.mark.parametrize("kind", ["codec", "run"])
def test_what_is_refused_costs_little_processor_time_and_memory(tmp_path, kind):
    path = tmp_path / "a.safetensors"
    if kind == "codec":
        tensors, metadata = load_tensors(fuzz_kinds.GOLDEN / "codec.safetensors")
        described = json.loads(metadata["codec"])
        described["recipe"]["options"] |= {"width": 60_000}
        save_tensors(tensors, path, {"codec": json.dumps(described)})
    else:
        fuzz_kinds.run_folder(tmp_path)
        config = tmp_path / folders.CONFIG
        config.write_text(re.sub(r"\bwidth: \d+", "width: 60000", config.read_text()))
        path = tmp_path
    command = [sys.executable, "-c", REFUSED, str(path)]
    said = subprocess.run(command, capture_output=True, text=True, cwd=fuzz_kinds.ROOT, check=True)
    seconds, megabytes, modules, compiler = said.stdout.split()
    assert float(seconds) < 1 and float(megabytes) < 300
    assert int(modules) < 100 and compiler == "False"
