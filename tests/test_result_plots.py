"""Result plots: what is read from a table, and what the pictures of it show."""

import csv
import json
import math
import runpy
import subprocess
import sys
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
import run_plots
import torch
from _support import ROOT
from matplotlib import pyplot
from PIL import Image

from vqlab.experiments import reading
from vqlab.experiments.grid import singles
from vqlab.files import save_tensors
from vqlab.lessons import result_frequency, result_table
from vqlab.lessons import result_plots as plots

COLUMNS = (
    "grid run dataset model D K stages seed parameters positions latent_bits seconds "
    "bits_per_second test_items sse db stoi used perplexity epochs best_epoch validation_error "
    "train_seconds"
).split()
POSITIONS, SECONDS = 64, 0.5


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def cells(model, d, k=None, *, seed=0, stages=None, sse=10.0, db=None, **more):
    """One line of a table, as the evaluation writes it: text, empty where there is nothing."""
    stages = stages or (1 if k else None)
    bits = POSITIONS * (stages * math.log2(k) if k else 32 * d)
    run = "-".join(str(part) for part in (model, d, k, stages, seed) if part is not None)
    row = {
        "grid": "test", "run": run, "dataset": "patches", "model": model, "D": d, "K": k,
        "stages": stages, "seed": seed, "positions": POSITIONS, "latent_bits": bits, "sse": sse,
        "db": db, "validation_error": sse,
    } | more  # fmt: skip
    return {name: "" if row.get(name) is None else str(row[name]) for name in COLUMNS}


def sound(model, d, k=None, **more):
    row = cells(model, d, k, dataset="notes", seconds=SECONDS, **more)
    return row | {"bits_per_second": str(float(row["latent_bits"]) / SECONDS)}


def inversion(**more):
    row = dict.fromkeys(COLUMNS, "") | {"grid": "test", "run": "inversion", "model": "inversion"}
    return row | {"dataset": "notes", "seconds": "0.5", "db": "0.9"} | more


def written(folder, rows):
    path = folder / "results.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def table(tmp_path):
    """Rows given as cells, read back from a file."""
    return lambda *rows: result_table.read_table(written(tmp_path, rows))


THREE_SEEDS = [
    cells("vq", 10, k, seed=seed, sse=sse)
    for k, errors in {32: [16.0, 18.0, 20.0], 256: [9.0, 9.0, 12.0]}.items()
    for seed, sse in enumerate(errors)
]
AUTOENCODERS = [cells("ae", d, sse=sse) for d, sse in ((1, 12.0), (2, 6.0), (4, 3.0))]


def line(ax, label):
    """The errorbar's points and bars: x, y, low ends, high ends (None without bars)."""
    (found,) = [box for box in ax.containers if box.get_label() == label]
    data, _, bars = found
    if not bars:
        return *data.get_data(), None, None
    ends = np.array(bars[0].get_segments())[:, :, 1]
    return *data.get_data(), ends[:, 0], ends[:, 1]


def breaks(ax):
    return [mark for mark in ax.get_lines() if mark.get_label() == "_break"]


def legend_texts(figure):
    """Title and names of a figure's legends, and of its parts'."""
    parts = [figure, *figure.subfigs]
    legends = [legend for part in parts for legend in part.legends]
    return [t.get_text() for legend in legends for t in (legend.get_title(), *legend.get_texts())]


def nothing_lies_on_another(figure):
    """No label, tick, title or legend of a figure covers another one, or leaves the figure."""
    figure.draw_without_rendering()
    boxes = [legend.get_window_extent() for part in [figure, *figure.subfigs]
             for legend in part.legends]  # fmt: skip
    for ax in figure.axes:
        tops = [child for child in ax.child_axes]
        for part in [ax, *tops]:
            low, high = sorted(part.get_xlim())
            ticks = zip(part.get_xticks(), part.get_xticklabels(), strict=False)  # none if shared
            boxes += [text.get_window_extent() for x, text in ticks if low <= x <= high]
            boxes += [part.xaxis.label.get_window_extent()] if part.get_xlabel() else []
        boxes += [text.get_window_extent() for text in ax.texts]
        title = ax._left_title  # ax.title is the one in the middle
        boxes += [title.get_window_extent()] if title.get_text() else []
    overlaps = [(a, b) for n, a in enumerate(boxes) for b in boxes[:n] if a.overlaps(b)]
    inside = figure.bbox.padded(1)
    return not overlaps and all(
        inside.x0 <= box.x0 and box.x1 <= inside.x1 and inside.y0 <= box.y0 and box.y1 <= inside.y1
        for box in boxes
    )


