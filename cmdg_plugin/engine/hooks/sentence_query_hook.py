"""Lets the sentences of text search be encoded before the images that they ask for."""

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from cmdg_plugin.engine.encoding import encode_captions, plain_model
from cmdg_plugin.evaluation.reid_metric import ReIDMetric
from cmdg_plugin.registry import HOOKS


@HOOKS.register_module()
class SentenceQueryHook(Hook):
    """Encodes the sentences of a `TextSearchSet` by all ranks together, and gives them to the `ReIDMetric`.

    Sentences are encoded in batches of like length, at their true length; how many the text tower cuts is a warning.

    Args:
        batch_size: Sentences encoded at a time.
    """

    def __init__(self, batch_size: int = 256) -> None:
        if batch_size < 1:
            raise ValueError(f'batch_size must be at least 1, got {batch_size}.')
        self.batch_size = batch_size

    def before_val_epoch(self, runner: Runner) -> None:
        """Encode the sentences of the validation set."""
        self._encode(runner, runner.val_loop)

    def before_test_epoch(self, runner: Runner) -> None:
        """Encode the sentences of the test set."""
        self._encode(runner, runner.test_loop)

    def _encode(self, runner: Runner, loop: Any) -> None:
        model: Any = plain_model(runner.model)  # of any project
        for metric in loop.evaluator.metrics:
            if not isinstance(metric, ReIDMetric):
                continue
            for target in (metric.dataset_meta or {}).get('targets', ()):
                if not target.sentences:
                    continue
                if not hasattr(model, 'encode_sentences'):
                    raise ValueError(
                        f'{type(model).__name__} encodes no sentences, so nothing can ask for the images of '
                        f'{target.name}; text search takes a model with a text tower, such as CMDGReID.'
                    )
                # MMEngine itself does so after its hooks.
                model.eval()
                features = encode_captions(model, [(sentence,) for sentence in target.sentences], self.batch_size)
                metric.sentence_features[target.name] = features[:, 0].cpu().numpy()
