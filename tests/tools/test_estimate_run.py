import os
from pathlib import Path

from helpers.tools import run_tool


def test_a_run_is_estimated_and_leaves_nothing(config_file: Path) -> None:
    before = sorted(os.listdir(config_file.parent))
    result = run_tool('estimate_run.py', config_file, '--steps', '1', cwd=config_file.parent)
    assert result.returncode == 0, result.stderr[-2000:]
    rows = [line.split()[0] for line in result.stdout.splitlines()]
    assert rows[:5] == ['stage', 'warmup', 'prompt', 'bridging', 'together,']
    for words in ('most of a step goes to', 'a checkpoint: warmup', 'memory:'):
        assert words in result.stdout
    assert sorted(os.listdir(config_file.parent)) == before
    assert 'gpuGetDeviceCount' not in result.stdout + result.stderr


def test_mixed_precision_is_asked_for_by_one_option(config_file: Path) -> None:
    options = ('--steps', '1', '--amp', '--cfg-options', 'optim_wrapper.dtype=bfloat16')
    result = run_tool('estimate_run.py', config_file, *options, cwd=config_file.parent)
    assert result.returncode == 0, result.stderr[-2000:]


def test_mistakes_are_one_line(config_file: Path) -> None:
    result = run_tool('estimate_run.py', config_file, '--steps', '0', cwd=config_file.parent)
    assert result.returncode == 1
    assert 'estimate_run.py: steps must be at least 1, got 0.' in result.stderr
    assert 'Traceback (most' not in result.stderr
