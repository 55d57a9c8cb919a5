from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config

from cmdg_plugin.registry import PARAM_SCHEDULERS

RELEASED = Path(__file__).parents[2] / 'configs/_base_/schedules/cmdg_released.py'


def rates_of_stage(position: int) -> list[float]:
    """Learning rate of each epoch of a stage of the released schedule, from MMEngine's own stepping."""
    config = Config.fromfile(RELEASED)
    stage = config.train_cfg.stages[position]
    rate = stage.get('optim_wrapper', {}).get('optimizer', {}).get('lr', config.optim_wrapper.optimizer.lr)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=rate)
    settings = stage.param_scheduler if isinstance(stage.param_scheduler, list) else [stage.param_scheduler]
    schedules = [
        PARAM_SCHEDULERS.build({'end': stage.epochs, **one}, default_args={'optimizer': optimizer}) for one in settings
    ]
    rates = []
    for _ in range(stage.epochs):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for schedule in schedules:
            schedule.step()
    return rates


@pytest.mark.parametrize(('position', 'name'), enumerate(('warmup', 'prompt', 'bridging')))
def test_released_schedule_gives_the_methods_rate_in_every_epoch(
    position: int, name: str, golden: dict[str, np.ndarray]
) -> None:
    assert rates_of_stage(position) == pytest.approx(golden[f'lr_{name}_expected'], rel=1e-12)


@pytest.mark.parametrize(
    'settings', [{'start_ratio': 1.5}, {'end_ratio': -0.1}, {'warmup_epochs': -1}], ids=lambda s: next(iter(s))
)
def test_impossible_settings_are_named(settings: dict) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    with pytest.raises(ValueError, match=next(iter(settings))):
        PARAM_SCHEDULERS.build({'type': 'WarmupCosineLR', 'end': 3, **settings}, default_args={'optimizer': optimizer})
