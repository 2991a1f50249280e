"""Codecs on one chart: what is joined, named, marked, and refused."""

import pytest

from vqlab.lessons import codec_plots as rates


def codec_points():
    peers = [(0.6, 0.64), (0.6, 0.65), (0.8, 0.66), (6.0, 0.82), (6.1, 0.83), (8.6, 0.84)]
    points = [
        {"name": f"{n}", "family": "peer", "kbps": x, "stoi": (y, y - 0.02, y + 0.02, 9)}
        for n, (x, y) in enumerate(peers)
    ]
    points += [
        {"name": f"{x:g}", "family": "vqlab", "kbps": x, "stoi": (0.6 + x / 10, 0.5, 0.9)}
        for x in (1.65, 0.75, 1.0)  # not in order
    ]
    return points + [
        {"name": "no codes", "family": "reference", "kbps": None, "stoi": (0.95, 0.9, 1.0)},
        {"name": "no score", "family": "peer", "kbps": 3.0, "stoi": None},
    ]


def test_quality_against_rate_names_every_point_and_joins_ours():
    figure = rates.rate_quality(codec_points(), measures={"stoi": "STOI"})
    (ax,) = figure.axes
    assert ax.get_xscale() == "log" and ax.get_ylabel() == "STOI"
    line = next(line for line in ax.get_lines() if line.get_label() == "vqlab")
    assert line.get_linestyle() == "-" and list(line.get_xdata()) == [0.75, 1.0, 1.65]
    dots = next(line for line in ax.get_lines() if line.get_label() == "peer")
    assert dots.get_linestyle() == "None" and len(dots.get_xdata()) == 6
    limit = next(line for line in ax.get_lines() if line.get_linestyle() == "--")
    assert set(limit.get_ydata()) == {0.95}
    names = sorted(text.get_text() for text in ax.texts)
    assert names == sorted([*"012345", "0.75", "1", "1.65", "no codes"])
    assert "1.5" in [label.get_text() for label in ax.get_xticklabels()]


def test_names_of_points_do_not_cover_one_another():
    figure = rates.rate_quality(codec_points(), measures={"stoi": "STOI"})
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert not any(a.overlaps(b) for n, a in enumerate(boxes) for b in boxes[:n])


def test_quality_without_a_single_rate_is_refused():
    with pytest.raises(ValueError, match="rate"):
        rates.rate_quality([codec_points()[-2]], measures={"stoi": "STOI"})
