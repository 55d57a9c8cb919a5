"""Exports as a user makes and scores them."""

import json
from pathlib import Path

import pytest
from helpers.tools import TOY, run_tool


def test_errors_are_one_line(toy_checkpoint: Path, tmp_path: Path) -> None:
    for arguments, words in (
        (['m.onnx', '--image-size', '256by128'], 'expected a size of images'),
        (['m.onnx', '--image-size', '100x48'], 'cannot be tiled with patches of 8x8'),
        (['m.onnx', '--opset', '11'], 'version 18 and newer, not 11'),
    ):
        ran = run_tool('export.py', toy_checkpoint, tmp_path / arguments[0], *arguments[1:])
        assert ran.returncode == 1
        (line,) = [line for line in ran.stderr.splitlines() if line.startswith('export.py: ')]
        assert words in line
        assert not (tmp_path / 'm.onnx').exists()


@pytest.mark.slow
def test_exported_files_score_as_the_checkpoint_does(toy_checkpoint: Path, tmp_path: Path) -> None:
    assert run_tool('export.py', toy_checkpoint, tmp_path / 'toy.onnx').returncode == 0
    assert run_tool('export.py', toy_checkpoint, tmp_path / 'toy.xml', '--input', '0..255').returncode == 0
    scores = []
    for file in (toy_checkpoint, tmp_path / 'toy.onnx', tmp_path / 'toy.xml'):
        out = tmp_path / f'{file.suffix[1:]}.json'
        ran = run_tool('test.py', TOY, file, '--work-dir', tmp_path / 'work', '--out', out, '--out-item', 'metrics')
        assert ran.returncode == 0, ran.stderr[-2000:]
        scores.append(json.loads(out.read_text()))
    assert scores[0]['average/mAP'] > 5
    for exported in scores[1:]:
        assert exported == pytest.approx(scores[0], abs=0.05)
