"""Notebook 09 teaches what the package does: its coder writes the package's bytes; its tables."""

import ast
import heapq
import math

import numpy as np
import pytest
import torch
from _series import taught
from _support import ROOT

from vqlab import lessons, quantize
from vqlab.codec import entropy
from vqlab.lessons import codec_plots as rates
from vqlab.lessons import nb09, result_table


@pytest.fixture(scope="module")
def by_hand():
    return taught("09", torch=torch, np=np, heapq=heapq, quantize=quantize)


def random_tables(seed, size=16, groups=4):
    draw = np.random.default_rng(seed)
    weights = draw.integers(1, entropy.LARGEST_WEIGHT, (groups, size))
    weights = np.maximum(1, weights // draw.integers(1, 3000, weights.shape))
    return entropy.Tables(draw.integers(0, groups, size), weights, [])


def row_after(tables):
    rows = entropy.frequencies(tables.first)
    return lambda before: rows[tables.context[before[-1]] if before else 0]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("count", [1, 2, 9, 150])
def test_the_notebooks_coder_writes_the_packages_bytes_and_reads_them(by_hand, seed, count):
    tables = random_tables(seed)
    codes = np.random.default_rng(seed + 100).integers(0, 16, (1, count))
    data = by_hand["encode"](codes[0].tolist(), row_after(tables))
    assert data == tables.encode(codes)
    assert by_hand["decode"](data, count, row_after(tables)) == codes[0].tolist()


def test_the_notebooks_total_is_the_packages(by_hand):
    assert by_hand["TOTAL"] == entropy.TOTAL


def test_the_step_of_the_exercise_is_a_step_of_the_coder(by_hand):
    table = entropy.frequencies(np.array([[5, 1, 7, 3]]))[0]
    low, width = lessons.find("09-range-step").right(0, 2**64 - 1, table.tolist(), 2)
    number = int.from_bytes(by_hand["encode"]([2], lambda before: table).ljust(8, b"\0"), "big")
    assert low <= number < low + width


def test_the_lengths_of_the_exercises_are_those_of_the_package():
    tables = random_tables(3, groups=1)
    table, codes = entropy.frequencies(tables.first)[0], np.array([[3, 0, 15, 7, 7]])
    length = lessons.find("09-code-length").right(torch.tensor(codes[0]), torch.tensor(table))
    assert float(length) == pytest.approx(tables.cost(codes).sum())
    bits = lessons.find("09-table-entropy").right(torch.tensor(table).double())
    shares = table / table.sum()
    assert float(bits) == pytest.approx(float((shares * tables.cost(np.arange(16)[None])[0]).sum()))


def test_context_never_costs_on_the_counts_it_was_made_of():
    counts = torch.rand(7, 9, generator=torch.Generator().manual_seed(0)).pow(4)
    with_context = lessons.find("09-bits-by-context").right(counts)
    assert with_context < lessons.find("09-table-entropy").right(counts.sum(dim=0))


def test_the_rate_of_the_exercise_is_the_quantisers():
    layer = quantize.ResidualQuantizer(4, 64, 3)
    rate = lessons.find("09-rvq-rate").right
    assert rate(torch.full((50,), 3), layer.codebook_sizes, 2.0) == pytest.approx(
        25 * layer.bits_per_position
    )


@pytest.mark.parametrize("seed", range(8))
def test_no_code_of_whole_bits_beats_huffmans(by_hand, seed):
    shares = np.random.default_rng(seed).dirichlet(np.ones(5) / 2)
    words = by_hand["huffman"](dict(zip("abcde", shares, strict=True)))
    mean = sum(p * len(words[k]) for k, p in zip("abcde", shares, strict=True))
    lengths = np.stack(np.meshgrid(*[range(1, 6)] * 5), axis=-1).reshape(-1, 5)
    allowed = lengths[(2.0**-lengths).sum(axis=1) <= 1]  # Kraft: these have a prefix code
    assert mean == pytest.approx((allowed @ shares).min())
    assert not any(a != b and words[b].startswith(words[a]) for a in words for b in words)


def test_huffman_by_hand(by_hand):
    words = by_hand["huffman"]({"a": 0.6, "b": 0.2, "c": 0.1, "d": 0.1})
    assert [len(words[k]) for k in "abcd"] == [1, 2, 3, 3]


# --- the measured tables --------------------------------------------------------------------------


def test_the_peers_are_the_rows_of_the_table_and_can_be_drawn():
    points = nb09.peers()
    assert {"vqlab", "Codec2", "Opus", "Speex", "limit"} == {p["family"] for p in points}
    text = (ROOT / "docs" / "results" / "codecs" / "table.md").read_text(encoding="utf-8")
    assert len(points) == sum(line.startswith("| ") for line in text.splitlines()) - 1 - 2
    for point in points:
        mean, low, high = point["stoi"]
        assert low <= mean <= high and (point["kbps"] is None) == (point["family"] == "limit")
    figure = rates.rate_quality(points, measures={"stoi": "STOI"})
    assert [line.get_label() for line in figure.axes[0].get_lines()].count("vqlab") == 1


def test_the_wheel_carries_the_tables_that_the_notebook_reads(tmp_path, monkeypatch):
    source = (ROOT / "tools" / "hatch_build.py").read_text(encoding="utf-8")
    (names,) = [
        ast.literal_eval(node.value)
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "RESULTS"
    ]
    for name in names:  # as they lie in an installed wheel
        place = tmp_path / "vqlab" / "_data" / "results" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(nb09.results(name).read_bytes())
    monkeypatch.setattr(nb09, "__file__", str(tmp_path / "vqlab" / "_data" / "checks" / "nb09.py"))
    assert len(nb09.peers()) > 10
    rows = result_table.read_table(nb09.results("words-small", "results.csv"))
    assert {"vq", "ae", "rvq", "fsq"} <= {row["model"] for row in rows}
    with pytest.raises(FileNotFoundError, match="nsynth"):
        nb09.results("nsynth.csv")


def test_the_prose_about_the_grid_is_what_the_table_says():
    rows = result_table.read_table(nb09.results("words-small", "results.csv"))

    def mean(key, **wanted):
        found = [r[key] for r in rows if all(r[name] == value for name, value in wanted.items())]
        return sum(found) / len(found)

    vq = {"model": "vq", "D": 32}
    assert sum(row["model"] != "inversion" for row in rows) == 25
    assert mean("db", **vq, K=16) - mean("db", **vq, K=1024) == pytest.approx(0.6, abs=0.05)
    gain = mean("db", **vq, K=1024) - mean("db", model="rvq", stages=8)
    assert gain == pytest.approx(0.3, abs=0.05)
    fsq = {"model": "fsq", "K": 64000}
    assert mean("db", **fsq) < mean("db", model="rvq", stages=8)
    # On the line from two stages to four, at the rate of these finite scalars:
    ends = [(mean("bits_per_second", model="rvq", stages=n), mean("stoi", model="rvq", stages=n))
            for n in (2, 4)]  # fmt: skip
    (x0, y0), (x1, y1) = [(math.log(rate), stoi) for rate, stoi in ends]
    x = math.log(mean("bits_per_second", **fsq))
    assert mean("stoi", **fsq) < y0 + (y1 - y0) * (x - x0) / (x1 - x0)
    assert mean("latent_bits", model="ae", D=1) == 992
    assert mean("sse", model="ae", D=1) > mean("sse", **vq, K=1024)
