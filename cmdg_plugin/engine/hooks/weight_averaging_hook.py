"""Averages weights over the last epochs of a stage."""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cmdg_plugin.engine.encoding import plain_model
from cmdg_plugin.engine.stages import Stage
from cmdg_plugin.registry import HOOKS, MODELS
from cmdg_plugin.saying import say, warn

_PLAIN, _STEPS = 'plain_weights', 'averaged_steps'


@HOOKS.register_module()
class WeightAveragingHook(Hook):
    """Averages what a stage trains, from one of its epochs to its end; training itself goes on as if it did not.

    Averaged after every iteration are the stage's trainable parameters, and the running statistics of batch norms,
    which would otherwise not fit them. All else, such as the memory bank, stays as trained. The average is what
    validation scores and what a checkpoint holds in `state_dict`; beside it stand the weights as trained, with which a
    resumed run goes on exactly. When the stage ends, its average takes the place of the weights, so that a next stage
    begins with it.

    Sources: Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization (SWA), every iteration
    as in Cha et al., SWAD: Domain Generalization by Seeking Flat Minima; exponential: Polyak and Juditsky.

    Args:
        stage: Name of the stage.
        start_epoch: First epoch of the stage, from 0, that is averaged.
        average: Config of one of MMEngine's averaged models; `StochasticWeightAverage`, the mean, if None. For a
            running average: `dict(type='ExponentialMovingAverage', momentum=0.01)`.

    Raises:
        ValueError: If `start_epoch` is not a number of epochs.
    """

    # Before hooks that encode for a validation, after the one that readies a stage for its checkpoint.
    priority = 'HIGH'

    def __init__(self, stage: str, start_epoch: int = 0, average: dict[str, Any] | None = None) -> None:
        if isinstance(start_epoch, bool) or not isinstance(start_epoch, int) or start_epoch < 0:
            raise ValueError(f'WeightAveragingHook: start_epoch must be a whole number from 0, got {start_epoch!r}.')
        self.stage = stage
        self.start_epoch = start_epoch
        self.average_cfg = average or {'type': 'StochasticWeightAverage'}
        self._weights: AveragedWeights | None = None
        self._loaded: tuple[dict[str, Tensor], Tensor] | None = None

    def before_train(self, runner: Runner) -> None:
        """Look whether the run gets there.

        Raises:
            ValueError: If the model does not know the stage, or another hook averages its weights, too.
        """
        for other in runner.hooks:
            same = isinstance(other, WeightAveragingHook) and other.stage == self.stage and other is not self
            if same or isinstance(other, EMAHook):
                name = type(other).__name__
                raise ValueError(f"{name} and WeightAveragingHook both average '{self.stage}': leave one of them out.")
        known = plain_model(runner.model).stage_names
        if self.stage not in known:
            raise ValueError(f'WeightAveragingHook: there is no stage {self.stage!r}, only {", ".join(known)}.')
        epochs = {stage.name: stage.epochs for stage in runner.train_loop.stages}.get(self.stage, 0)
        if self.start_epoch >= epochs:
            warn(
                f"WeightAveragingHook begins with epoch {self.start_epoch} (from 0) of '{self.stage}', which has "
                f'{epochs}: nothing is averaged. Lower its start_epoch, or train longer.'
            )

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Keep the average that a resumed run goes on with; `StageResumeHook` has put it beside the weights."""
        if runner._resume and within_averaged_stage(checkpoint):
            self._loaded = checkpoint[_PLAIN], checkpoint[_STEPS]

    def before_stage(self, runner: Runner, stage: Stage) -> None:
        """Take the average up again, if the run goes on inside the stage."""
        if stage.name == self.stage and self._loaded is not None:
            self._weights = AveragedWeights(plain_model(runner.model), self.average_cfg)
            self._weights.load(*self._loaded)
        self._loaded = None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Take the weights into the average."""
        model = plain_model(runner.model)
        if model.stage != self.stage or model.stage_epoch < self.start_epoch:
            return
        if self._weights is None:
            self._weights = AveragedWeights(model, self.average_cfg)
            say(f"Weights are averaged from epoch {model.stage_epoch + 1} of '{self.stage}' to its end.")
        self._weights.update()

    def before_val_epoch(self, runner: Runner) -> None:
        """Score the average."""
        self._swap()

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Go on with the weights as trained."""
        self._swap()

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Put the average into the checkpoint's weights, and these beside it."""
        if self._weights is None:
            return
        state, averaged = checkpoint['state_dict'], self._weights.averaged()
        checkpoint[_PLAIN] = {name: state[name] for name in averaged}
        checkpoint[_STEPS] = self._weights.steps
        state.update({name: weight.cpu() for name, weight in averaged.items()})

    def after_stage(self, runner: Runner, stage: Stage) -> None:
        """Leave the average in the model."""
        if stage.name == self.stage:
            self._swap()
            self._weights = None

    def _swap(self) -> None:
        if self._weights is not None:
            self._weights.swap()