def test_importing_result_plots_does_not_import_matplotlib():
    code = "import sys, vqlab.lessons.result_plots; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_table_is_read_with_numbers_and_empty_cells(table):
    first, second = table(sound("ae", 3, db=1.5), inversion())
    assert (first["model"], first["D"], first["K"], first["stoi"]) == ("ae", 3.0, None, None)
    assert (first["latent_bits"], first["bits_per_second"]) == (64 * 96, 2 * 64 * 96)
    assert (second["run"], second["db"], second["sse"]) == ("inversion", 0.9, None)


def test_a_file_that_is_no_table_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"results.csv holds no run; there is nothing to draw\.$"):
        result_table.read_table(written(tmp_path, []))
    wrong = written(tmp_path, [cells("ae", 1), cells("ae", 2, sse="much")])
    with pytest.raises(ValueError, match="line 3: sse is 'much', not a number"):
        result_table.read_table(wrong)
    wrong.write_text("run,model\na,ae\n")
    with pytest.raises(ValueError, match="no column 'dataset'.*vqlab evaluate"):
        result_table.read_table(wrong)


def test_seeds_become_a_mean_and_a_sample_standard_deviation(table):
    (curve,) = result_table.curves(table(*THREE_SEEDS), "latent_bits", "sse")
    assert curve.label == "VQ-VAE, D = 10" and curve.settings == [(10, 32), (10, 256)]
    assert curve.x.tolist() == [64 * 5, 64 * 8]
    assert curve.mean.tolist() == [18, 10] and curve.seeds.tolist() == [3, 3]
    # sqrt((4 + 0 + 4) / 2) and sqrt((1 + 1 + 4) / 2)
    assert curve.deviation.tolist() == pytest.approx([2, math.sqrt(3)])


def test_runs_that_differ_in_more_than_the_seed_are_not_averaged(table):
    rows = table(cells("fsq", 4, 1000, run="one"), cells("fsq", 4, 1000, run="other"))
    with pytest.raises(ValueError, match="one and other have the same D, K, stages and seed"):
        result_table.curves(rows, "latent_bits", "sse")


def test_residual_curves_go_over_what_varies_most(table):
    over_stages = table(*[cells("rvq", 8, k, stages=s) for k in (64, 256) for s in (1, 2, 3)])
    labels = [curve.label for curve in result_table.curves(over_stages, "latent_bits", "sse")]
    assert labels == ["residual VQ, D = 8, K = 64", "residual VQ, D = 8, K = 256"]
    over_codes = table(*[cells("rvq", 8, k, stages=s) for k in (64, 128, 256) for s in (2, 4)])
    labels = [curve.label for curve in result_table.curves(over_codes, "latent_bits", "sse")]
    assert labels == ["residual VQ, D = 8, stages = 2", "residual VQ, D = 8, stages = 4"]


