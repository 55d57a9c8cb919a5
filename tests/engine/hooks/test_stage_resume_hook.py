"""What a checkpoint keeps of a run's place; going on from it: tests/engine/test_staged_train_loop.py."""

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from cmdg_plugin.engine.hooks.stage_resume_hook import StageResumeHook
from cmdg_plugin.engine.resuming import describe_position


@pytest.fixture
def runner(tiny_config: Config) -> Runner:
    runner = Runner.from_cfg(tiny_config)
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    return runner


def test_a_checkpoint_says_where_the_run_stood(runner: Runner) -> None:
    checkpoint = {'meta': {'epoch': 3}, 'state_dict': {'weight': torch.ones(2)}}
    StageResumeHook().before_save_checkpoint(runner, checkpoint)
    meta = checkpoint['meta']
    assert (meta['world_size'], meta['quick_gelu']) == (1, runner.model.backbone.quick_gelu)
    # Two epochs of the warm-up, and one of the prompt stage.
    assert meta['stage_position'] == describe_position(runner.train_loop.stages, 3)
    assert 'prompt' in str(meta['stage_position'])


def test_weights_that_are_not_numbers_are_not_saved(runner: Runner) -> None:
    checkpoint = {'meta': {'epoch': 3}, 'state_dict': {'weight': torch.tensor([1.0, float('nan')])}}
    with pytest.raises(FloatingPointError, match='No checkpoint is written, because these weights are not numbers'):
        StageResumeHook().before_save_checkpoint(runner, checkpoint)


def test_it_is_there_without_a_config_that_names_it(runner: Runner) -> None:
    runner.call_hook('before_run')
    assert any(isinstance(hook, StageResumeHook) for hook in runner.hooks)