class AveragedWeights:
    """What a model trains, and its average.

    Args:
        model: The model; what requires a gradient now is averaged, with the running statistics of batch norms.
        average: Config of one of MMEngine's averaged models.
    """

    def __init__(self, model: nn.Module, average: Mapping[str, Any]) -> None:
        chosen: dict[str, Tensor] = {n: weight for n, weight in model.named_parameters() if weight.requires_grad}
        for prefix, module in model.named_modules():
            if isinstance(module, _BatchNorm):
                statistics = module.named_buffers(prefix, recurse=False)
                chosen.update({name: value for name, value in statistics if value.is_floating_point()})
        self._names = list(chosen)
        # MMEngine averages modules: this one holds the model's own memory, under names without dots.
        self._live = nn.Module()
        for number, weight in enumerate(chosen.values()):
            self._live.register_buffer(str(number), weight.detach())
        self._average: Any = MODELS.build({**average, 'model': self._live, 'update_buffers': True})

    @property
    def steps(self) -> Tensor:
        """How often weights were taken in."""
        return self._average.steps

    def averaged(self) -> dict[str, Tensor]:
        """The average by name."""
        return dict(zip(self._names, self._average.module.buffers(), strict=True))

    def update(self) -> None:
        """Take the weights as they are now into the average."""
        self._average.update_parameters(self._live)

    def load(self, averaged: Mapping[str, Tensor], steps: Tensor) -> None:
        """Go on from another run's average.

        Raises:
            ValueError: If that is of other weights.
        """
        own = self.averaged()
        if own.keys() != averaged.keys():
            raise ValueError(
                f'The checkpoint averages {len(averaged)} weights and this run {len(own)}: resume with the `trainable` '
                'and the model of that run, or start from its weights alone with load_from.'
            )
        for name, weight in own.items():
            weight.copy_(averaged[name])
        self.steps.copy_(steps)

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the weights with their average."""
        for weight, averaged in zip(self._live.buffers(), self._average.module.buffers(), strict=True):
            kept = weight.clone()
            weight.copy_(averaged)
            averaged.copy_(kept)


def within_averaged_stage(checkpoint: Mapping[str, Any]) -> bool:
    """Whether a checkpoint was saved while a stage, not yet at its end, was averaged."""
    position = checkpoint.get('meta', {}).get('stage_position')
    return _PLAIN in checkpoint and position['epochs_in_stage'] < dict(position['stages'])[position['stage']]


def put_plain_back(checkpoint: dict[str, Any]) -> None:
    """Let a run that is resumed from a checkpoint load the weights as trained; the average takes their place there."""
    if within_averaged_stage(checkpoint):
        state, plain = checkpoint['state_dict'], checkpoint[_PLAIN]
        for name in plain:
            state[name], plain[name] = plain[name], state[name]