def test_the_published_figures_are_those_of_the_thesis():
    nsynth = result_table.published("nsynth")
    assert nsynth == result_table.published("notes")
    drawn = {c.label: c for c in result_table.curves(nsynth, "latent_bits", "sse")}
    assert drawn["VQ-VAE, D = 256"].mean.tolist() == [186, 153, 128, 102, 97, 93]
    assert drawn["VQ-VAE, D = 10"].mean.tolist() == [189, 165, 152, 130, 119, 102]
    assert drawn["AE"].mean.tolist() == [215, 164, 90, 58, 42, 30, 16, 10, 8, 5]
    # K = 512 takes 9 bits a position: 35.5 kbit/s over 4.152 s.
    x = dict(zip(drawn["VQ-VAE, D = 10"].settings, drawn["VQ-VAE, D = 10"].x, strict=True))
    assert x[10, 512] / 4.152 == pytest.approx(35.5e3, rel=1e-3)
    (cifar,) = result_table.curves(result_table.published("cifar10"), "latent_bits", "sse")
    assert cifar.label == "VQ-VAE, D = 10 or 11"
    assert cifar.mean.tolist() == [16.8, 13.8, 12.0, 10.8, 9.2, 8.4, 7.7, 7.6]
    assert cifar.x[[0, -1]].tolist() == [64 * 5, 64 * 12]
    assert result_table.published("mnist") == []


def test_the_axis_is_broken_between_vq_vae_and_ae(table):
    figure = plots.error_against_latent(table(*THREE_SEEDS, *AUTOENCODERS))
    left, right = figure.axes
    assert left.get_xlim()[0] < 320 < 512 < left.get_xlim()[1] < 2048
    assert 512 < right.get_xlim()[0] < 64 * 32 < 64 * 128 < right.get_xlim()[1]
    assert left.get_ylim() == right.get_ylim() and left.get_ylim()[0] == 0
    assert not left.spines["right"].get_visible() and not right.spines["left"].get_visible()
    (left_mark,), (right_mark,) = breaks(left), breaks(right)
    assert list(left_mark.get_xdata()) == [1, 1] and list(right_mark.get_xdata()) == [0, 0]
    assert list(left_mark.get_ydata()) == [0, 1] and not left_mark.get_clip_on()
    x, y, low, high = line(left, "VQ-VAE, D = 10")
    assert (list(x), list(y)) == ([320, 512], [18, 10])
    assert low.tolist() == pytest.approx([16, 10 - math.sqrt(3)])
    assert high.tolist() == pytest.approx([20, 10 + math.sqrt(3)])
    x, y, low, _ = line(right, "AE")
    assert (list(x), list(y), low) == ([2048, 4096, 8192], [12, 6, 3], None)
    tops = [ax.child_axes[0] for ax in (left, right)]
    assert [text.get_text() for text in tops[1].get_xticklabels()] == ["1", "2", "4"]
    assert {"32", "256"} <= {text.get_text() for text in tops[0].get_xticklabels()}
    assert "mean of 1 to 3 seeds, bars: ± one standard deviation" in legend_texts(figure)[0]


def test_published_errors_are_grey_among_ours_where_the_scales_compare(table):
    figure = plots.error_against_latent(table(*THREE_SEEDS, *AUTOENCODERS))
    left, right = figure.axes
    x, y, _, _ = line(left, "published: VQ-VAE, D = 10 or 11")
    assert list(y) == [16.8, 13.8, 12.0, 10.8, 9.2, 8.4, 7.7, 7.6] and x[0] == 320
    (box,) = [box for box in left.containers if "published" in box.get_label()]
    assert box[0].get_color() == "0.5"
    assert any("published, other data" in text for text in legend_texts(figure))
    assert len(right.containers) == 1  # the thesis's AE on CIFAR-10 is not among the figures


@pytest.mark.parametrize("change", [{"positions": "16"}, {"sse": "900"}], ids=str)
def test_published_errors_have_their_own_panel_where_the_scales_differ(table, change):
    rows = [row | change for row in (cells("vq", 10, 32), cells("ae", 1))]
    figure = plots.error_against_latent(table(*rows))
    ours, _, theirs = figure.axes
    assert [box.get_label() for box in ours.containers] == ["VQ-VAE, D = 10"]
    assert [box.get_label() for box in theirs.containers] == ["VQ-VAE, D = 10 or 11"]
    assert theirs.containers[0][0].get_color() == "0.5" and not breaks(theirs)
    assert any(text.startswith("published, other data") for text in legend_texts(figure))


def test_without_ae_or_without_published_figures_there_is_one_axis(table):
    rows = [row | {"dataset": "digits"} for row in THREE_SEEDS]
    (ax,) = plots.error_against_latent(table(*rows)).axes
    assert not breaks(ax) and ax.spines["right"].get_visible()


