"""Prepares the bridging stage: captions and identity prompts encoded once, the memory bank filled."""

import logging
from collections.abc import Sequence
from typing import Any

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor

from cmdg_plugin.checkpoints.bank_shards import keep_shard, load_shard
from cmdg_plugin.engine.encoding import EncodingOptions, encode_captions, encode_images, plain_model
from cmdg_plugin.engine.stages import Stage
from cmdg_plugin.regions import PARTS
from cmdg_plugin.registry import HOOKS

_PROMPTS = 'prompt_features'


@HOOKS.register_module()
class DomainBridgingHook(Hook):
    """Encodes what the bridging stage compares images with, and fills the memory bank.

    Image features come from the prompt stage where there was one; a run resumed inside the stage keeps the bank of its
    checkpoint. A sharded bank is written and read here, by every rank, as checkpoints are written by one. What no loss
    term of the stage reads is not prepared.

    Args:
        pipeline: Transforms without randomness for the encoding pass.
        batch_size: Images encoded at a time.
        num_workers: Workers of the encoding pass.
        stage: Name of the stage that it prepares.
    """

    def __init__(
        self, pipeline: list[dict], batch_size: int = 128, num_workers: int = 2, stage: str = 'bridging'
    ) -> None:
        self.options = EncodingOptions(pipeline, batch_size, num_workers)
        self.stage = stage
        self._saved_prompts: Sequence[Tensor | None] | None = None

    def before_train(self, runner: Runner) -> None:
        """Refuse images without captions where captions choose neighbors: empty ones resemble each other perfectly.

        Raises:
            ValueError: If there are any.
        """
        model, loop = plain_model(runner.model), runner.train_loop
        if self.stage not in [stage.name for stage in loop.stages] or 'bank_text' not in model.losses[self.stage].reads:
            return
        bare = sum(not any(captions[: len(PARTS)]) for captions in loop.dataset.captions)
        if bare:
            raise ValueError(
                f'{bare:,} of {len(loop.dataset):,} training images have no part captions, but the captions guide '
                f"'{self.stage}': they would be tied to each other for that. Caption them, leave them out with "
                "on_missing='skip', or train with a recipe without TextNeighborSearch, such as the released one."
            )

    def before_stage(self, runner: Runner, stage: Stage) -> None:
        """Hand captions to the model and let it fill its bank.

        Raises:
            ValueError: If the run goes on inside the stage without the bank that the stage reads.
        """
        if stage.name != self.stage:
            return
        model, loop = plain_model(runner.model), runner.train_loop
        resumed = loop.resumed_within_stage
        fill_memory = model.needs_bank and not resumed
        if fill_memory and model.image_regions is None:
            model.remember_images(encode_images(model, loop.dataset, self.options, model.share))
        if resumed and model.share is not None:
            load_shard(model.memory, loop.resumed_from, runner.epoch)
        if resumed and model.needs_bank and not model.memory.filled.all():
            raise ValueError(
                f"The checkpoint was saved inside '{self.stage}', but holds no memory bank: its run kept a sharded one "
                'on several processes, or had no term that reads one. Resume with the settings and the number of '
                'processes of that run.'
            )
        if not loop.prompts_are_trained:
            print_log(
                'No prompt stage came before: the identity prompts are random, and so is what L_prompt teaches. Run '
                "the stage 'prompt', or start from its checkpoint with load_from.",
                logger='current',
                level=logging.WARNING,
            )
        captions = encode_captions(model, loop.dataset.captions, share=model.share) if model.needs_captions else None
        model.start_bridging(captions, fill_memory, self._saved_prompts if resumed else None)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the prompts' features where the text tower that they come from trains."""
        prompts = plain_model(runner.model).moving_prompts
        if prompts is not None:
            checkpoint[_PROMPTS] = list(prompts)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Remember them for the stage."""
        saved = checkpoint.get(_PROMPTS)
        device = next(plain_model(runner.model).parameters()).device
        self._saved_prompts = saved and [one if one is None else one.to(device) for one in saved]

    def after_train_epoch(self, runner: Runner) -> None:
        """Write this rank's rows of a sharded bank, before the checkpoint of the epoch."""
        model = plain_model(runner.model)
        if runner.train_loop.stage.name == self.stage and model.share is not None:
            keep_shard(runner, model.memory)
