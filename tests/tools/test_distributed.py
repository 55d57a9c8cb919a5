"""Two processes with half the batch each train as one process does: the whole recipe, through torchrun and gloo."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.forks import Ended
from helpers.tools import REPOSITORY, find_port, run_tool, run_tool_on_ranks
from mmengine.config import Config

import cmdg_plugin.registry  # noqa: F401  (lets torch read the checkpoints)

SHELL = ('dist_train.sh', 'dist_test.sh', 'slurm_train.sh')


def run_one(*arguments: object) -> list[Ended]:
    return [run_tool('train.py', *arguments)]


def run_two(*arguments: object) -> list[Ended]:
    return run_tool_on_ranks('train.py', *arguments)


def run_script(*arguments: object) -> list[Ended]:
    """Train on two processes as a user does."""
    config, *options = map(str, arguments)
    # The shell script finds torchrun beside this interpreter, as in an activated environment.
    path = f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}'
    environment = {**os.environ, 'PATH': path, 'MASTER_PORT': str(find_port())}
    command = ['bash', str(REPOSITORY / 'tools/dist_train.sh'), config, '2', *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    return [Ended(done.returncode, done.stdout, done.stderr)]


def train(
    config: Path, work: Path, *extra: str, run: Callable[..., list[Ended]] = run_two
) -> tuple[dict, list[dict], dict]:
    """Return the last checkpoint, the logged scalars and the scores."""
    options = ['--cfg-options', f'train_dataloader.batch_size={8 if run is run_one else 4}']
    # Weights are compared: Adam would blow the rounding of gradients that ought to be zero up to whole steps.
    options += ['optim_wrapper.optimizer._delete_=True', 'optim_wrapper.optimizer.type=SGD']
    options += ['optim_wrapper.optimizer.lr=0.01']
    # And the same pixels must come: augmentation is drawn per process.
    options += ['train_dataloader.dataset.pipeline.2.prob=0.0', 'default_hooks.logger.interval=1']
    for ended in run(config, '--work-dir', work, *options, *extra):
        assert ended.returncode == 0, ended.stderr[:6000]
    scalars = next(work.rglob('scalars.json')).read_text().splitlines()
    checkpoint = torch.load(work / 'epoch_7.pth', weights_only=True)
    return checkpoint, [json.loads(line) for line in scalars], json.loads((work / 'results.json').read_text())


def check_same(expected: tuple, found: tuple, *, without: tuple[str, ...] = ()) -> None:
    for name, value in expected[0]['state_dict'].items():
        if name not in without:
            torch.testing.assert_close(
                found[0]['state_dict'][name], value, rtol=1e-3, atol=1e-5, msg=f'{name}: {{}}'.format
            )
    losses = [{k: v for k, v in line.items() if 'loss' in k} for line in expected[1]]
    assert any('bridging/loss_part' in line for line in losses)
    for loss, line in zip(losses, found[1], strict=True):
        assert {k: v for k, v in line.items() if 'loss' in k} == pytest.approx(loss, rel=1e-4, abs=1e-5)
    assert found[2]['after'] == pytest.approx(expected[2]['after'], abs=1e-3)


def test_two_processes_train_as_one_with_a_whole_and_a_sharded_bank(config_file: Path, tmp_path: Path) -> None:
    one = train(config_file, tmp_path / 'one', run=run_one)
    check_same(one, train(config_file, tmp_path / 'two', run=run_script))

    work = tmp_path / 'sharded'
    sharded = train(config_file, work, 'model.memory.sharded=True')
    bank = ('memory.image', 'memory.filled')
    check_same(one, sharded, without=bank)
    shards = [work / 'bank_shards' / 'epoch_7' / f'rank_{rank}_of_2.pth' for rank in range(2)]
    rows = torch.cat([torch.load(path, weights_only=True)['image'] for path in shards])
    torch.testing.assert_close(rows, one[0]['state_dict']['memory.image'], rtol=1e-3, atol=1e-5)
    assert not any(name in sharded[0]['state_dict'] for name in bank)

    # The last epoch again, from the checkpoint and the shards before it.
    again = ('model.memory.sharded=True', 'resume=True', f'load_from={work / "epoch_6.pth"}')
    resumed = train(config_file, tmp_path / 'resumed', *again)
    for name, value in sharded[0]['state_dict'].items():
        assert torch.equal(resumed[0]['state_dict'][name], value), name


@pytest.mark.slow
def test_two_processes_draw_the_same_augmentations_on_the_device(config_file: Path, tmp_path: Path) -> None:
    options = ['train_cfg.device_augmentation=True', 'train_dataloader.dataset.pipeline.2.prob=0.5']
    options += [f'train_dataloader.dataset.image_cache={tmp_path / "a.images"}']
    check_same(
        train(config_file, tmp_path / 'one', *options, run=run_one),
        train(config_file, tmp_path / 'two', *options),
    )


@pytest.mark.slow
@pytest.mark.parametrize('sampler', ['HardIdentitySampler', 'GraphIdentitySampler'])
def test_two_processes_train_as_one_on_batches_of_look_alikes(config_file: Path, tmp_path: Path, sampler: str) -> None:
    # Of the stages that read images, the bridging alone has a hook that prepares its sampler here.
    options = ['train_cfg.stages.warmup.epochs=0', 'train_cfg.stages.bridging.epochs=4']
    options += [f'train_dataloader.sampler.type={sampler}', 'train_dataloader.sampler.text=prompts']
    check_same(
        train(config_file, tmp_path / 'one', *options, run=run_one),
        train(config_file, tmp_path / 'two', *options),
    )


@pytest.mark.slow
def test_two_processes_average_as_one(config_file: Path, tmp_path: Path) -> None:
    config = Config.fromfile(config_file, import_custom_modules=False)
    config.custom_hooks.append({'type': 'WeightAveragingHook', 'stage': 'bridging'})
    config_file.write_text(config.pretty_text)
    one = train(config_file, tmp_path / 'one', run=run_one)
    two = train(config_file, tmp_path / 'two')
    check_same(one, two)
    for name, weight in one[0]['plain_weights'].items():
        torch.testing.assert_close(
            two[0]['plain_weights'][name], weight, rtol=1e-3, atol=1e-5, msg=f'{name}: {{}}'.format
        )
    moved = [
        name for name, weight in one[0]['plain_weights'].items() if not torch.equal(weight, one[0]['state_dict'][name])
    ]
    assert {'backbone.clip.visual.proj', 'head.neck_width.running_mean'} < set(moved)


@pytest.mark.parametrize('script', SHELL)
def test_shell_scripts_are_sound_and_say_how_they_are_used(script: str) -> None:
    path = REPOSITORY / 'tools' / script
    assert subprocess.run(['bash', '-n', str(path)], check=False).returncode == 0
    result = subprocess.run(['bash', str(path)], capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert result.stderr.startswith('usage:')