def test_axes_that_would_not_follow_one_another_are_not_called_broken(table):
    small = cells("ae", 1) | {"latent_bits": "32"}
    rows = [row | {"dataset": "digits"} for row in (cells("vq", 10, 32), small)]
    assert not any(breaks(ax) for ax in plots.error_against_latent(table(*rows)).axes)


def test_missing_cells_are_left_out_of_the_curves(table):
    rows = table(*THREE_SEEDS, cells("vq", 10, 64, sse=None), cells("ae", 2, latent_bits=None))
    left = plots.error_against_latent(rows).axes[0]
    assert list(line(left, "VQ-VAE, D = 10")[0]) == [320, 512]
    with pytest.raises(ValueError, match="No VQ-VAE or AE.*nothing to draw"):
        plots.error_against_latent(table(cells("vq", 10, 64, sse=None)))
    with pytest.raises(ValueError, match="No run of the table has latent_bits"):
        plots.error_against_rate(table(cells("vq", 10, 64, sse=None)))


@pytest.mark.parametrize("draw", [plots.error_against_latent, plots.error_against_rate])
def test_an_empty_table_and_mixed_data_are_refused(draw, table):
    with pytest.raises(ValueError, match="holds no run"):
        draw([])
    with pytest.raises(ValueError, match="runs of notes, patches"):
        draw(table(cells("ae", 1), sound("ae", 2)))


def test_sound_is_drawn_against_bits_per_second(table):
    rows = [sound("vq", 10, 32, seed=seed, db=db) for seed, db in enumerate([4.0, 5.0, 7.5])]
    rows += [sound("ae", 1, db=3.0), sound("vae", 1, db=3.5), sound("fsq", 4, 1000, db=2.0)]
    rows += [sound("rvq", 10, 32, stages=s, db=4.0 / s) for s in (1, 2)]
    (ax,) = plots.error_against_rate(table(*rows, inversion())).axes
    assert ax.get_xscale() == "log" and "dB" in ax.get_ylabel()
    assert "bits per second" in ax.get_xlabel()
    x, y, low, high = line(ax, "VQ-VAE, D = 10")
    deviation = math.sqrt((1.5**2 + 0.5**2 + 2**2) / 2)
    assert (x[0], y[0]) == (64 * 5 / 0.5, 5.5)
    assert (low[0], high[0]) == pytest.approx((5.5 - deviation, 5.5 + deviation))
    assert list(line(ax, "residual VQ, D = 10, K = 32")[0]) == [640, 1280]
    labels = {box.get_label() for box in ax.containers}
    assert labels > {"AE", "VAE", "finite scalars"}
    looks = {(box[0].get_color(), box[0].get_marker()) for box in ax.containers}
    assert len({color for color, _ in looks}) == len({marker for _, marker in looks}) == 5
    (dashed,) = [mark for mark in ax.get_lines() if mark.get_linestyle() == "--"]
    assert set(dashed.get_ydata()) == {0.9} and ax.texts[0].get_text() == "inversion alone"


def test_intelligibility_has_a_panel_where_it_is_known(table):
    rows = table(sound("vq", 8, 64, db=3.0, stoi=0.8), sound("vq", 8, 128, db=2.0), inversion())
    error, heard = plots.error_against_rate(rows).axes
    assert heard.get_ylabel() == "STOI"
    assert list(line(heard, "VQ-VAE, D = 8")[1]) == [0.8]
    assert len(line(error, "VQ-VAE, D = 8")[1]) == 2


def test_pictures_are_drawn_against_bits_for_a_picture(table):
    (ax,) = plots.error_against_rate(table(*THREE_SEEDS, *AUTOENCODERS)).axes
    assert ax.get_xscale() == "log" and "bits for a picture" in ax.get_xlabel()
    assert list(line(ax, "AE")[1]) == [12, 6, 3]


