"""The tool on the tiny domains; that a seed repeats its scores: tests/toolboxes/test_torchreid_training.py."""

import json
import sys
from pathlib import Path

import pytest
import train_torchreid
from helpers.tiny_runs import caption_source
from helpers.tools import run_here

from cmdg_plugin.toolboxes import register_source


def test_a_row_and_its_scores(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    for name in ('alpha', 'target'):
        register_source(f'tool_{name}', caption_source(name))
    arguments = ['--sources', 'tool_alpha', '--targets', 'tool_target', '--data-root', str(tiny_data), '--epochs', '1']
    arguments += ['--image-size', '32', '16', '--batch-size', '8', '--work-dir', str(tmp_path)]
    monkeypatch.setattr(sys, 'argv', ['train_torchreid.py', *arguments, '--out', str(tmp_path / 'scores.json')])
    train_torchreid.main()
    scores = json.loads((tmp_path / 'scores.json').read_text())
    assert set(scores) == {'tool_target/mAP', 'tool_target/R1', 'average/mAP', 'average/R1'}
    assert 'osnet_x0_25, scores by torchreid (percent)' in log.text
    assert f'{scores["average/R1"]:.1f}' in log.text


def test_a_dataset_that_nobody_knows_is_one_line(tmp_path: Path) -> None:
    ended = run_here('train_torchreid.py', '--sources', 'nothing', '--targets', 'nothing', '--work-dir', tmp_path)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith('train_torchreid.py: ')
    assert 'nothing' in ended.stderr
    assert 'Traceback' not in ended.stderr
