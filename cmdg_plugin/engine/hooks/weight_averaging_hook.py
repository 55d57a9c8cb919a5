"""Averages weights over the last epochs of a stage, and moves the average back towards the pretrained weights."""

from collections.abc import Mapping
from typing import Any

import torch
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cmdg_plugin.checkpoints.interpolating import INTERPOLATION, interpolate_weights, pretrained_weights
from cmdg_plugin.engine.encoding import plain_model
from cmdg_plugin.engine.stages import Stage
from cmdg_plugin.models.utils import check_fraction
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

    With `alpha` below 1, what is averaged of the image tower is `(1 - alpha) w0 + alpha w`, `w0` its pretrained
    weights, so the average lies between them and the mean of the trained ones. Norms of features, heads and texts
    have no `w0`. To interpolate the last weights alone, start with the last epoch of a schedule whose rate has fallen
    by then.

    Sources: Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization (SWA), every iteration
    as in Cha et al., SWAD: Domain Generalization by Seeking Flat Minima; exponential: Polyak and Juditsky; alpha:
    Wortsman et al., Robust Fine-Tuning of Zero-Shot Models (WiSE-FT).

    Args:
        stage: Name of the stage.
        start_epoch: First epoch of the stage, from 0, that is averaged.
        average: Config of one of MMEngine's averaged models; `StochasticWeightAverage`, the mean, if None. For a
            running average: `dict(type='ExponentialMovingAverage', momentum=0.01)`.
        alpha: Share of the fine-tuned weights in the image tower's average, in [0, 1]; the rest is pretrained.

    Raises:
        ValueError: If `start_epoch` is not a number of epochs, `alpha` not a share, or `average` nothing to be built.
    """

    # Before hooks that encode for a validation, after the one that readies a stage for its checkpoint.
    priority = 'HIGH'

    def __init__(
        self, stage: str, start_epoch: int = 0, average: dict[str, Any] | None = None, alpha: float = 1.0
    ) -> None:
        if isinstance(start_epoch, bool) or not isinstance(start_epoch, int) or start_epoch < 0:
            raise ValueError(f'WeightAveragingHook: start_epoch must be a whole number from 0, got {start_epoch!r}.')
        check_fraction('WeightAveragingHook', alpha=alpha)
        self.stage = stage
        self.start_epoch = start_epoch
        self.alpha = alpha
        self.average_cfg = average or {'type': 'StochasticWeightAverage'}
        _check_average(self.average_cfg)
        self._pretrained: dict[str, Tensor] = {}
        self._weights: AveragedWeights | None = None
        self._loaded: tuple[dict[str, Tensor], Tensor] | None = None

    def before_run(self, runner: Runner) -> None:
        """Keep the pretrained weights, with which the model was built and which a checkpoint is about to replace."""
        backbone = plain_model(runner.model).backbone
        if self.alpha < 1 and backbone.pretrained is not None:
            self._pretrained = pretrained_weights(backbone)

    def before_train(self, runner: Runner) -> None:
        """Look whether the run gets there.

        Raises:
            ValueError: If the model does not know the stage, another hook averages its weights, too, or there are no
                pretrained weights to move back to.
        """
        if self.alpha < 1 and not self._pretrained:
            raise ValueError(
                f'WeightAveragingHook: alpha {self.alpha} moves weights back to the pretrained ones, and '
                'model.backbone.pretrained is None: name a tag or a file there, or leave alpha at 1.'
            )
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
            self._weights = self._begin(plain_model(runner.model))
            self._weights.load(*self._loaded)
        self._loaded = None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Take the weights into the average."""
        model = plain_model(runner.model)
        if model.stage != self.stage or model.stage_epoch < self.start_epoch:
            return
        if self._weights is None:
            self._weights = self._begin(model)
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
        if self.alpha < 1:
            # As `interpolate_checkpoint` does, which moves nothing back a second time.
            checkpoint['meta'][INTERPOLATION] = {'alpha': self.alpha}
        state, averaged = checkpoint['state_dict'], self._weights.averaged()
        checkpoint[_PLAIN] = {name: state[name] for name in averaged}
        checkpoint[_STEPS] = self._weights.steps
        state.update({name: weight.cpu() for name, weight in averaged.items()})

    def after_stage(self, runner: Runner, stage: Stage) -> None:
        """Leave the average in the model."""
        if stage.name == self.stage:
            self._swap()
            self._weights = None

    def _begin(self, model: nn.Module) -> 'AveragedWeights':
        return AveragedWeights(model, self.average_cfg, self._pretrained, self.alpha)

    def _swap(self) -> None:
        if self._weights is not None:
            self._weights.swap()


class AveragedWeights:
    """What a model trains, and its average.

    Args:
        model: The model; what requires a gradient now is averaged, with the running statistics of batch norms.
        average: Config of one of MMEngine's averaged models.
        pretrained: Weights by name, of which a share is in what is averaged.
        alpha: Share of the model's own weights, where there are pretrained ones.
    """

    def __init__(
        self, model: nn.Module, average: Mapping[str, Any], pretrained: Mapping[str, Tensor], alpha: float
    ) -> None:
        chosen: dict[str, Tensor] = {n: weight for n, weight in model.named_parameters() if weight.requires_grad}
        for prefix, module in model.named_modules():
            if isinstance(module, _BatchNorm):
                statistics = module.named_buffers(prefix, recurse=False)
                chosen.update({name: value for name, value in statistics if value.is_floating_point()})
        # Detached: the model's own memory.
        self._live = {name: weight.detach() for name, weight in chosen.items()}
        self._pretrained = {name: weight for name, weight in pretrained.items() if name in chosen}
        self._alpha = alpha
        self._average: Any = MODELS.build({**average, 'model': _as_module(self._live), 'update_buffers': True})

    @property
    def steps(self) -> Tensor:
        """How often weights were taken in."""
        return self._average.steps

    def averaged(self) -> dict[str, Tensor]:
        """The average by name."""
        return dict(zip(self._live, self._average.module.buffers(), strict=True))

    def update(self) -> None:
        """Take the weights as they are now into the average."""
        self._average.update_parameters(_as_module(interpolate_weights(self._pretrained, self._live, self._alpha)))

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
        for name, averaged in self.averaged().items():
            kept = self._live[name].clone()
            self._live[name].copy_(averaged)
            averaged.copy_(kept)


def _check_average(config: Mapping[str, Any]) -> None:
    """Build the average of nothing, as a mistake in its config must not show when epochs have been trained."""
    try:
        MODELS.build({**config, 'model': nn.Module()})
    except (KeyError, TypeError, AssertionError) as error:
        raise ValueError(
            'WeightAveragingHook: average must be the config of one of the averaged models of MMEngine, such as '
            f"dict(type='ExponentialMovingAverage', momentum=0.01), got {config!r}: {error}."
        ) from error


def _as_module(tensors: Mapping[str, Tensor]) -> nn.Module:
    """Tensors as MMEngine averages them: in a module, under names without dots."""
    module = nn.Module()
    for number, tensor in enumerate(tensors.values()):
        module.register_buffer(str(number), tensor)
    return module


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