def example(rows, height=8, width=6):
    """Errors by row and one item of each run, as an evaluation leaves them."""
    original = torch.linspace(-60, 0, height * width).reshape(height, width)
    tensors = {}
    for n, row in enumerate(rows):
        tensors[row["run"]] = torch.arange(height) + float(n)
        if row["model"] != "inversion":
            tensors[f"{row['run']}.original"] = original.clone()
            tensors[f"{row['run']}.reconstruction"] = original + n
    return tensors


def test_reconstructions_and_errors_stand_beside_the_original(table):
    rows = table(sound("vq", 10, 32, db=4.0), sound("ae", 2, db=2.5), inversion())
    errors = example(rows)
    original, vq, ae, curve = run_plots.reconstructions(rows, errors).axes
    shown = [np.asarray(ax.images[0].get_array()) for ax in (original, vq, ae)]
    assert np.array_equal(shown[0], errors["vq-10-32-1-0.original"])
    assert np.array_equal(shown[2] - shown[0], np.ones((8, 6)))
    assert {ax.images[0].get_clim() for ax in (original, vq, ae)} == {(-60, 0)}
    assert original.images[0].origin == "lower"  # low frequencies are below
    assert vq.get_title(loc="left") == "VQ-VAE\nD = 10, K = 32\n4 dB"
    lines = {drawn.get_label(): drawn for drawn in curve.get_lines()}
    assert list(lines) == ["VQ-VAE", "AE", "inversion alone"]
    assert list(lines["AE"].get_xdata()) == list(range(1, 9))
    assert list(lines["AE"].get_ydata()) == list(range(8))
    assert curve.get_ylim() == original.get_ylim()
    figure = run_plots.reconstructions(rows, errors | {"hz": torch.arange(8) * 1000.0})
    figure.canvas.draw()
    original, *_, curve = figure.axes
    for ax in (original, curve):
        shown = {label.get_text() for label in ax.get_yticklabels()}
        assert {"0", "2", "4", "6"} <= shown
    assert (original.get_xlabel(), original.get_ylabel()) == ("time (s)", "frequency (kHz)")


def test_a_picture_is_not_turned_upside_down(table):
    rows = table(cells("ae", 2))
    figure = run_plots.reconstructions(rows, example(rows), runs=["ae-2-0"])
    assert figure.axes[0].images[0].origin == "upper"
    assert figure.axes[-1].get_ylim() == (7.5, -0.5)
    with pytest.raises(ValueError, match="no reconstruction of ae-2-0"):
        run_plots.reconstructions(rows, {})


def test_errors_of_several_models_stand_against_the_frequency(table):
    rows = table(
        sound("vq", 10, 32, db=4.0, validation_error=2.0),
        sound("vq", 10, 64, db=3.0, validation_error=1.0),
        sound("ae", 2, db=2.5, validation_error=1.0),
        inversion(),
    )
    errors = example(rows, height=512) | {"hz": torch.arange(512) * 15.625}
    (ax,) = result_frequency.error_against_frequency(rows, errors).axes
    assert ax.get_xlabel() == "frequency (kHz)" and ax.get_xlim() == (0, 511 * 15.625 / 1000)
    drawn = {one.get_label(): one for one in ax.get_lines() if one.get_label()[0] != "_"}
    assert [label.partition(":")[0] for label in drawn] == [
        "VQ-VAE, D = 10, K = 64", "AE, D = 2", "inversion alone",
    ]  # fmt: skip
    bins = [one.get_ydata() for one in ax.get_lines() if one.get_label() == "_bins"]
    assert np.array_equal(bins[1], errors["ae-2-0"])
    thick = drawn["AE, D = 2: 258 dB"].get_ydata()
    assert thick[100:110] == pytest.approx(errors["ae-2-0"][100:110].numpy(), abs=1)
    both = ["vq-10-32-1-0", "vq-10-64-1-0"]
    (ax,) = result_frequency.error_against_frequency(rows, errors, runs=both).axes
    colours = {one.get_color() for one in ax.get_lines() if one.get_label().startswith("VQ")}
    assert len(colours) == 2
    errors.pop("hz")
    with pytest.raises(ValueError, match="evaluate them again"):
        result_frequency.error_against_frequency(rows, errors)
    with pytest.raises(ValueError, match="Pictures have no frequencies"):
        pictures = table(cells("ae", 2))
        result_frequency.error_against_frequency(pictures, example(pictures))


