"""Benchmarks that a docs page promises to be one command; that their figures are right is for whoever reads them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / 'tools/benchmarks'


def lines_of(name: str, arguments: str) -> list[str]:
    command = [sys.executable, str(BENCHMARKS / f'{name}.py'), *arguments.split()]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1'}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout.splitlines()


@pytest.mark.slow
def test_the_bridging_step_is_timed_and_compared_with_the_plain_version() -> None:
    sizes = '--images 500 --identities 50 --batch 8 --dimensions 16 --rounds 1'
    lines = lines_of('benchmark_bridging', sizes)
    differences = [float(line) for line in re.findall(r'[\d.]+e[+-]\d+', lines[2])]
    assert len(differences) == 2
    assert max(differences) < 1e-4
    assert lines[-1].split()[0] == 'plain'


@pytest.mark.slow
def test_a_run_of_protocol_1_is_estimated_by_one_command() -> None:
    sizes = '--images 800 --steps 1 --rounds 1 --workers 0'
    lines = lines_of('benchmark_protocol', f'--small --full --amp {sizes}')
    rows = [line.split()[0] for line in lines if line]
    assert {'stage', 'warmup', 'prompt', 'bridging', 'together,', 'memory:'} <= set(rows)
    assert 'times ours' in lines[-1]
