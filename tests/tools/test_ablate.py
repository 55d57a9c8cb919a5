"""The ablation tool, as a user runs it: once on a real training, and on one of no time where it is interrupted."""

import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from helpers.tools import REPOSITORY, run_tool, start_tool

TOOL = REPOSITORY / 'tools/ablate.py'


def write_grid(path: Path, **content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_rows_of_a_real_training(config_file: Path, tmp_path: Path) -> None:
    rows = {'all terms': {}, 'broken': {'model.losses.bridging.part.num_neighbors': 0}}
    grid, work = write_grid(tmp_path / 'grid.json', rows=rows, shared_until='prompt'), tmp_path / 'ablation'
    arguments = ('--grid', grid, '--work-dir', work, '--seeds', 1, '--jobs', 2, '--metric', 'average/mAP')
    result = run_tool(TOOL, config_file, *arguments)
    assert result.returncode == 1, result.stderr[-3000:]
    assert 'resumed epoch: 5' in (work / 'all_terms/seed0/train.log').read_text()
    scores = json.loads((work / 'all_terms/seed0/results.json').read_text())['after']
    assert f'| all terms | {scores["average/mAP"]:.1f} |  | 1 |' in result.stdout
    assert '| broken | - |' in result.stdout
    assert 'Failed: broken, seed 0\nexit status 1; the end of' in result.stderr
    assert 'num_neighbors' in result.stderr
    assert [path.name for path in work.rglob('*.pth')] == ['epoch_5.pth']


@pytest.fixture
def stub(tmp_path: Path) -> tuple[Path, Path, Path]:
    """The tool beside a training of no time; a config of that training and the file that it waits for."""
    tool = Path(shutil.copy(TOOL, tmp_path))
    shutil.copy(REPOSITORY / 'tests/ablation/train_stub.py', tmp_path / 'train.py')
    config, gate = tmp_path / 'stub.py', tmp_path / 'gate'
    config.write_text(
        f'stub = dict(epochs=4, fails_at=0, waits_for={str(gate)!r}, score=10.0)\nrandomness = dict(seed=0)\n'
    )
    return tool, config, gate


def test_an_interrupted_grid_goes_on(stub: tuple[Path, Path, Path], tmp_path: Path) -> None:
    tool, config, gate = stub
    grid = write_grid(tmp_path / 'grid.json', rows={'base': {}, 'more': {'stub.score': 12.0}})
    work = tmp_path / 'ablation'
    arguments = (config, '--grid', grid, '--work-dir', work, '--seeds', 2, '--jobs', 2)
    first = start_tool(tool, *arguments)
    waiting = [work / row / 'seed0' for row in ('base', 'more')]
    for _ in range(12000):
        if all((folder / 'epoch_2.pth').exists() for folder in waiting):
            break
        time.sleep(0.01)
    assert 'Another process runs in' in run_tool(tool, *arguments).stderr
    os.kill(first.pid, signal.SIGINT)
    ended = first.wait()
    assert (ended.returncode, ended.stderr) == (130, 'Interrupted; the same command goes on from here.\n')

    gate.touch()
    result = run_tool(tool, *arguments)
    # Nobody went on training behind the tool's back.
    assert (waiting[0] / 'train.log').read_text().count('trained epoch 3') == 1
    assert (waiting[0] / 'train.log').read_text().count('from epoch 2') == 1
    assert result.returncode == 0, result.stderr
    assert '| more | 12.5 [6.1, 18.9] | +2.0 [+2.0, +2.0] | 2 |' in (work / 'ablation.md').read_text()
    assert {path.name for path in work.glob('ablation.*')} == {'ablation.md', 'ablation.csv', 'ablation.png'}
    assert result.stdout.startswith('4 runs, 0 of them done before\n')
    changed = run_tool(tool, *arguments, '--cfg-options', 'stub.epochs=5')
    assert changed.returncode == 1
    assert 'begun with other settings (stub.epochs: 4, now 5)' in changed.stderr
    assert changed.stderr.count('\n') == 1


def test_settings_are_chosen_on_held_out_sources(stub: tuple[Path, Path, Path], tmp_path: Path) -> None:
    tool, config, gate = stub
    gate.touch()
    with config.open('a') as file:
        file.write("""
held_out = __import__('os').environ.get('CMDG_HELD_OUT')
sources = {name: dict(type='OwnSource', name=name, path=name) for name in ('shop', 'office')}
targets = [dict(type='HeldOutSource', source=sources.pop(held_out))] if held_out else []
stub['score'] += 4 * len(held_out or '')
train_dataloader = dict(dataset=dict(sources=list(sources.values())))
val_dataloader = dict(dataset=dict(targets=targets))
del held_out, sources, targets
""")
    grid = write_grid(tmp_path / 'grid.json', rows={'base': {}, 'lower': {'stub.epochs': 3}})
    arguments = (config, '--grid', grid, '--work-dir', tmp_path / 'study', '--seeds', 2)
    result = run_tool(tool, *arguments, '--held-out', 'all')
    assert result.returncode == 0, result.stderr
    assert '[8/8] lower, seed 1, without office: done' in result.stdout
    text = (tmp_path / 'study/ablation.md').read_text()
    assert text.startswith('Study on held-out sources (shop, office): ')
    # 10 + seed + 4 x the letters of the source: 26 and 34, 27 and 35.
    assert '| base | 30.5 [24.1, 36.9] |  | 2 |' in text
    alone = run_tool(tool, *arguments, '--held-out', 'office')
    assert '4 runs, 4 of them done before' in alone.stdout
    assert '| base | 34.5 [28.1, 40.9] |  | 2 |' in alone.stdout
    wrong = run_tool(tool, *arguments, '--held-out', 'street')
    assert (wrong.returncode, wrong.stderr.count('\n')) == (1, 1)
    assert "row 'base': " in wrong.stderr


def test_a_score_that_no_run_has_costs_no_training(stub: tuple[Path, Path, Path], tmp_path: Path) -> None:
    tool, config, gate = stub
    gate.touch()
    grid = write_grid(tmp_path / 'grid.json', rows={'base': {}, 'more': {'stub.score': 12.0}})
    arguments = (config, '--grid', grid, '--work-dir', tmp_path / 'ablation', '--seeds', 1)
    result = run_tool(tool, *arguments, '--metric', 'average/Rank1')
    assert result.returncode == 1
    assert 'results.json has no average/Rank1; it has average/R1' in result.stderr
    assert len(list((tmp_path / 'ablation').glob('*/seed0/results.json'))) == 2
    # As a kill before the clean-up leaves it.
    left = tmp_path / 'ablation/base/seed0/epoch_4.pth'
    for file in (left, left.with_name('checkpoints_to_remove')):
        file.touch()
    result = run_tool(tool, *arguments)
    assert result.returncode == 0, result.stderr
    assert '2 runs, 2 of them done before' in result.stdout
    assert not left.exists()
    assert '| base | 10.0 | -2.0 |' in run_tool(tool, *arguments, '--reference', 'more').stdout
    assert "has no row 'less'" in run_tool(tool, *arguments, '--reference', 'less').stderr


def test_some_rows_alone(stub: tuple[Path, Path, Path], tmp_path: Path) -> None:
    tool, config, gate = stub
    gate.touch()
    rows = {'base': {}, 'more': {'stub.score': 12.0}, 'less': {'stub.score': 9.0}}
    work = tmp_path / 'ablation'
    arguments = (config, '--grid', write_grid(tmp_path / 'grid.json', rows=rows), '--work-dir', work, '--seeds', 2)
    result = run_tool(tool, *arguments, '--rows', 'less', 'more')
    assert result.stdout.startswith('4 runs, 0 of them done before\n')
    assert '| less | 9.5 ' in result.stdout
    assert '-3.0 [-3.0, -3.0]' in result.stdout
    assert not (work / 'base').exists()
    for option, value in (('--rows', 'fewer'), ('--reference', 'base')):
        refused = run_tool(tool, *arguments, '--rows', 'less', option, value)
        assert (refused.returncode, refused.stderr.count('\n')) == (1, 1)
        assert repr(value) in refused.stderr
