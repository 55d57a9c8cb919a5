"""Prepares the prompt stage: every training image is encoded once."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from cmdg_plugin.engine.encoding import EncodingOptions, encode_images, plain_model
from cmdg_plugin.engine.stages import Stage
from cmdg_plugin.registry import HOOKS


@HOOKS.register_module()
class PromptLearningHook(Hook):
    """Encodes all training images when the prompt stage begins, so that its epochs never run the image tower.

    The features stay on the model until domain bridging has filled its memory bank with them.

    Args:
        pipeline: Transforms without randomness for the encoding pass.
        batch_size: Images encoded at a time.
        num_workers: Workers of the encoding pass.
        stage: Name of the stage that it prepares.
    """

    def __init__(
        self, pipeline: list[dict], batch_size: int = 128, num_workers: int = 2, stage: str = 'prompt'
    ) -> None:
        self.options = EncodingOptions(pipeline, batch_size, num_workers)
        self.stage = stage

    def before_stage(self, runner: Runner, stage: Stage) -> None:
        """Hand the features of all training images to the model."""
        if stage.name == self.stage:
            model = plain_model(runner.model)
            model.remember_images(encode_images(model, runner.train_loop.dataset, self.options, model.share))
