"""What the engine does for a stage that begins: passes over the training set, by all ranks."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from cmdg_plugin.checkpoints.bank_shards import load_shard
from cmdg_plugin.datasets.samplers import HardIdentitySampler
from cmdg_plugin.engine.encoding import EncodingOptions, encode_captions, encode_images, encode_rows, plain_model
from cmdg_plugin.engine.stages import Stage
from cmdg_plugin.models.identity_features import identity_features
from cmdg_plugin.models.memory import CaptionMemoryBank
from cmdg_plugin.registry import HOOKS
from cmdg_plugin.saying import say


@dataclass(frozen=True)
class RunPreparation:
    """A run's answer to `models.stages.Preparation` and `datasets.samplers.IdentityEncoding`.

    Args:
        runner: The run.
        options: How its encoding passes read images.
    """

    runner: Runner
    options: EncodingOptions
    _kept: dict[str, Tensor] = field(default_factory=dict)

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

    def retrieval_features(self, positions: Sequence[int]) -> Tensor:
        """Encode some training images; see `encode_rows`."""
        model = plain_model(self.runner.model)
        return encode_rows(model, model.encode_retrieval, self.runner.train_loop.dataset, self.options, positions)

    def identity_features(self, source: str) -> Tensor:
        """One feature of every identity; see `models.identity_features`. Texts that stand still are encoded once."""
        if source in self._kept:
            return self._kept[source]
        model = plain_model(self.runner.model)
        features = identity_features(model, self, source)
        if source != 'images' and not model.trains_text and not model.prompts.context.requires_grad:
            self._kept[source] = features
        return features

    def restore_bank(self, memory: CaptionMemoryBank) -> None:
        """Read this rank's rows of a sharded bank; see `load_shard`."""
        loop = self.runner.train_loop
        load_shard(memory, loop.resumed_from, self.runner.epoch, loop.resumed_run)


@HOOKS.register_module()
class StagePreparationHook(Hook):
    """Lets a stage compute what its batches need, when it begins, and its sampler what an epoch's batches need.

    Args:
        stage: Name of the stage that it prepares.
        pipeline: Transforms without randomness for passes over the training images.
        batch_size: Images encoded at a time.
        num_workers: Workers of such a pass.

    Attributes:
        prepared_by: What does the passes.
    """

    prepared_by: type[RunPreparation] = RunPreparation

    def __init__(self, stage: str, pipeline: list[dict], batch_size: int = 128, num_workers: int = 2) -> None:
        self.stage = stage
        self.options = EncodingOptions(pipeline, batch_size, num_workers)

    def before_stage(self, runner: Runner, stage: Stage) -> None:
        """Prepare the stage, if it is this hook's."""
        if stage.name == self.stage:
            self.preparation = self.prepared_by(runner, self.options)
            plain_model(runner.model).prepare_stage(self.preparation)

    def before_train_epoch(self, runner: Runner) -> None:
        """Let the stage's sampler compose the epoch's batches, if it asks for features."""
        sampler = runner.train_loop.dataloader.sampler
        if runner.train_loop.stage.name == self.stage and isinstance(sampler, HardIdentitySampler):
            start = time.perf_counter()
            sampler.prepare(runner.epoch, self.preparation)
            say(f'Batches of look-alikes composed in {time.perf_counter() - start:.1f} s')


@HOOKS.register_module()
class PromptLearningHook(StagePreparationHook):
    """Prepares the prompt stage: every training image is encoded once. Arguments as `StagePreparationHook` has them."""

    def __init__(
        self, pipeline: list[dict], batch_size: int = 128, num_workers: int = 2, stage: str = 'prompt'
    ) -> None:
        super().__init__(stage, pipeline, batch_size, num_workers)


@HOOKS.register_module()
class DomainBridgingHook(StagePreparationHook):
    """Prepares the bridging stage: captions and identity prompts encoded once, the bank filled; arguments likewise."""

    def __init__(
        self, pipeline: list[dict], batch_size: int = 128, num_workers: int = 2, stage: str = 'bridging'
    ) -> None:
        super().__init__(stage, pipeline, batch_size, num_workers)
