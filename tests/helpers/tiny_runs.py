"""Runs of tiny configs, and shipped configs on tiny data."""

import copy
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

_DATA = ('train_dataloader', 'val_dataloader', 'test_dataloader', 'val_evaluator', 'test_evaluator', 'custom_hooks')
_FOLDERS = ('work_dir', 'experiment_name', 'visualizer', 'env_cfg')


def caption_source(name: str, root: Path | str = '{root}') -> dict[str, str]:
    """Config of a source: a domain and its caption file, both below a folder, as `tiny_market` writes them."""
    return {
        'type': 'CaptionFileSource',
        'name': name,
        'root': f'{root}/{name}',
        'caption_file': f'{root}/{name}.json',
    }


def set_epochs(config: Config, *epochs: int) -> None:
    """Say how many epochs each stage lasts."""
    for stage, number in zip(config.train_cfg.stages, epochs, strict=True):
        stage.epochs = number


def make_runner(config: Config, *hooks: Hook, name: str = 'run') -> Runner:
    """Build the runner of a copy of a config, in a folder and under a name of its own, with further hooks."""
    config = copy.deepcopy(config)
    config.work_dir, config.experiment_name = f'{config.work_dir}_{name}', f'{config.experiment_name}_{name}'
    config.visualizer.name = config.experiment_name
    runner = Runner.from_cfg(config)
    for hook in hooks:
        runner.register_hook(hook)
    return runner


def train(config: Config, *hooks: Hook, name: str = 'run') -> Runner:
    """Train a copy of a config, see `make_runner`; returns the runner at its end."""
    runner = make_runner(config, *hooks, name=name)
    runner.train()
    return runner


def going_on(config: Config, checkpoint: Path | str) -> Config:
    """Copy a config into one that resumes from a checkpoint."""
    config = copy.deepcopy(config)
    config.update(resume=True, load_from=str(checkpoint))
    return config


def different(found: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]) -> list[str]:
    """Names of the weights that are not the same bits, or that only one of the two has."""
    names = sorted(found.keys() & expected.keys())
    return [
        *(found.keys() ^ expected.keys()),
        *(name for name in names if not torch.equal(found[name], expected[name])),
    ]


def on_tiny_data(config: Config, tiny_config: Config, epochs: int = 1) -> Config:
    """Put a config on the CLIP, the source domains and the folders of the fixture `tiny_config`.

    Args:
        config: The config; left untouched. As in the fixture, no tables and pictures are made of what it trains.
        tiny_config: The fixture.
        epochs: Epochs of each of its stages.
    """
    config = copy.deepcopy(config)
    config.default_hooks.pop('results', None)
    for key in (*_DATA, *_FOLDERS):
        config[key] = copy.deepcopy(tiny_config[key])
    config.model.backbone = copy.deepcopy(tiny_config.model.backbone)
    config.train_cfg.val_before_training = False
    set_epochs(config, *[epochs] * len(config.train_cfg.stages))
    # Making its text pretty for the log takes longer than the training.
    return Config(config.to_dict(), format_python_code=False)
