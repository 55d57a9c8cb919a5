"""Shipped configs on tiny data."""

import copy

from mmengine.config import Config

_DATA = ('train_dataloader', 'val_dataloader', 'test_dataloader', 'val_evaluator', 'test_evaluator', 'custom_hooks')
_FOLDERS = ('work_dir', 'experiment_name', 'visualizer', 'env_cfg')


def on_tiny_data(config: Config, tiny_config: Config, epochs: int = 1) -> Config:
    """Put a config on the CLIP, the source domains and the folders of the fixture `tiny_config`.

    Args:
        config: The config; left untouched.
        tiny_config: The fixture.
        epochs: Epochs of each of its stages.
    """
    config = copy.deepcopy(config)
    for key in (*_DATA, *_FOLDERS):
        config[key] = copy.deepcopy(tiny_config[key])
    config.model.backbone = copy.deepcopy(tiny_config.model.backbone)
    config.train_cfg.val_before_training = False
    for stage in config.train_cfg.stages:
        stage.epochs = epochs
    # Making its text pretty for the log takes longer than the training.
    return Config(config.to_dict(), format_python_code=False)
