"""A training as it meets mistakes, another training and Ctrl-C."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from helpers.tools import run_here, run_tool, run_tool_on_ranks, start_tool

from cmdg_plugin.files.locking import hold


def test_two_trainings_do_not_share_a_folder(config_file: Path, tmp_path: Path) -> None:
    work = tmp_path / 'out'
    work.mkdir()
    with hold(work / '.lock', 'this test'):
        result = run_tool('train.py', config_file, '--work-dir', work, '--resume')
        assert result.returncode == 1
        assert f'train.py: Another training runs in {work}; wait for it' in result.stderr
        results = run_tool_on_ranks('train.py', config_file, '--work-dir', work)
        assert all(result.returncode != 0 for result in results)
        assert any(f'Another training runs in {work}' in result.stderr for result in results)
    assert os.listdir(work) == ['.lock']


def test_ctrl_c_says_how_to_go_on_and_a_kill_leaves_no_lock(config_file: Path, tmp_path: Path) -> None:
    work = tmp_path / 'out'
    arguments = [str(config_file), '--work-dir', str(work), '--cfg-options', 'train_cfg.stages.0.epochs=1000']
    for number, how in ((2, signal.SIGINT), (4, signal.SIGKILL)):
        arguments += ['--resume'] if how == signal.SIGKILL else []
        training = start_tool('train.py', *arguments)
        deadline = time.monotonic() + 120
        while not (work / f'epoch_{number}.pth').exists() and time.monotonic() < deadline:
            time.sleep(0.01)
            if any(int(path.stem[6:]) > number for path in work.glob('epoch_*.pth')):
                break
        os.kill(training.pid, how)
        ended = training.wait()
        if how == signal.SIGINT:
            assert ended.returncode == 130
            assert 'train.py: interrupted. The same command with --resume goes on from' in ended.stderr
            assert 'Traceback' not in ended.stderr
    with hold(work / '.lock', 'still held'):
        pass


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (('model.backbon.x=1',), 'model has no backbon (did you mean backbone?)'),
        (('optim_wrapper.optimizer.tpye=Adam',), 'optim_wrapper.optimizer has no tpye (did you mean type?)'),
        (('train_dataloader.batch_size=abc',), "expected a number (it is 8), got 'abc'"),
        (('optim_wrapper.optimizer.type=Adma',), "optimizer.type='Adma': there is no such optimizer (did you mean"),
    ],
)
def test_typos_in_options(
    config_file: Path, tmp_path: Path, changes: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    result = run_here('train.py', config_file, '--work-dir', tmp_path / 'out', '--cfg-options', *changes)
    assert result.returncode == 1
    assert result.stderr.startswith('train.py: ')
    assert message in result.stderr
    assert result.stderr.count('\n') == 1


def test_data_errors_while_the_run_is_built_are_one_line_with_the_traceback_in_the_log(
    config_file: Path, tmp_path: Path
) -> None:
    captions = tmp_path / 'broken.json'
    captions.write_text(json.dumps([{'id': 1, 'file_path': 'x.jpg'}]))
    options = ('--cfg-options', f'train_dataloader.dataset.sources.0.caption_file={captions}')
    result = run_tool('train.py', config_file, '--work-dir', tmp_path / 'out', *options)
    assert result.returncode == 1
    assert 'Traceback (most' not in result.stderr
    (line,) = [line for line in result.stderr.splitlines() if line.startswith('train.py: ')]
    assert 'broken.json' in line
    (log,) = (tmp_path / 'out').glob('*/*.log')
    assert f'(Traceback: {log})' in line
    assert 'Traceback (most recent call last)' in log.read_text()
