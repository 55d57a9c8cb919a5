"""Prepares the prompt stage: every training image is encoded once."""

from cmdg_plugin.engine.hooks.stage_preparation_hook import StagePreparationHook
from cmdg_plugin.registry import HOOKS


@HOOKS.register_module()
class PromptLearningHook(StagePreparationHook):
    """Prepares the prompt stage; arguments as `StagePreparationHook` has them."""

    def __init__(
        self, pipeline: list[dict], batch_size: int = 128, num_workers: int = 2, stage: str = 'prompt'
    ) -> None:
        super().__init__(stage, pipeline, batch_size, num_workers)
