"""What batches of look-alikes cost: seconds of an epoch on Islands, and time and memory at the size of public datasets.

    python tools/benchmarks/benchmark_samplers.py [--identities 14000] [--images 100000] [--epochs 3] [--threads 1]

First the samplers alone, on random features of ViT-B/16's widths (1,280 numbers of an image, 512 of a text), with the
peak memory of composing an epoch's batches beside the features. Then the identity-only toy run on Islands, whose
epochs tell how much of their time goes to encoding one image of every identity and to composing batches.
"""

import argparse
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from generated_runs import leave_out_scores
from measuring import REPOSITORY, peak_memory, report
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor
from torch.utils.data import Dataset

from cmdg_plugin.datasets.samplers import GraphIdentitySampler, HardIdentitySampler
from cmdg_plugin.engine import StagePreparationHook
from cmdg_plugin.registry import HOOKS

SAMPLERS = (HardIdentitySampler, GraphIdentitySampler)


class RandomImages(Dataset[Any]):
    """Images of which identities and cameras are known, and features that are random."""

    def __init__(self, images: int, identities: int) -> None:
        rng = np.random.default_rng(0)
        self.identities = np.concatenate([np.arange(identities)] * 2 + [rng.integers(identities, size=images)])[:images]
        self.cameras = rng.integers(15, size=images)
        self.image = torch.randn(identities, 1280)
        self.text = torch.randn(identities, 512)

    def retrieval_features(self, positions: Sequence[int]) -> Tensor:
        """Features that are there already."""
        return self.image

    def identity_features(self, source: str) -> Tensor:
        """Likewise."""
        return self.text


@HOOKS.register_module()
class TimedPreparationHook(StagePreparationHook):
    """Measures what the sampler's preparation takes of an epoch."""

    priority = 'VERY_LOW'

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.preparing: list[float] = []
        self.epochs: list[float] = []

    def before_train_epoch(self, runner: Runner) -> None:
        """Prepare, and time it."""
        self.start = time.perf_counter()
        super().before_train_epoch(runner)
        self.preparing.append(time.perf_counter() - self.start)

    def after_train_epoch(self, runner: Runner) -> None:
        """Stop the clock."""
        self.epochs.append(time.perf_counter() - self.start)


def measure_alone(images: int, identities: int) -> None:
    """Compose one epoch's batches at the size of public datasets."""
    data = RandomImages(images, identities)
    report(f'{images:,} images of {identities:,} identities, 32 identities x 4 images a batch')
    for kind in SAMPLERS:
        for text in (None, 'captions'):
            sampler = kind(data, batch_size=128, text=text)
            start = time.perf_counter()
            peak, _ = peak_memory(lambda sampler=sampler: sampler.prepare(0, data))
            composed = time.perf_counter()
            positions = list(sampler)
            seconds, dealing = composed - start, time.perf_counter() - composed
            what = 'images alone' if text is None else 'images and texts'
            report(
                f'{kind.__name__:<22}{what:<18}{len(positions) // 128:>6} batches{seconds:>8.1f} s compared and '
                f'composed{dealing:>6.1f} s dealt{peak:>7.0f} MiB at most'
            )


def measure_epochs(epochs: int) -> None:
    """Train identities alone on Islands."""
    report(f'Islands, identity only, {epochs} epochs after the first')
    for kind in SAMPLERS:
        config = Config.fromfile(REPOSITORY / 'configs/baselines/id-only_toy-vit_islands.py')
        config.train_dataloader.sampler.type = kind.__name__
        hook = next(hook for hook in config.custom_hooks if hook.get('stage') == 'warmup')
        config.custom_hooks = [{**hook, 'type': 'TimedPreparationHook'}]
        config.train_cfg.stages[0].epochs = epochs + 1
        leave_out_scores(config)
        config.default_hooks.checkpoint = None
        del config.default_hooks.results
        config.log_level = 'ERROR'
        with tempfile.TemporaryDirectory() as work_dir:
            config.work_dir = work_dir
            config.experiment_name = config.visualizer.name = kind.__name__
            runner = Runner.from_cfg(config)
            runner.train()
        timed: Hook = next(hook for hook in runner.hooks if isinstance(hook, TimedPreparationHook))
        preparing, whole = np.median(timed.preparing[1:]), np.median(timed.epochs[1:])
        report(
            f'{kind.__name__:<22}{preparing:>6.2f} s of {whole:.2f} s an epoch: {preparing / whole:.0%} '
            f'({len(runner.train_loop.dataloader)} batches)'
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description='Measure what batches of look-alikes cost.')
    parser.add_argument('--identities', type=int, default=14_000)
    parser.add_argument('--images', type=int, default=100_000)
    parser.add_argument('--epochs', type=int, default=3)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    measure_alone(arguments.images, arguments.identities)
    if arguments.epochs:
        measure_epochs(arguments.epochs)


if __name__ == '__main__':
    main()
