"""What a checkpoint of the bridging stage takes on disk, part by part, and what publishing leaves of it.

    python tools/benchmarks/benchmark_checkpoint.py [--images 100000] [--model ViT-B-16]

A run over generated records (8 images an identity) goes straight into the bridging
stage with random weights. Its features are random numbers, as encoding 100,000 images is not what is measured; all else
is a run's own: its data, optimizer and hooks. After its first step, when Adam's state exists, it is saved as at the
end of an epoch, then stripped as `tools/publish_model.py` does.
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from generated_runs import compose, write_domains
from measuring import MEBIBYTE, Enough, report, train_until_enough
from mmengine.runner import Runner
from torch import Tensor

from cmdg_plugin.checkpoints.publishing import publish_model
from cmdg_plugin.engine import StagePreparationHook
from cmdg_plugin.nested import walk
from cmdg_plugin.regions import PARTS


class Saving(StagePreparationHook):
    """Hands random features to the bridging stage and saves the run after its first step."""

    def __init__(self) -> None:
        super().__init__('bridging', pipeline=[])

    def before_stage(self, runner: Runner, stage: Any) -> None:
        """Hand over what DomainBridgingHook encodes."""
        model, images = runner.model, len(runner.train_loop.dataset)
        dim = model.backbone.embed_dim
        model.memory.fill(torch.arange(images), torch.randn(len(PARTS), images, dim))
        model.stages['bridging'].caption_global = torch.randn(images, dim)
        model.stages['bridging'].prompt_features = torch.randn(runner.train_loop.dataset.num_identities, dim)

    def after_train_iter(self, runner: Runner, batch_idx: int, **kwargs: Any) -> None:
        """Save what MMEngine's CheckpointHook saves, and stop."""
        settings = runner.cfg.default_hooks.checkpoint
        runner.save_checkpoint(runner.work_dir, 'epoch_1.pth', backend_args=settings.backend_args)
        raise Enough


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Measure the size of a checkpoint of the bridging stage.')
    parser.add_argument('--images', type=int, default=100_000)
    parser.add_argument('--model', default='ViT-B-16', help='an open_clip model')
    parser.add_argument('--batch', type=int, default=8)
    return parser.parse_args()


def save_checkpoint(data: Path, arguments: argparse.Namespace) -> Path:
    """Run to the first step of the bridging stage; returns the checkpoint."""
    config = compose(data, 'cmdg_toy-vit_islands.py')
    config.train_dataloader.num_workers = 0
    # Images stay as small as the toy's, which spares 0.5 MiB of position embedding and most of the step.
    config.model.backbone.update(model_name=arguments.model, pretrained=None)
    config.train_dataloader.batch_size = arguments.batch
    for stage, epochs in enumerate((0, 0, 1)):
        config.train_cfg.stages[stage].epochs = epochs
    config.custom_hooks = []
    config.log_level = 'ERROR'
    runner = Runner.from_cfg(config)
    runner.register_hook(Saving())
    train_until_enough(runner)
    return Path(runner.work_dir) / 'epoch_1.pth'


def main() -> None:
    """Save, take apart, publish."""
    arguments = parse_arguments()
    with tempfile.TemporaryDirectory() as folder:
        write_domains(Path(folder), arguments.images)
        path = save_checkpoint(Path(folder), arguments)
        whole = path.stat().st_size
        checkpoint = torch.load(path, mmap=True, weights_only=True)
        sizes = Counter({'optimizer': sum(t.nbytes for _, t in walk(checkpoint['optimizer']) if isinstance(t, Tensor))})
        for name, weight in checkpoint['state_dict'].items():
            place = name if name.startswith('memory.') else name.partition('.')[0]
            sizes[place] += weight.nbytes
        sizes['all else (configuration, schedules, log, file format)'] = whole - sizes.total()
        identities = len(checkpoint['state_dict']['head.classifier_width.weight'])
        report(f'{arguments.model}, {arguments.images:,} images, {identities:,} identities')
        for name, size in sizes.most_common():
            report(f'{name:<56}{size / MEBIBYTE:>10,.1f} MiB')
        report(f'{"checkpoint":<56}{whole / MEBIBYTE:>10,.1f} MiB')
        for half in (False, True):
            size = publish_model(path, Path(folder) / 'published.pth', half).stat().st_size
            report(f'{"published, half precision" if half else "published":<56}{size / MEBIBYTE:>10,.1f} MiB')


if __name__ == '__main__':
    main()