def test_the_run_of_each_model_is_chosen_by_validation_and_not_by_test(table):
    rows = table(
        cells("vq", 10, 32, sse=1.0, validation_error=5.0),
        cells("vq", 10, 64, sse=9.0, validation_error=2.0),
        cells("vq", 10, 64, seed=1, sse=9.0, validation_error=1.0),
        cells("ae", 3, validation_error=None),
        cells("ae", 4, validation_error=4.0),
    )
    assert [row["run"] for row in result_table.chosen(rows)] == ["vq-10-64-1-0", "ae-4-0"]


def reports(validation, loss=None, **more):
    return [
        {"step": 7 * n, "epoch": float(n), "validation_error": error, "loss": low} | more
        for n, (error, low) in enumerate(zip(validation, loss or validation, strict=True), 1)
    ]


def test_the_minimum_is_marked_at_its_epoch(table):
    rows = table(cells("ae", 2), cells("vae", 2), cells("ae", 3))
    histories = {
        "ae-2-0": reports([5, 3, 4, float("nan")], [9, 8, 7, 6]),
        "vae-2-0": reports([2, None, 1]),
    }
    figure = run_plots.loss(rows, histories)
    loss, validation = figure.axes
    rings = {
        ax: [(*mark.get_xdata(), *mark.get_ydata()) for mark in ax.get_lines()
             if mark.get_label() == "_minimum"] for ax in figure.axes
    }  # fmt: skip
    assert rings[loss] == [(4, 6), (3, 1)] and rings[validation] == [(2, 3), (3, 1)]
    assert list(validation.get_lines()[0].get_xdata()) == [1, 2, 3]
    _, ae, vae = legend_texts(figure)
    assert ae == "AE, D = 2: loss 6 at epoch 4, validation error 3 at epoch 2"
    with pytest.raises(ValueError, match="No run has a report"):
        run_plots.loss(rows, {"ae-2-0": []})


def test_use_of_codes_is_drawn_over_the_epochs(table):
    rows = table(cells("rvq", 8, 64, stages=2), cells("vq", 8, 32), cells("ae", 2))
    histories = {
        "rvq-8-64-2-0": reports([2, 1], used=[40, 30], entropy_bits=[5.0, 3.0]),
        "vq-8-32-1-0": reports([2, 1, 1], used=[20], entropy_bits=[4.0]),
        "ae-2-0": reports([3]),
    }
    used, perplexity = run_plots.codebook_usage(rows, histories).axes
    curves = {drawn.get_label(): drawn for drawn in used.get_lines() if len(drawn.get_xdata()) > 1}
    assert list(curves["VQ-VAE, D = 8, K = 32"].get_ydata()) == [20, 20, 20]
    assert list(curves["residual VQ, D = 8, K = 64, 2 stages"].get_ydata()) == [70, 70]
    dotted = {drawn.get_ydata()[0] for drawn in used.get_lines() if drawn.get_linestyle() == ":"}
    assert dotted == {32, 128}  # all codes of all stages
    means = {drawn.get_label(): drawn.get_ydata()[0] for drawn in perplexity.get_lines()}
    assert means["residual VQ, D = 8, K = 64, 2 stages"] == (2**5 + 2**3) / 2
    with pytest.raises(ValueError, match="No run of the table reports codes"):
        run_plots.codebook_usage(rows, {"ae-2-0": reports([3])})


