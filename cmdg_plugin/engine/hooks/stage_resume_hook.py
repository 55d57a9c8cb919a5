"""Keeps the place in a staged run with its checkpoints."""

from typing import Any

from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner

from cmdg_plugin.checkpoints.bank_shards import keep_shard
from cmdg_plugin.checkpoints.reading import check_finite
from cmdg_plugin.engine.encoding import plain_model
from cmdg_plugin.engine.hooks.weight_averaging_hook import put_plain_back
from cmdg_plugin.engine.resuming import describe_position


class StageResumeHook(Hook):
    """Notes in each checkpoint where the run stood, and readies that stage's optimizer before its state is loaded.

    `StagedTrainLoop` registers it by itself; a config never names it.
    """

    priority = 'VERY_HIGH'

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Note the stage and its epoch in the checkpoint's meta data; refuse weights that are not numbers.

        Raises:
            FloatingPointError: If there are any; no checkpoint is written then, and the ones before stay.
        """
        try:
            check_finite(checkpoint['state_dict'], 'No checkpoint is written, because these weights are not numbers')
        except ValueError as error:
            raise FloatingPointError(str(error)) from None
        meta = checkpoint['meta']
        meta['world_size'] = get_world_size()
        # No weight tells it, and who builds the model again need not fetch the weights that it began with.
        meta['quick_gelu'] = plain_model(runner.model).backbone.quick_gelu
        meta['stage_position'] = describe_position(runner.train_loop.stages, meta['epoch'])
        checkpoint.update(plain_model(runner.model).stage_state())

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Build the optimizer that the checkpoint's state belongs to, and hand on what was kept beside the weights."""
        runner.train_loop.prepare_to_load(checkpoint)
        if runner._resume:
            put_plain_back(checkpoint)
        plain_model(runner.model).load_stage_state(checkpoint)

    def after_train_epoch(self, runner: Runner) -> None:
        """Write this rank's rows of a sharded bank, before the checkpoint of the epoch: every rank has its own."""
        model = plain_model(runner.model)
        if model.kept_rows is not None and model.memory.filled.all():
            keep_shard(runner, model.memory)
