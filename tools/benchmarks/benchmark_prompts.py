"""Steps per second of the prompt stage's real loop beside the text tower's own forward and backward pass.

    python tools/benchmarks/benchmark_prompts.py [--model cmdg-toy-vit] [--images 100000] [--threads 1]

The stage runs as in training: MMEngine's runner, the released config's dataloader, hooks, schedule and optimizer, on
random features in place of encoded images. After every step the text tower runs alone on as many prompts, and Adam
alone on as many vectors, so that a busy machine disturbs all three alike; on a CPU, processor time is measured.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from measuring import REPOSITORY, Enough, device_name, in_turns, medians, report, train_until_enough
from mmengine.config import Config
from mmengine.runner import Runner
from torch.utils.data import Dataset

from cmdg_plugin.engine import StagePreparationHook
from cmdg_plugin.registry import DATASETS

WARM_UP = 5
# On a busy CPU, processor time tells more than the clock.
CLOCK = time.perf_counter if torch.cuda.is_available() else time.process_time


@DATASETS.register_module()
class NamelessImages(Dataset):
    """As many images as asked for, of which only the identities are known."""

    metainfo: ClassVar[dict] = {}

    def __init__(self, images: int, identities: int) -> None:
        self.identities = np.arange(images) % identities
        self.domains = np.zeros(images, dtype=np.int64)

    def __len__(self) -> int:
        """Number of images."""
        return len(self.identities)

    def full_init(self) -> None:
        """Do nothing: there is nothing to index."""


class Comparison(StagePreparationHook):
    """Hands random features to the model, times the loop's steps, and the bare work in between."""

    priority = 'LOWEST'

    def __init__(self, steps: int) -> None:
        super().__init__('prompt', pipeline=[])
        self.steps = steps
        self.seconds: dict[str, list[float]] = {'real loop': []}
        self.start = 0.0

    def before_stage(self, runner: Runner, stage: Any) -> None:
        """Stand in for the encoding pass."""
        model = runner.model
        shape = len(runner.train_loop.dataset), 4, model.backbone.embed_dim
        model.image_features = torch.randn(shape, device=model.images.identities.device)
        self.bare = bare_work(model)

    def before_train_epoch(self, runner: Runner) -> None:
        """Start the clock."""
        self.start = CLOCK()

    def after_train_iter(self, runner: Runner, batch_idx: int, **kwargs: Any) -> None:
        """Stop the clock, run the bare work, and start it again."""
        seconds = CLOCK() - self.start
        bare = in_turns(self.bare, 1, warm_up=batch_idx == 0, clock=CLOCK)
        if batch_idx >= WARM_UP:
            self.seconds['real loop'].append(seconds)
            for name, times in bare.items():
                self.seconds.setdefault(name, []).extend(times)
        if len(self.seconds['real loop']) == self.steps:
            raise Enough
        self.start = CLOCK()


def bare_work(model: Any) -> dict[str, Callable[[], Any]]:
    """What the stage cannot do without: the text tower on a batch of prompts, and Adam on all prompts."""
    prompts = model.prompts
    chosen = prompts.context[:64].detach().clone().requires_grad_()
    everything = torch.nn.Parameter(prompts.context.detach().clone())
    everything.grad = torch.randn_like(everything)
    adam = torch.optim.Adam([everything], lr=1e-4, weight_decay=1e-4, fused=True)

    def tower() -> None:
        model.backbone.encode_prompts(chosen, prompts.template).sum().backward()

    return {'text tower, forward and backward': tower, 'Adam on the vectors of all identities': adam.step}


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Time the prompt stage's loop against its text tower.")
    parser.add_argument('--model', default='cmdg-toy-vit', help='an open_clip model')
    parser.add_argument('--images', type=int, default=100_000)
    parser.add_argument('--identities', type=int, default=5000)
    parser.add_argument('--steps', type=int, default=100)
    parser.add_argument('--threads', type=int, default=torch.get_num_threads())
    return parser.parse_args()


def build_runner(arguments: argparse.Namespace, work_dir: str) -> Runner:
    """Build the released run with its prompt stage alone."""
    bases = REPOSITORY / 'configs/_base_'
    config = Config.fromfile(bases / 'models/cmdg_shared.py')
    for path in ('schedules/cmdg_released.py', 'default_runtime.py'):
        config.merge_from_dict(Config.fromfile(bases / path).to_dict())
    config.model.backbone = {'type': 'TextAwareCLIP', 'model_name': arguments.model}
    config.train_cfg.stages = [stage for stage in config.train_cfg.stages if stage.name == 'prompt']
    images = {'type': 'NamelessImages', 'images': arguments.images, 'identities': arguments.identities}
    config.train_dataloader = {
        'dataset': images,
        'sampler': {'type': 'DefaultSampler'},
        'collate_fn': {'type': 'default_collate'},
    }
    config.val_cfg = config.test_cfg = None
    config.work_dir, config.log_level = work_dir, 'ERROR'
    return Runner.from_cfg(config)


def main() -> None:
    """Run the stage for a while and print."""
    arguments = parse_arguments()
    torch.set_num_threads(arguments.threads)
    comparison = Comparison(arguments.steps)
    with tempfile.TemporaryDirectory() as work_dir:
        runner = build_runner(arguments, work_dir)
        runner.register_hook(comparison)
        train_until_enough(runner)
    where = device_name(arguments.threads, on_gpu=torch.cuda.is_available())
    report(f'{arguments.model}, {arguments.images:,} images, {arguments.identities:,} identities, batch 64, {where}')
    found = medians(comparison.seconds)
    loop, tower, adam = found.values()
    for name, seconds in found.items():
        report(f'{name:<40}{seconds * 1e3:>8.1f} ms{1 / seconds:>9.1f} per second')
    report(
        f'the loop takes {loop / tower:.2f} times the tower; neither tower nor Adam: {1 - (tower + adam) / loop:.0%}'
    )


if __name__ == '__main__':
    main()
