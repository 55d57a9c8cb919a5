import math
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from matplotlib.axes._axes import Axes
from matplotlib.container import ErrorbarContainer
from PIL import Image

from cmdg_plugin.ablation import estimate_difference, estimate_mean
from cmdg_plugin.ablation.plot import plot_lines
from cmdg_plugin.ablation.table import Line
from cmdg_plugin.visualization.curves import save_figure

BASE = {0: 10.0, 1: 20.0, 2: 30.0}


def line(row: str, scores: dict[int, float], metric: str = 'average/R1') -> Line:
    difference = None if row == 'base' else estimate_difference(scores, BASE)
    return Line(row, metric, scores, estimate_mean(list(scores.values())), difference, math.nan)


@pytest.fixture
def lines() -> list[Line]:
    return [line('base', BASE), line('more', {0: 11.0, 1: 22.0, 2: 33.0}), line('once', {1: 19.0}), line('fails', {})]


def bars(axis: Axes) -> list[tuple[float, ...]]:
    """Middle, place and ends of every error bar."""
    found = []
    for container in cast(list[ErrorbarContainer], axis.containers):
        middle, _, (bar,) = container.lines
        ((left, right),) = [segment[:, 0] for segment in bar.get_segments()]
        found.append((*map(float, (middle.get_xdata()[0], middle.get_ydata()[0])), float(left), float(right)))
    return found


def test_means_and_differences_with_their_intervals(lines: list[Line]) -> None:
    left, right = plot_lines(lines).axes
    wide, narrow = 4.30265 / 3**0.5 * 10, 4.30265 / 3**0.5
    expected = [(20, 0, 20 - wide, 20 + wide), (22, 1, 22 - 1.1 * wide, 22 + 1.1 * wide), (19, 2, 19, 19)]
    assert np.array(bars(left)) == pytest.approx(np.array(expected), rel=1e-4)
    assert np.array(bars(right)) == pytest.approx(np.array([(2, 1, 2 - narrow, 2 + narrow), (-1, 2, -1, -1)]), rel=1e-4)
    assert [label.get_text() for label in left.get_yticklabels()] == ['base', 'more', 'once', 'fails']
    assert left.get_ylim()[0] > left.get_ylim()[1]  # the first row on top, as in the table


def test_every_seed_is_a_dot(lines: list[Line]) -> None:
    left, right = plot_lines(lines).axes
    dots = [curve.get_xdata().tolist() for curve in left.get_lines() if curve.get_markersize() == 3]
    assert dots == [[10, 20, 30], [11, 22, 33], [19]]
    assert [curve.get_xdata().tolist() for curve in right.get_lines() if curve.get_markersize() == 3] == [
        [1, 2, 3],
        [-1],
    ]


def test_each_metric_has_its_panels(lines: list[Line], tmp_path: Path) -> None:
    both = [*lines, *(line(one.row, dict(one.scores), 'average/mAP') for one in lines)]
    titles = [axis.get_title('left') for axis in plot_lines(both).axes]
    assert [title.split(':')[0] for title in titles[::2]] == ['average/R1', 'average/mAP']
    save_figure(plot_lines(both), tmp_path / 'out.png')
    with Image.open(tmp_path / 'out.png') as image:
        assert np.asarray(image.convert('L')).std() > 5
