import json
from pathlib import Path

import pytest
from PIL import Image

from cmdg_plugin.visualization import draw_curves, read_scalars

LINES = [
    {'street/mAP': 10.0, 'street/R1': 20.0, 'average/R1': 20.0, 'step': 0},
    {'warmup/loss': 5.0, 'warmup/loss_id': 3.0, 'warmup/lr': 0.1, 'iter': 1, 'step': 1},
    {'warmup/loss': 4.0, 'warmup/loss_id': 2.0, 'warmup/lr': 0.1, 'iter': 2, 'step': 2},
    {'bridging/loss': 9.0, 'bridging/loss_part': 1.0, 'step': 3},
    {'street/mAP': 30.0, 'street/R1': 40.0, 'average/R1': 40.0, 'step': 2},
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / 'scalars.json'
    path.write_text('\n'.join(json.dumps(line) for line in LINES))
    return path


def test_losses_are_filed_by_stage_and_scores_by_target(log: Path):
    losses, scores = read_scalars(log)
    assert losses == {
        'warmup': {'loss': [(1, 5.0), (2, 4.0)], 'loss_id': [(1, 3.0), (2, 2.0)]},
        'bridging': {'loss': [(3, 9.0)], 'loss_part': [(3, 1.0)]},
    }
    assert scores['street/R1'] == [(0, 20.0), (2, 40.0)]


def test_losses_without_stage_are_training(tmp_path: Path):
    (tmp_path / 'log.json').write_text('{"loss": 1.5, "step": 4}')
    assert read_scalars(tmp_path / 'log.json') == ({'training': {'loss': [(4, 1.5)]}}, {})


def test_picture_has_a_panel_for_each_stage_and_one_for_scores(log: Path, tmp_path: Path):
    draw_curves(log, tmp_path / 'curves.png')
    width, height = Image.open(tmp_path / 'curves.png').size
    assert width > 3 * height


def test_broken_line_is_named(tmp_path: Path):
    (tmp_path / 'log.json').write_text('{"loss": 1}\nnot json')
    with pytest.raises(ValueError, match='line 2'):
        read_scalars(tmp_path / 'log.json')
