from typing import Any

import pytest

from cmdg_plugin.engine.hooks import DomainBridgingHook, PromptLearningHook, StagePreparationHook
from cmdg_plugin.registry import HOOKS


@pytest.mark.parametrize(('kind', 'stage'), [(PromptLearningHook, 'prompt'), (DomainBridgingHook, 'bridging')])
def test_each_is_for_its_stage_by_default(kind: type[StagePreparationHook], stage: str) -> None:
    hook: Any = HOOKS.build({'type': kind.__name__, 'pipeline': [{'type': 'A'}], 'batch_size': 7, 'num_workers': 0})
    assert type(hook) is kind
    assert (hook.stage, hook.options.batch_size, hook.options.num_workers) == (stage, 7, 0)
    other: Any = HOOKS.build({'type': kind.__name__, 'pipeline': [], 'stage': 'another'})
    assert other.stage == 'another'
