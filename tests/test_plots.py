"""Pictures: what is drawn, where the minimum is marked, and that alternative text is kept."""

import html
import subprocess
import sys

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
import torch
from matplotlib import pyplot

from vqlab import plots
from vqlab.quantize.usage import CodebookStats
from vqlab.spectral import MelConfig, log_mel, stft, to_db

CONFIG = MelConfig()
TONE = 0.3 * torch.sin(2 * torch.pi * 1000 * torch.arange(16000) / 16000)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


def test_importing_plots_does_not_import_matplotlib():
    code = "import sys, vqlab, vqlab.plots, vqlab.listen; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_functions_draw_into_the_axes_they_are_given():
    ax = pyplot.figure().subplots()
    assert plots.waveform(TONE, 16000, ax, title="tone") is ax
    assert ax.get_lines()[0].get_xdata()[-1] == pytest.approx(15999 / 16000)
    assert ax.get_title(loc="left") == "tone"
    assert len(pyplot.get_fignums()) == 1


@pytest.mark.parametrize("kind", ["mel", "linear"])
def test_a_tone_lies_at_its_frequency_on_the_axis(kind):
    db = log_mel(TONE, CONFIG) if kind == "mel" else to_db(stft(TONE, CONFIG).abs() ** 2)
    ax = plots.spectrogram(db, CONFIG, kind=kind)
    band = int(db[:, 60].argmax()) + 0.5
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert ax.get_yticks()[labels.index("1000")] == pytest.approx(band, abs=1.0)
    assert ax.get_xlim()[1] == pytest.approx(126 * 128 / 16000)


def test_the_kind_must_fit_the_bands():
    with pytest.raises(ValueError, match="has 257 bands, not 80"):
        plots.spectrogram(log_mel(TONE, CONFIG), CONFIG, kind="linear")
    with pytest.raises(ValueError, match="'mel' or 'linear'"):
        plots.spectrogram(log_mel(TONE, CONFIG), CONFIG, kind="log")


def test_compared_spectrograms_share_one_colour_scale():
    figure = plots.compare_spectrograms(
        {"loud": log_mel(TONE, CONFIG), "quiet": log_mel(TONE / 10, CONFIG)}, CONFIG
    )
    first, second = (ax.images[0].get_clim() for ax in figure.axes[:2])
    assert first == second
    assert first[1] == pytest.approx(float(log_mel(TONE, CONFIG).max()))
    assert [ax.get_title(loc="left") for ax in figure.axes[:2]] == ["loud", "quiet"]


def test_usage_is_sorted_and_counted():
    ax = plots.usage(torch.tensor([0, 5, 1, 0]))
    assert [bar.get_height() for bar in ax.patches] == [5, 1, 0, 0]
    assert ax.get_title(loc="left") == "2 of 4 codes used"
    stats = CodebookStats([4, 4])
    stats.update(torch.tensor([[[0, 0, 1], [3, 3, 3]]]))
    assert plots.usage(stats, stage=1).get_title(loc="left") == "1 of 4 codes used"


def test_codes_show_their_numbers_where_they_fit():
    ax = plots.codes_as_picture(torch.tensor([[3, 511], [0, 12]]), codebook_size=512)
    assert [text.get_text() for text in ax.texts] == ["3", "511", "0", "12"]
    assert not plots.codes_as_picture(torch.zeros(1, 200, dtype=torch.int64)).texts
    with pytest.raises(ValueError, match="whole numbers"):
        plots.codes_as_picture(torch.zeros(1, 2, 3))


def test_where_there_is_no_code_the_picture_is_blank():
    codes = torch.tensor([[0, 7, 3], [5, -1, 2], [-1, -1, 9]])
    ax = plots.codes_as_picture(codes)
    assert [text.get_text() for text in ax.texts] == ["0", "7", "3", "5", "2", "9"]
    assert [text.get_position() for text in ax.texts][3:] == [(0, 1), (2, 1), (2, 2)]
    (image,) = ax.images
    assert image.get_array().mask.tolist() == (codes < 0).tolist()
    assert image.get_cmap()(image.get_array())[2, 0, 3] == 0  # a transparent cell


def test_a_code_has_one_colour_and_near_numbers_have_no_near_colours():
    ax = plots.codes_as_picture(torch.arange(1024).reshape(1, -1), codebook_size=1024)
    (image,) = ax.images
    colours = image.to_rgba(image.get_array())[0, :, :3]
    again = plots.codes_as_picture(torch.tensor([[7]]), codebook_size=1024).images[0]
    assert (again.to_rgba(again.get_array())[0, 0, :3] == colours[7]).all()
    steps, pairs = np.abs(np.diff(colours, axis=0)), np.abs(colours[512:] - colours[:512])
    assert steps.mean() == pytest.approx(pairs.mean(), rel=0.1)
    luminance = colours @ [0.2126, 0.7152, 0.0722]
    assert luminance.min() > 0.35  # black figures can be read on it


def test_a_shown_figure_is_closed_small_and_keeps_its_alternative_text():
    ax = plots.spectrogram(log_mel(TONE, CONFIG), CONFIG)
    picture = plots.show(ax, 'a "tone"\n at 1 kHz')
    assert not pyplot.get_fignums()
    markup = picture._repr_html_()
    assert f'alt="{html.escape(picture.alt)}"' in markup and picture.alt == 'a "tone" at 1 kHz'
    assert repr(picture) == '[picture: a "tone" at 1 kHz]'
    assert len(markup) < 100_000
    with pytest.raises(ValueError, match="alternative text"):
        plots.show(pyplot.figure(), " ")


def test_drawing_changes_no_sound():
    before = TONE.clone()
    plots.waveform(TONE, 16000)
    plots.spectrogram(np.asarray(log_mel(TONE, CONFIG)), CONFIG)
    assert torch.equal(before, TONE)
