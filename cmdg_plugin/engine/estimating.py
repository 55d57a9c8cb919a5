"""What a run will take on this machine, from a few steps of each of its stages."""

import resource
import time
from collections.abc import Iterator
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
from torch.utils.data import DataLoader

from cmdg_plugin.engine.encoding import encode_captions, encode_images, encode_rows, plain_model
from cmdg_plugin.engine.hooks.stage_preparation_hook import RunPreparation, StagePreparationHook
from cmdg_plugin.engine.quiet_runner import build_runner
from cmdg_plugin.engine.staged_train_loop import StagedTrainLoop
from cmdg_plugin.nested import walk

_WARM_UP = 2
_PROFILED = 2
_LOSSES = 'losses and bank'


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


class FirstBatches:
    """A dataloader that ends after so many batches, and begins anew where it has less.

    Args:
        loader: The dataloader; all else is asked of it.
        number: How many batches.
    """

    def __init__(self, loader: DataLoader, number: int) -> None:
        self.loader = loader
        self.number = number

    def __len__(self) -> int:
        """Number of batches."""
        return self.number

    def __iter__(self) -> Iterator[Any]:
        """Go through them."""
        given = 0
        while given < self.number:
            for batch in self.loader:
                yield batch
                given += 1
                if given == self.number:
                    return

    def __getattr__(self, name: str) -> Any:
        return getattr(self.loader, name)


@dataclass(frozen=True)
class SampledPreparation(RunPreparation):
    """Encodes one batch where a run encodes everything, and repeats it, so that memory is that of the run."""

    once: dict[str, float] = field(default_factory=dict)
    each_epoch: list[float] = field(default_factory=list)

    def image_features(self, rows: slice | None) -> Tensor:
        """Features of the training images, those of one batch again and again."""
        dataset = self.runner.train_loop.dataset
        total = len(range(len(dataset))[rows or slice(None)])
        few = min(total, self.options.batch_size)
        start = time.perf_counter()
        features = encode_images(plain_model(self.runner.model), dataset, self.options, slice(0, few))
        self.once['images'] = (time.perf_counter() - start) * _share(total, few, rows)
        return _repeat(features, total)

    def caption_features(self, rows: slice | None) -> Tensor:
        """Features of the captions, those of one batch of images again and again."""
        captions = self.runner.train_loop.dataset.captions[rows or slice(None)]
        few = min(len(captions), self.options.batch_size)
        different, sampled = (len({text for row in each for text in row}) for each in (captions, captions[:few]))
        start = time.perf_counter()
        features = encode_captions(plain_model(self.runner.model), captions[:few], kept_rows=slice(0, few))
        self.once['captions'] = (time.perf_counter() - start) * _share(different, sampled, rows)
        return _repeat(features, len(captions))

    def retrieval_features(self, positions: Any) -> Tensor:
        """Features of some training images, those of one batch again and again."""
        few = min(len(positions), self.options.batch_size)
        model, dataset = plain_model(self.runner.model), self.runner.train_loop.dataset
        start = time.perf_counter()
        features = encode_rows(model, model.encode_retrieval, dataset, self.options, positions[:few])
        self.each_epoch.append((time.perf_counter() - start) * len(positions) / few)
        return _repeat(features, len(positions))


def _share(total: int, few: int, rows: slice | None) -> float:
    """How many times the work of a few a rank has to do; without rows of its own it shares all of them."""
    return total / few / (get_world_size() if rows is None else 1)


def _repeat(features: Tensor, total: int) -> Tensor:
    return features[torch.arange(total, device=features.device) % len(features)]


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
        self.lengths = {name: len(loader) for name, loader in loop._loaders.items()}
        number = _WARM_UP + self.steps + _PROFILED
        loop._loaders = {name: FirstBatches(loader, number) for name, loader in loop._loaders.items()}
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
                passes = hook.preparation
                assert isinstance(passes, SampledPreparation)  # before_run put it there
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
        _wait_for_device()
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
        parts = [plain_model(runner.model).state_dict(), runner.optim_wrapper.state_dict()]
        self.estimates[-1].checkpoint = sum(node.nbytes for _, node in walk(parts) if isinstance(node, Tensor))