def full_grid(folder):
    """A grid's folder with several models, two seeds, reports and errors."""
    rows = [sound("vq", d, k, seed=s, sse=200 + s, db=4.0 + s / 9)
            for d in (10, 256) for k in (64, 512, 2048) for s in (0, 1)]  # fmt: skip
    rows += [sound("ae", d, seed=s, sse=90 / d, db=4.0 / d) for d in (1, 2, 4) for s in (0, 1)]
    rows += [sound("rvq", 16, 256, stages=s, sse=80 / s, db=4.0 / s) for s in (1, 2, 3)]
    rows += [sound("fsq", 4, 1000, sse=90, db=4.0), sound("vae", 4, sse=99, db=4.2), inversion()]
    tensors = example(rows, 64, 48) | {"hz": torch.arange(64) * 125.0}
    save_tensors(tensors, folder / "errors.safetensors", {})
    for row in rows[:-1]:
        codes = {"used": [9], "entropy_bits": [3.0]} if row["K"] else {}
        lines = [json.dumps(report) for report in reports([5, 3, 4, 6], **codes)]
        (folder / row["run"]).mkdir()
        (folder / row["run"] / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "results.md").write_text("| grid |\n|---|\n| test |\n")
    return result_table.read_table(written(folder, rows))


GRIDS = SimpleNamespace(**runpy.run_path(str(ROOT / "benchmarks" / "grids.py")))


@pytest.mark.parametrize(
    "name",
    ["error_against_latent", "error_against_rate", "reconstructions", "loss", "codebook_usage"],
)
def test_each_picture_is_legible_and_has_alternative_text(tmp_path, name):
    rows = full_grid(tmp_path)
    figure = GRIDS.figures(tmp_path, rows)[name]()
    assert nothing_lies_on_another(figure)
    picture = plots.picture(figure)
    assert len(picture.alt) > 80 and "VQ-VAE" in picture.alt
    assert 600 < picture.width < 900 and len(picture.png) < 150_000


def test_the_use_of_codes_is_drawn_over_K_or_of_what_there_is(table):
    rows = table(sound("vq", 10, 32), sound("vq", 10, 64), sound("rvq", 4, 8, stages=2))
    assert [row["K"] for row in GRIDS.coded(rows)] == [32, 64]
    rows = table(sound("rvq", 4, 8, stages=2), sound("fsq", 4, 625), sound("ae", 2))
    assert [row["model"] for row in GRIDS.coded(rows)] == ["rvq", "fsq"]


def test_the_command_writes_table_and_pictures(tmp_path, monkeypatch, capsys):
    grid, out = tmp_path / "grid", tmp_path / "out"
    grid.mkdir()
    monkeypatch.setattr(sys, "argv", ["grids.py", str(grid), "--out", str(out)])
    with pytest.raises(SystemExit):
        GRIDS.main()
    assert "no results.csv" in capsys.readouterr().err and not out.exists()
    full_grid(grid)
    (grid / "errors.safetensors").unlink()
    GRIDS.main()
    printed = capsys.readouterr().out
    assert "reconstructions: not drawn. There is no reconstruction" in printed
    assert f"{out / 'loss.png'}: " in printed
    names = {path.name for path in out.iterdir()}
    assert names == {"results.csv", "results.md", "README.md", "error_against_latent.png",
                     "error_against_rate.png", "loss.png", "codebook_usage.png"}  # fmt: skip
    assert (out / "results.csv").read_bytes() == (grid / "results.csv").read_bytes()
    assert Image.open(out / "loss.png").width > 600
    page = (out / "README.md").read_text()
    assert page.count("<img ") == page.count(' alt="') == 4 and str(tmp_path) not in page


@pytest.mark.parametrize(
    "path", sorted((ROOT / "experiments").glob("*.yaml")), ids=lambda p: p.stem
)
def test_every_shipped_grids_runs_can_be_told_apart_in_the_plots(path):
    rows = []
    for single in singles(reading.read(path)):
        options = single.options()
        rows.append({
            "run": single.name, "model": options["kind"], "D": single.D,
            "K": options.get("codebook_size", math.prod(options.get("levels", [])) or None),
            "stages": options.get("stages"), "seed": single.seed, "latent_bits": 8.0, "sse": 1.0,
        })  # fmt: skip
    curves = result_table.curves(rows, "latent_bits", "sse")
    assert sum(sum(curve.seeds) for curve in curves) == len(rows)
