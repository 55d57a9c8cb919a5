"""The time of an iteration, and how long the stage will still take."""

from typing import Any

from mmengine.hooks import IterTimerHook
from mmengine.runner import Runner

from cmdg_plugin.registry import HOOKS


@HOOKS.register_module()
class StageIterTimerHook(IterTimerHook):
    """MMEngine's timer, whose `eta` is the time left in the stage.

    A step of the warm-up takes many times one of the prompt stage, so that neither tells when the run ends;
    `tools/estimate_run.py` does. In a loop without stages it is MMEngine's.
    """

    def before_stage(self, runner: Runner, stage: Any) -> None:
        """Forget what iterations of the stage before took."""
        self.time_sec_tot, self.start_iter = 0, runner.iter

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Note what the iteration took and what is left of the stage; see the base class."""
        super().after_train_iter(runner, batch_idx, data_batch, outputs)
        loop = runner.train_loop
        stage = getattr(loop, 'stage', None)
        if stage is not None:
            left = (stage.end - runner.epoch) * len(loop.dataloader) - batch_idx - 1
            mean = self.time_sec_tot / (runner.iter - self.start_iter + 1)
            runner.message_hub.update_info('eta', mean * left)
