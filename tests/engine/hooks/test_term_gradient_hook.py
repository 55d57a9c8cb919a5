import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner

from cmdg_plugin.engine.hooks import MeasuredTerms, TermGradientHook


def test_terms_of_the_stage_are_measured_and_nothing_is_trained(tiny_config: Config) -> None:
    tiny_config.train_cfg.stages[0].epochs = tiny_config.train_cfg.stages[1].epochs = 0
    runner, hook = Runner.from_cfg(tiny_config), TermGradientHook(num_batches=2)
    before = {name: value.clone() for name, value in runner.model.named_parameters()}
    runner.register_hook(hook)
    with pytest.raises(MeasuredTerms):
        runner.train()
    assert len(hook.measured) == 2
    names = [term.name for term in tiny_config.model.losses.bridging]
    assert list(hook.measured[0]) == names
    assert all(measured.norm > 0 for batch in hook.measured for measured in batch.values())
    assert [line.split(' | ')[0].lstrip('| ') for line in hook.table().splitlines()[2:]] == names
    weights = dict(runner.model.named_parameters())
    assert all(torch.equal(weights[name], value) for name, value in before.items())


def test_parameters_that_do_not_train_are_refused(tiny_config: Config) -> None:
    runner = Runner.from_cfg(tiny_config)
    runner.register_hook(TermGradientHook('backbone.clip.transformer'))
    with pytest.raises(ValueError, match='and 0 of them'):
        runner.train()
