"""Benchmarks that a docs page promises to be one command; that their figures are right is for whoever reads them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / 'tools/benchmarks'


@pytest.mark.slow
def test_a_run_of_protocol_1_is_estimated_by_one_command() -> None:
    command = [sys.executable, str(BENCHMARKS / 'benchmark_protocol.py'), '--small', '--full', '--amp']
    sizes = ['--images', '800', '--steps', '1', '--rounds', '1', '--workers', '0']
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    result = subprocess.run([*command, *sizes], capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr[-2000:]
    lines = result.stdout.splitlines()
    rows = [line.split()[0] for line in lines if line]
    assert {'stage', 'warmup', 'prompt', 'bridging', 'together,', 'memory:'} <= set(rows)
    assert 'times ours' in lines[-1]
