import copy
from pathlib import Path
from typing import Any

import pytest

from cmdg_plugin.cli.command_line import read_config
from cmdg_plugin.engine.changed_settings import compare_settings

TOY = str(Path(__file__).parents[2] / 'configs/cmdg/cmdg_toy-vit_islands.py')
BEFORE = read_config(TOY).to_dict()


def change(option: str, value: Any) -> dict[str, Any]:
    return read_config(TOY, {option: value}).to_dict()


def test_a_run_that_is_the_same_says_nothing() -> None:
    now = copy.deepcopy(BEFORE)
    now.update(work_dir='/elsewhere', resume=True, load_from='epoch_3.pth', log_level='DEBUG')
    now['train_dataloader'].update(num_workers=7, prefetch_factor=3)
    now['train_dataloader']['dataset'].update(image_cache='a.images', index_cache='a.index')
    now['train_dataloader']['dataset']['sources'] = tuple(now['train_dataloader']['dataset']['sources'])
    assert compare_settings(BEFORE, now, 1, 1) == []
    assert compare_settings(None, now) == []


@pytest.mark.parametrize(
    ('option', 'value', 'line'),
    [
        (
            'optim_wrapper.optimizer.lr',
            3e-4,
            'optim_wrapper.optimizer.lr was 6e-05 and is 0.0003: the current stage goes on with the optimizer and the '
            'schedule in the checkpoint, so it counts from the next stage on; to have it at once, start from the '
            'weights alone with load_from=epoch_3.pth and without --resume.',
        ),
        (
            'optim_wrapper.constructor',
            'LayerDecayConstructor',
            "optim_wrapper.constructor was not set and is 'LayerDecayConstructor': the current stage goes on with the "
            'optimizer and the schedule in the checkpoint, so it counts from the next stage on; to have it at once, '
            'start from the weights alone with load_from=epoch_3.pth and without --resume.',
        ),
        (
            'train_dataloader.batch_size',
            32,
            'train_dataloader.batch_size was 64 and is 32: from here on epochs have another number of steps, at '
            'unchanged learning rates.',
        ),
        ('model.memory.momentum', 0.5, 'model.memory.momentum was 0.3 and is 0.5: it counts from here on.'),
        (
            'optim_wrapper.clip_grad.max_norm',
            1.0,
            'optim_wrapper.clip_grad.max_norm was not set and is 1.0: it counts from here on.',
        ),
        (
            'train_cfg.stages.bridging.epochs',
            9,
            'train_cfg.stages.2.epochs was 8 and is 9: it counts when that stage begins.',
        ),
        (
            'train_cfg.stages.warmup.param_scheduler.end',
            3,
            'train_cfg.stages.0.param_scheduler.end was 4 and is 3: that stage is over, so it changes nothing.',
        ),
    ],
)
def test_each_change_is_one_line(option: str, value: Any, line: str) -> None:
    assert compare_settings(BEFORE, change(option, value), stage=1, checkpoint='epoch_3.pth') == [line]


def test_other_processes_are_said_and_another_seed_is_refused() -> None:
    assert compare_settings(BEFORE, BEFORE, 4, 2) == [
        'The run was begun with 4 processes and goes on with 2: a step now takes 2 x 64 images, at unchanged '
        'learning rates.'
    ]
    with pytest.raises(ValueError, match=r'^randomness\.seed was 0 and is 3: what a run draws .* its seed\. Resume'):
        compare_settings(BEFORE, change('randomness.seed', 3))


def test_many_changes_are_counted() -> None:
    now = {**BEFORE, 'model': {f'setting{number}': 1 for number in range(50)}}
    lines = compare_settings(BEFORE, now)
    assert len(lines) == 12
    assert 'more settings have changed' in lines[-1]