def _mark(terms: torch.nn.Module) -> None:
    """Let the profiler see where loss terms begin and end."""
    forward = terms.forward

    def marked(*args: Any, **kwargs: Any) -> Any:
        with record_function(_LOSSES):
            return forward(*args, **kwargs)

    terms.forward = marked


def _share_out(profiled: profile, seconds: float, rest: float) -> dict[str, float]:
    """Share out what of a step is no waiting for data, by what the profiler saw in so many seconds."""
    averages: Any = profiled.key_averages()
    if torch.cuda.is_available():
        computed = sum(
            event.self_device_time_total
            for event in averages
            if event.device_type == DeviceType.CUDA and not event.is_user_annotation
        )
        losses = sum(event.device_time_total for event in averages if event.key == _LOSSES)
    else:
        computed = sum(event.self_cpu_time_total for event in averages if event.key.startswith('aten::'))
        losses = sum(event.cpu_time_total for event in averages if event.key == _LOSSES)
    computing = min(1.0, computed / 1e6 / seconds)
    in_losses = min(computing, losses / 1e6 / seconds)
    shares = {_LOSSES: in_losses, 'towers and optimizer': computing - in_losses, 'Python': 1 - computing}
    return {name: rest * share for name, share in shares.items()}


def _wait_for_device() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


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


def format_estimates(estimates: list[StageEstimate], kept: int = 2) -> str:
    """Write estimates as a table, with their sum and what most of the time goes to.

    Args:
        estimates: Of all stages.
        kept: How many checkpoints the run keeps.
    """
    lines = [f'{"stage":<12}{"epochs":>7}{"steps":>8}{"a step":>10}{"images/s":>10}{"prepared":>12}{"in all":>12}']
    for one in estimates:
        lines.append(
            f'{one.name:<12}{one.epochs:>7}{one.steps:>8}{one.step * 1e3:>7.0f} ms{one.batch / one.step:>10.0f}'
            f'{spell_seconds(sum(one.preparation.values())):>12}{spell_seconds(one.seconds):>12}'
        )
    lines.append(f'{"together, without scoring the targets":<59}{spell_seconds(sum(e.seconds for e in estimates)):>12}')
    for one in estimates:
        shares = ', '.join(f'{name} {share:.0%}' for name, share in one.shares.items())
        lines.append(f'{one.name}: most of a step goes to {one.bottleneck} ({shares}); {_ADVICE[one.bottleneck]}')
    largest = max(one.checkpoint for one in estimates)
    sizes = ', '.join(f'{one.name} {one.checkpoint / 2**20:,.0f} MiB' for one in estimates)
    # One more than are kept: a new one is written before the oldest goes.
    lines.append(f'a checkpoint: {sizes}; room for {(kept + 1) * largest / 2**30:.1f} GiB is needed')
    return '\n'.join(lines)


_ADVICE = {
    'loader': 'more train_dataloader.num_workers help, as far as there are cores',
    _LOSSES: 'it grows with the training images; more processes share it (docs/scaling.md)',
    'towers and optimizer': 'a faster device, --amp or model.backbone.compile=True help',
    'Python': 'on a GPU, model.backbone.compile=True and model.backbone.compile_text.mode=reduce-overhead help',
}


def spell_seconds(seconds: float) -> str:
    """Write a duration in the two units that say most."""
    minutes, hours = seconds / 60, seconds / 3600
    if seconds < 60:
        return f'{seconds:.1f} s'
    if minutes < 60:
        return f'{int(minutes)} min {int(seconds % 60)} s'
    return f'{int(hours)} h {int(minutes % 60)} min'


def peak_memory() -> str:
    """Say how much memory this process has taken at most (kilobytes on Linux), and how much of the GPU's."""
    main = f'memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB, and that of loader workers'
    if torch.cuda.is_available():
        main += f'; GPU: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB'
    return main
