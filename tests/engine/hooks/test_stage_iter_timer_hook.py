from collections import defaultdict
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
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
