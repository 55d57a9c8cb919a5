"""What a run will take on this machine, from a few steps of each of its stages."""

import os
import time
from dataclasses import dataclass, field
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile, record_function

from cmdg_plugin.engine.encoding import plain_model
from cmdg_plugin.engine.first_batches import FirstBatches
from cmdg_plugin.engine.hooks.stage_preparation_hook import StagePreparationHook
from cmdg_plugin.engine.quiet_runner import build_runner
from cmdg_plugin.engine.sampled_preparation import SampledPreparation
from cmdg_plugin.engine.staged_train_loop import StagedTrainLoop
from cmdg_plugin.nested import walk

_WARM_UP = 2
_PROFILED = 2
LOSSES = 'losses and bank'
"""A share of a step, by the name that tables give it."""


@dataclass
class StageEstimate:
    """What a stage takes.

    Attributes:
        name: The stage.
        epochs: How many epochs it lasts in the run.
        steps: Steps of an epoch.
        batch: Images of a step, over all processes.
        preparation: Seconds of the passes that prepare it, by what they encode.
        epoch_start: Seconds from the beginning of an epoch to its first batch.
        each_epoch: Seconds of passes at the beginning of every epoch.
        step: Seconds of a step, waits included.
        shares: Shares of a step, 1 in all: waiting for the `loader`, `losses and bank`, `towers and optimizer`,
            and `Python`, which is what no operation accounts for.
        checkpoint: Bytes of a checkpoint at its end.
    """

    name: str
    epochs: int
    steps: int
    batch: int
    preparation: dict[str, float] = field(default_factory=dict)
    epoch_start: float = 0.0
    each_epoch: float = 0.0
    step: float = 0.0
    shares: dict[str, float] = field(default_factory=dict)
    checkpoint: int = 0

    @property
    def seconds(self) -> float:
        """Seconds of the whole stage."""
        epoch = self.epoch_start + self.each_epoch + self.steps * self.step
        return sum(self.preparation.values()) + self.epochs * epoch

    @property
    def bottleneck(self) -> str:
        """What most of a step goes to."""
        return max(self.shares, key=self.shares.__getitem__)


class StageTimer(Hook):
    """Times a few steps of every stage, and looks into two more.

    Args:
        steps: Steps to time.
        epochs: Epochs of each stage in the run.
    """

    priority = 'LOWEST'

    def __init__(self, steps: int, epochs: dict[str, int]) -> None:
        self.steps = steps
        self.epochs = epochs
        self.estimates: list[StageEstimate] = []
        self._profile: profile | None = None
        self._left_off = self._waited = self._begin = self._profiled = 0.0

    def before_run(self, runner: Runner) -> None:
        """Shorten the stages, and let samples stand in for passes over all images."""
        loop = runner.train_loop
        self.lengths = {name: len(loader) for name, loader in loop.loaders.items()}
        number = _WARM_UP + self.steps + _PROFILED
        loop.loaders = {name: FirstBatches(loader, number) for name, loader in loop.loaders.items()}
        for hook in runner.hooks:
            if isinstance(hook, StagePreparationHook):
                hook.prepared_by = SampledPreparation
        for terms in plain_model(runner.model).losses.values():
            _mark(terms)

    def before_stage(self, runner: Runner, stage: Any) -> None:
        """Open the stage's account."""
        batch = get_world_size() * (runner.train_loop.dataloader.batch_size or 1)
        self.estimates.append(StageEstimate(stage.name, self.epochs[stage.name], self.lengths[stage.name], batch))

    def before_train_epoch(self, runner: Runner) -> None:
        """Take what the passes cost, and start the clock; terms that begin in a later epoch take part."""
        now = self.estimates[-1]
        plain_model(runner.model).start_epoch(now.epochs - 1)
        for hook in runner.hooks:
            if isinstance(hook, StagePreparationHook) and hook.stage == now.name:
                passes: Any = hook.preparation  # before_run chose its class
                now.preparation, now.each_epoch = passes.once, sum(passes.each_epoch)
        self._left_off = time.perf_counter()

    def before_train_iter(self, runner: Runner, batch_idx: int, **kwargs: Any) -> None:
        """Note how long the batch was waited for."""
        waited = time.perf_counter() - self._left_off
        if batch_idx == 0:
            self.estimates[-1].epoch_start = waited
        self._waited += waited
        self._left_off = time.perf_counter()

    def after_train_iter(self, runner: Runner, batch_idx: int, **kwargs: Any) -> None:
        """Note how long the step took."""
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        end, now = time.perf_counter(), self.estimates[-1]
        if batch_idx == _WARM_UP - 1:
            self._begin, self._waited = end, 0.0
        elif batch_idx == _WARM_UP + self.steps - 1:
            now.step = (end - self._begin) / self.steps
            now.shares = {'loader': min(1.0, self._waited / (end - self._begin))}
            self._profiled = 0.0
            self._profile = profile(
                activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if torch.cuda.is_available() else [])]
            )
            self._profile.start()
        elif self._profile is not None:
            self._profiled += end - self._left_off
            if batch_idx == _WARM_UP + self.steps + _PROFILED - 1:
                self._profile.stop()
                now.shares.update(_share_out(self._profile, self._profiled, 1 - now.shares['loader']))
                self._profile = None
        self._left_off = time.perf_counter()

    def after_train_epoch(self, runner: Runner) -> None:
        """Weigh the checkpoint that the run would save now."""
        parts: dict[str, Any] = {
            'meta': {'epoch': runner.epoch + 1},
            'state_dict': plain_model(runner.model).state_dict(),
            'optimizer': runner.optim_wrapper.state_dict(),
        }
        # Averages, and what else hooks keep beside the weights.
        runner.call_hook('before_save_checkpoint', checkpoint=parts)
        self.estimates[-1].checkpoint = sum(node.nbytes for _, node in walk(parts) if isinstance(node, Tensor))


