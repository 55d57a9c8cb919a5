"""Measures what each loss term contributes, in place of training."""

from itertools import islice

import numpy as np
from mmengine.hooks import Hook
from mmengine.runner import Runner

from cmdg_plugin.engine.encoding import plain_model
from cmdg_plugin.models.losses import TermGradient, measure_terms
from cmdg_plugin.nested import has_prefix


class MeasuredTerms(Exception):
    """Ends a run whose terms have been measured: it was never meant to train."""


class TermGradientHook(Hook):
    """Measures the gradients of the loss terms on the first batches of a run, then ends it without a step.

    Args:
        parameters: Beginning of the names of the parameters that terms are compared on.
        num_batches: How many batches to measure.
    """

    def __init__(self, parameters: str = 'backbone.clip.visual', num_batches: int = 10) -> None:
        self.parameters = parameters
        self.num_batches = num_batches
        self.measured: list[dict[str, TermGradient]] = []

    def before_train_epoch(self, runner: Runner) -> None:
        """Measure.

        Raises:
            ValueError: If no parameter's name begins so, or none of them trains in this stage.
            MeasuredTerms: When all is measured.
        """
        model = plain_model(runner.model)
        chosen = [parameter for name, parameter in model.named_parameters() if has_prefix(name, self.parameters)]
        model.train()
        for batch in islice(runner.train_loop.dataloader, self.num_batches):
            losses = model(**model.data_preprocessor(batch, True), mode='loss')
            self.measured.append(measure_terms(losses, chosen))
        raise MeasuredTerms

    def table(self) -> str:
        """Lay out what was measured as a Markdown table: the mean over the batches."""
        lines = ['| term | loss | norm of its gradient | cosine with the sum |', '| :--- | ---: | ---: | ---: |']
        for name in self.measured[0]:
            loss, norm, cosine = np.mean([measured[name] for measured in self.measured], axis=0)
            lines.append(f'| {name} | {loss:.3f} | {norm:.3g} | {cosine:.2f} |')
        return '\n'.join(lines)
