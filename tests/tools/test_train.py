"""The training tool, as a user runs it, and the test tool on what it leaves."""

import json
from pathlib import Path

import pytest
import torch
from helpers.tools import REPOSITORY, TOY, run_here, run_tool, run_tool_afresh

P1 = REPOSITORY / 'configs/cmdg/cmdg_vit-base-p16_p1.py'


def test_train_then_resume_then_test(config_file: Path, tmp_path: Path) -> None:
    work = tmp_path / 'out'
    options = ('--cfg-options', 'train_cfg.val_before_training=True')
    first = run_tool_afresh('train.py', config_file, '--work-dir', work, *options)
    assert first.returncode == 0, first.stderr[-2000:]
    for name in ('results.md', 'results.json', 'curves.png', 'epoch_7.pth', 'last_checkpoint'):
        assert (work / name).is_file(), name
    # A screen on the console, and everything in the file.
    assert first.stdout.partition('Epoch(train)')[0].count('\n') < 25
    (log,) = work.glob('*/*.log')
    assert all(words in log.read_text() for words in ('System environment:', 'Config:', 'Hooks will be executed'))
    scores = json.loads((work / 'results.json').read_text())
    assert set(scores['before']) == set(scores['after']) >= {'target/mAP', 'target/R1', 'average/mAP'}

    again = run_tool('train.py', config_file, '--work-dir', work, '--resume')
    assert again.returncode == 0, again.stderr[-2000:]
    assert 'nothing left to train' in again.stdout + again.stderr

    out, pictures = tmp_path / 'scores.json', tmp_path / 'pictures'
    arguments = ('--out', out, '--out-item', 'metrics', '--show-dir', pictures, '--work-dir', tmp_path / 'tested')
    options = ('--cfg-options', 'test_evaluator.num_ranked_queries=2')
    tested = run_tool_afresh('test.py', config_file, work / 'epoch_7.pth', *arguments, '--rerank', *options)
    assert tested.returncode == 0, tested.stderr[-2000:]
    found = json.loads(out.read_text())
    assert {name: value for name, value in found.items() if not name.endswith('_rerank')} == pytest.approx(
        scores['after']
    )
    assert 'target/mAP_rerank' in found
    assert 'target, re-ranked' in tested.stdout + tested.stderr
    assert len(list(pictures.rglob('*.png'))) == 2


def test_no_validate_and_auto_scale_lr(config_file: Path, tmp_path: Path) -> None:
    options = ('--no-validate', '--auto-scale-lr', '--cfg-options', 'train_cfg.stages.1.epochs=1')
    result = run_tool('train.py', config_file, '--work-dir', tmp_path / 'plain', *options)
    assert result.returncode == 0, result.stderr[-2000:]
    assert 'Epoch(val)' not in result.stdout + result.stderr
    assert 'Scaling the original LR by 0.125' in result.stdout + result.stderr
    assert not (tmp_path / 'plain' / 'results.md').exists()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
@pytest.mark.parametrize('dtype', ['float16', 'bfloat16'])
def test_mixed_precision(config_file: Path, tmp_path: Path, dtype: str) -> None:
    options = ('--amp', '--cfg-options', f'optim_wrapper.dtype={dtype}')
    result = run_tool('train.py', config_file, '--work-dir', tmp_path / 'amp', *options)
    assert result.returncode == 0, result.stderr[-2000:]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (('train.py', 'configs/nothing.py'), 'train.py: No config at configs/nothing.py'),
        (('train.py', TOY, '--resume', 'nothing.pth'), 'train.py: No checkpoint at nothing.pth.'),
        (('train.py', P1, '--cfg-options', 'data_root=/nowhere'), 'market1501 was not found below /nowhere'),
        (('train.py', TOY, '--launcher', 'slurm'), 'train.py: --launcher slurm joins processes that srun started'),
    ],
)
def test_wrong_input_is_named_without_a_traceback(arguments: tuple[object, ...], message: str) -> None:
    result = run_here(*arguments)
    assert result.returncode != 0
    assert message in result.stderr
    assert 'Traceback (most recent' not in result.stderr


def test_help_is_quick_and_free_of_mims_flag() -> None:
    result = run_here('train.py', '-h')
    assert result.returncode == 0
    assert '--cfg-options' in result.stdout
    assert '--gpus' not in result.stdout
