"""The ablation tool, as a user runs it, on trainings of a second or two."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
ROWS = {
    'all terms': {},
    'broken': {'model.losses.bridging.part.num_neighbors': 0},
}


def command(config: Path, grid: Path, work: Path) -> list[str]:
    arguments = [config, '--grid', grid, '--work-dir', work, '--seeds', '1', '--jobs', '2', '--metric', 'average/mAP']
    return [sys.executable, str(REPOSITORY / 'tools/ablate.py'), *map(str, arguments)]


def run(*arguments: Path) -> subprocess.CompletedProcess:
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, cwd=REPOSITORY)


def interrupt_after(checkpoint: Path, *arguments: Path) -> tuple[int, str]:
    """Send the tool what Ctrl-C sends once there is a checkpoint; returns its exit status and its words."""
    tool = subprocess.Popen(command(*arguments), stderr=subprocess.PIPE, text=True, cwd=REPOSITORY)
    for _ in range(12000):
        if list(checkpoint.parent.parent.parent.glob(f'*/{checkpoint.parent.name}/{checkpoint.name}')):
            break
        assert tool.poll() is None, tool.stderr.read()
        time.sleep(0.01)
    tool.send_signal(signal.SIGINT)
    _, words = tool.communicate(timeout=60)
    return tool.returncode, words


def test_a_grid_is_interrupted_and_run_to_its_end(config_file: Path, tmp_path: Path):
    grid, work = tmp_path / 'grid.json', tmp_path / 'ablation'
    grid.write_text(json.dumps({'rows': ROWS, 'shared_until': 'prompt'}))
    status, words = interrupt_after(work / '_shared/any/seed0/epoch_2.pth', config_file, grid, work)
    assert status == 130, words
    assert words.endswith('Interrupted; the same command goes on from here.\n')
    assert 'Traceback' not in words
    (log,) = work.glob('_shared/*/seed0/train.log')
    before = log.read_text()

    result = run(config_file, grid, work)
    assert result.returncode == 1, result.stderr[-3000:]
    # The beginning went on, the good row from its end, and the broken one is told with the end of its log.
    resumed = log.read_text().removeprefix(before)
    assert 'resumed epoch: ' in resumed
    assert 'Epoch(train)  [1]' not in resumed.replace('[warmup] ', '')
    assert 'resumed epoch: 5' in (work / 'all_terms/seed0/train.log').read_text()
    assert 'Failed: broken, seed 0\nexit status 1; the end of' in result.stderr
    assert 'num_neighbors' in result.stderr
    scores = json.loads((work / 'all_terms/seed0/results.json').read_text())
    assert f'| all terms | {scores["after"]["average/mAP"]:.1f} |  | 1 |' in (work / 'ablation.md').read_text()
    assert '| broken | - |' in result.stdout
    assert (work / 'ablation.csv').is_file()
    assert (work / 'ablation.png').is_file()
    assert [path.name for path in work.rglob('*.pth')] == ['epoch_5.pth']

    again = run(config_file, grid, work)
    assert '2 runs, 1 of them done before' in again.stdout

    grid.write_text(json.dumps({'rows': {'all terms': {'model.memory.momentum': 0.5}}}))
    changed = run(config_file, grid, work)
    assert changed.returncode == 1
    assert 'begun with other settings (model.memory.momentum: 0.3, now 0.5)' in changed.stderr


@pytest.mark.parametrize(
    ('grid', 'message'),
    [
        ({'rows': {'x': {'model.losses.bridging.port.weight': 0}}}, 'no entry named port (did you mean part?)'),
        ({'lines': {}}, 'has lines; a grid file has rows'),
    ],
)
def test_mistakes_are_told_in_a_line(config_file: Path, tmp_path: Path, grid: dict, message: str):
    path = tmp_path / 'grid.json'
    path.write_text(json.dumps(grid))
    result = run(config_file, path, tmp_path / 'work')
    assert result.returncode == 1
    assert message in result.stderr
    assert 'Traceback' not in result.stderr
