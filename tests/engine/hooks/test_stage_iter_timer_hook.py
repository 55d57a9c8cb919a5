from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner


class Watch(Hook):
    """Notes the duration of each iteration and the time that is said to be left."""

    priority = 'LOW'

    def __init__(self) -> None:
        self.seen: dict[str, list[tuple[float, float]]] = defaultdict(list)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        hub = runner.message_hub
        self.seen[runner.train_loop.stage.name].append((hub.get_scalar('train/time').current(), hub.get_info('eta')))


def test_eta_is_what_the_rest_of_the_stage_takes_at_its_own_pace(tiny_config: Config) -> None:
    runner, watch = Runner.from_cfg(tiny_config), Watch()
    runner.register_hook(watch)
    runner.train()
    assert list(watch.seen) == ['warmup', 'prompt', 'bridging']
    for seen in watch.seen.values():
        durations = [duration for duration, _ in seen]
        expected = [sum(durations[:done]) / done * (len(seen) - done) for done in range(1, len(seen) + 1)]
        assert [eta for _, eta in seen] == pytest.approx(expected)


class OneWeight(BaseModel):
    """A model that is none of ours."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = 'tensor') -> dict[str, torch.Tensor]:
        return {'loss': self.weight.sum()}


def test_in_a_loop_without_stages_eta_is_that_of_the_run(tmp_path: Path) -> None:
    runner = Runner(
        OneWeight(),
        str(tmp_path),
        train_dataloader={
            'dataset': [{'inputs': 0}] * 3,
            'sampler': {'type': 'DefaultSampler', 'shuffle': False},
            'batch_size': 1,
            'num_workers': 0,
        },
        train_cfg={'type': 'EpochBasedTrainLoop', 'max_epochs': 2},
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}},
        default_hooks={'timer': {'type': 'cmdg_plugin.StageIterTimerHook'}},
        experiment_name='without_stages',
    )
    etas: list[float] = []

    class Noted(Hook):
        priority = 'LOW'

        def after_train_iter(self, runner: Runner, *_: Any, **__: Any) -> None:
            etas.append(runner.message_hub.get_info('eta'))

    runner.register_hook(Noted())
    runner.train()
    assert len(etas) == 6
    assert all(eta > 0 for eta in etas[:-1])
    assert etas[-1] == 0
