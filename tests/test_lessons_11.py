"""Notebook 11: what it counts equals the package, and its checks answer a learner rightly."""

import ast
import itertools

import pytest
import torch
from _series import sources

from vqlab import lessons, models, quantize
from vqlab.experiments import evaluate, front, reading
from vqlab.experiments.grid import singles
from vqlab.spectral import MelConfig

CODE = sources("11")


# --- the references of the exercises are what the package does ------------------------------------


@pytest.mark.parametrize(("height", "width", "K"), [(32, 32, 8), (16, 24, 100), (8, 8, 512)])
def test_the_bits_of_the_exercise_are_those_of_the_model(height, width, K):
    bits = lessons.find("11-bits-per-picture").right
    model = models.thesis(quantize.VectorQuantizer(3, K), units=4).eval()
    codes = model.codes(torch.rand(1, 1, height, width))
    expected = codes.numel() * model.bottleneck.bits_per_position
    assert bits(height, width, model.stride, K) == pytest.approx(expected)


def test_the_error_of_the_exercise_is_the_one_of_the_evaluation(tmp_path):
    grid = reading.read(reading.find("mnist-minimal"))
    single = singles(grid)[0]
    pictures = torch.rand(5, 1, 16, 16)
    model = models.thesis(models.Identity(2), units=4).eval()
    row, _, _ = evaluate.measure(single, model, evaluate.Split(pictures))
    with torch.no_grad():
        expected = lessons.find("11-summed-error").right(pictures, model(pictures)[0])
    assert row["sse"] == pytest.approx(float(expected), rel=1e-4)


def test_the_decibels_of_the_exercise_are_those_of_the_front_end():
    config = MelConfig(n_fft=64, hop_length=32, n_mels=1)
    small = front.Front(config, mel=False, frames=16, inversion="griffin_lim", iterations=1)
    random = torch.Generator().manual_seed(0)
    sound = 0.1 * torch.randn(2, small.samples, generator=random)
    sound[1] *= 0.01
    found = lessons.find("11-to-decibels").right(*small.analyse(sound))
    torch.testing.assert_close(found, small.decibels(sound), rtol=1e-4, atol=1e-3)


def test_the_names_of_the_exercise_are_those_of_a_grids_runs():
    grid = reading.read(reading.find("nsynth-minimal"))
    (vq,) = [b for b in grid.bottlenecks if b.kind == "vq"]
    names = lessons.find("11-run-names").right(vq.D, vq.K, grid.training.seeds)
    assert names == [single.name for single in singles(grid) if single.bottleneck.kind == "vq"]


def test_joined_maps_keep_the_codes_of_both():
    a, b = torch.zeros(1, 1, 4, 8, dtype=torch.long), torch.ones(1, 1, 4, 8, dtype=torch.long)
    joined = lessons.find("11-swap-right").right(a, b)
    assert joined[0, 0].sum(dim=0).tolist() == [0, 0, 0, 0, 4, 4, 4, 4]


# --- a learner's other answers --------------------------------------------------------------------


def test_other_right_ways_pass():
    assert lessons.check("11-summed-error", lambda x, y: (x - y).pow(2).flatten(1).sum(1).mean())
    assert lessons.check(
        "11-run-names",
        lambda Ds, Ks, seeds: [
            f"vq-D{d}-K{k}-s{s}" for d, k, s in itertools.product(Ds, Ks, seeds)
        ],
    )
    assert lessons.check(
        "11-swap-right", lambda a, b: torch.cat([a.chunk(2, -1)[0], b.chunk(2, -1)[1]], -1)
    )


def test_the_error_summed_over_pictures_too_gets_its_own_hint():
    verdict = lessons.check("11-summed-error", lambda x, y: ((x - y) ** 2).sum())
    assert verdict.state == "wrong" and "error would double" in verdict.sentence


def test_stretching_by_high_alone_gets_its_own_hint():
    verdict = lessons.check("11-to-decibels", lambda p, low, high: p * high.reshape(-1, 1, 1))
    assert verdict.state == "wrong" and "then add low" in verdict.sentence


def test_averaged_codes_are_told_apart_from_exchanged_ones():
    assert "names" in lessons.check("11-swap-right", lambda a, b: (a + b) // 2).sentence
    exchanged = lessons.check("11-swap-right", lambda a, b: torch.cat([b[..., :3], a[..., 3:]], -1))
    assert "exchanged" in exchanged.sentence


# --- the notebook ---------------------------------------------------------------------------------


def test_one_switch_each_takes_it_to_the_real_sets():
    (cell,) = [text for text in CODE if text.startswith("import") and "FAST = True" in text]
    (line,) = [line for line in cell.splitlines() if line.startswith("DIGITS, PHOTOS, NOTES = ")]
    assert '"digits", "patches", "notes"' in line
    assert all(f'"{name}"' in line for name in ("mnist", "cifar10", "nsynth"))
    used = {node.id for text in CODE[2:] for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Name)}  # fmt: skip
    assert {"DIGITS", "PHOTOS", "NOTES", "FAST"} <= used


def test_the_changed_file_of_the_notebook_differs_from_the_shipped_one():
    """`str.replace` says nothing where it finds nothing."""
    (cell,) = [text for text in CODE if text.startswith("better = ")]
    text = reading.find("nsynth-minimal").read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(cell)):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "replace":
            assert node.args[0].value in text
