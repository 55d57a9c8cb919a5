import logging
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes._axes import Axes
from mmengine.logging import MMLogger
from PIL import Image

from cmdg_plugin.visualization import StageSpan, TrainingLog, draw_curves, plot_training_log


@pytest.fixture
def log() -> TrainingLog:
    return TrainingLog(
        losses={
            'warmup/loss': [(5, 6.0), (10, 5.0)],
            'warmup/loss_id': [(5, 4.0), (10, 3.0)],
            'bridging/loss': [(15, 9.0), (40, 2.0)],
            'bridging/loss_part': [(15, 1.0), (40, 0.5)],
        },
        rates={'warmup/lr': [(5, 1e-4), (10, 2e-4)], 'bridging/lr': [(15, 1e-5), (40, 2e-5)]},
        scores={'mAP': {'yard': [(0, 20.0), (40, 30.0)], 'average': [(0, 20.0), (40, 30.0)]}},
        stages=[StageSpan('warmup', 0, 10, (1, 2)), StageSpan('bridging', 10, 40, (3, 3))],
    )


def lines(axis: Axes) -> dict:
    return {line.get_label(): line.get_xydata() for line in axis.get_lines()}


def test_each_panel_holds_its_curves(log: TrainingLog) -> None:
    panels = {axis.get_title('left'): lines(axis) for axis in plot_training_log(log).axes}
    assert list(panels) == ['loss', 'loss terms', 'learning rate', 'mAP (%)']
    # One loss over all stages, torn where a stage ends.
    np.testing.assert_array_equal(panels['loss']['loss'], [(5, 6), (10, 5), (15, np.nan), (15, 9), (40, 2)])
    assert list(panels['loss terms']) == ['id', 'part']
    assert panels['mAP (%)']['average'].tolist() == [[0, 20], [40, 30]]


def test_stages_are_named_and_marked(log: TrainingLog) -> None:
    figure = plot_training_log(log)
    assert [text.get_text() for text in figure.axes[0].texts] == ['warmup\nepochs 1-2', 'bridging\nepoch 3']
    for axis in figure.axes:
        (shade,) = axis.patches
        assert (shade.get_x(), shade.get_x() + shade.get_width()) == (10, 40)


def test_names_of_short_stages_do_not_touch(log: TrainingLog) -> None:
    log.stages = [StageSpan(str(start), start, start + 1) for start in range(3)] + [StageSpan('long', 3, 100)]
    figure = plot_training_log(log)
    figure.canvas.draw()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 4
    assert not any(box.overlaps(other) for number, box in enumerate(boxes) for other in boxes[:number])


def test_a_run_without_stages_or_terms() -> None:
    log = TrainingLog(losses={'loss': [(1, 1.0)], 'loss_prompt': [(1, 1.0)]}, stages=[StageSpan('', 0, 1)])
    figure = plot_training_log(log)
    assert [axis.get_title('left') for axis in figure.axes] == ['loss']  # the only term is the loss itself
    assert not figure.axes[0].texts


def test_picture_is_written(tmp_path: Path) -> None:
    log = tmp_path / 'scalars.json'
    log.write_text(
        '{"yard/mAP": 20.0, "step": 0}\n{"loss": 1.0, "lr": 0.1, "step": 3}\n{"yard/mAP": 30.0, "step": 1}\n'
    )
    out = draw_curves(log, tmp_path / 'new' / 'curves.png')
    assert out == tmp_path / 'new' / 'curves.png'
    image = np.asarray(Image.open(out).convert('L'))
    assert image.shape[1] == 1210
    assert image.std() > 5


def test_nothing_to_draw_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    log = tmp_path / 'scalars.json'
    log.write_text('{"time": 1.0, "step": 0}\n')
    with caplog.at_level(logging.WARNING, logger=logger.name):
        assert draw_curves(log, tmp_path / 'curves.png') is None
    logger.removeHandler(caplog.handler)
    assert 'No losses or scores to draw' in caplog.text
    assert not (tmp_path / 'curves.png').exists()
