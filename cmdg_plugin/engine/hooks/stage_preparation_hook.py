"""What the engine does for a stage that begins: passes over the training set, by all ranks."""

from dataclasses import dataclass
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from cmdg_plugin.checkpoints.bank_shards import load_shard
from cmdg_plugin.engine.encoding import EncodingOptions, encode_captions, encode_images, plain_model
from cmdg_plugin.engine.stages import Stage
from cmdg_plugin.registry import HOOKS


@dataclass(frozen=True)
class RunPreparation:
    """A run's answer to `models.stages.Preparation`.

    Args:
        runner: The run.
        options: How its encoding passes read images.
    """

    runner: Runner
    options: EncodingOptions

    @property
    def resumed(self) -> bool:
        """Whether the run goes on inside the current stage."""
        return self.runner.train_loop.resumed_within_stage

    @property
    def stages_done(self) -> list[str]:
        """Names of the stages trained before, by this run or the one that its weights come from."""
        return self.runner.train_loop.stages_done

    def image_features(self, rows: slice | None) -> Tensor:
        """Encode the training images once; see `encode_images`."""
        return encode_images(plain_model(self.runner.model), self.runner.train_loop.dataset, self.options, rows)

    def caption_features(self, rows: slice | None) -> Tensor:
        """Encode their captions once; see `encode_captions`."""
        captions = self.runner.train_loop.dataset.captions
        return encode_captions(plain_model(self.runner.model), captions, kept_rows=rows)

    def restore_bank(self, memory: Any) -> None:
        """Read this rank's rows of a sharded bank; see `load_shard`."""
        loop = self.runner.train_loop
        load_shard(memory, loop.resumed_from, self.runner.epoch, loop.resumed_run)


@HOOKS.register_module()
class StagePreparationHook(Hook):
    """Lets a stage compute what its batches need, when it begins.

    Args:
        stage: Name of the stage that it prepares.
        pipeline: Transforms without randomness for passes over the training images.
        batch_size: Images encoded at a time.
        num_workers: Workers of such a pass.
    """

    def __init__(self, stage: str, pipeline: list[dict], batch_size: int = 128, num_workers: int = 2) -> None:
        self.stage = stage
        self.options = EncodingOptions(pipeline, batch_size, num_workers)

    def before_stage(self, runner: Runner, stage: Stage) -> None:
        """Prepare the stage, if it is this hook's."""
        if stage.name == self.stage:
            plain_model(runner.model).prepare_stage(RunPreparation(runner, self.options))