def _mark(terms: torch.nn.Module) -> None:
    """Let the profiler see where loss terms begin and end."""
    forward = terms.forward

    def marked(*args: Any, **kwargs: Any) -> Any:
        with record_function(LOSSES):
            return forward(*args, **kwargs)

    terms.forward = marked


def _share_out(profiled: profile, seconds: float, rest: float) -> dict[str, float]:
    """Share out what of a step is not waiting for data, by what the profiler saw in so many seconds."""
    averages: Any = profiled.key_averages()
    if torch.cuda.is_available():
        computed = sum(
            event.self_device_time_total
            for event in averages
            if event.device_type == DeviceType.CUDA and not event.is_user_annotation
        )
        losses = sum(event.device_time_total for event in averages if event.key == LOSSES)
    else:
        computed = sum(event.self_cpu_time_total for event in averages if event.key.startswith('aten::'))
        losses = sum(event.cpu_time_total for event in averages if event.key == LOSSES)
    computing = min(1.0, computed / 1e6 / seconds)
    in_losses = min(computing, losses / 1e6 / seconds)
    shares = {LOSSES: in_losses, 'towers and optimizer': computing - in_losses, 'Python': 1 - computing}
    return {name: rest * share for name, share in shares.items()}


def estimate_stages(config: Config, steps: int = 10) -> list[StageEstimate]:
    """Run a few steps of every stage of a run, and work out what the whole stages take.

    Args:
        config: The run's config, which is changed; its data must be there. Nothing is written but into its work folder.
        steps: Steps to time in each stage, after two to warm up.

    Raises:
        ValueError: If the config trains nothing in stages, or fewer than one step is asked for.
    """
    if (config.get('train_cfg') or {}).get('type', '').rpartition('.')[2] != StagedTrainLoop.__name__:
        raise ValueError('Only runs of a StagedTrainLoop can be estimated: the config has no such train_cfg.')
    if steps < 1:
        raise ValueError(f'steps must be at least 1, got {steps}.')
    # Torch's profiler complains of a machine without a GPU.
    os.environ.setdefault('KINETO_LOG_LEVEL', '6')
    epochs = {stage.name: stage.epochs for stage in config.train_cfg.stages}
    for stage in config.train_cfg.stages:
        stage.epochs = min(1, stage.epochs)
    config.train_cfg.val_before_training = False
    config.val_cfg = config.val_dataloader = config.val_evaluator = None
    # Hooks that are there anyway go by None, others by leaving them out.
    hooks = {name: hook for name, hook in config.get('default_hooks', {}).items() if name != 'results'}
    config.default_hooks = {**hooks, 'checkpoint': None}
    config.log_level = 'ERROR'
    runner = build_runner(config)
    timer = StageTimer(steps, epochs)
    runner.register_hook(timer)
    runner.train()
    return timer.estimates
