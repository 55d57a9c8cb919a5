"""Configs of other backbones: the real model has the sizes that its config tells, a small one trains in every stage."""

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.small_clips import register_small_clips, write_tokenizer
from helpers.tiny_runs import set_epochs, train
from mmengine.config import Config
from mmengine.runner import Runner

from cmdg_plugin.cli.command_line import read_config
from cmdg_plugin.registry import MODELS

REPOSITORY = Path(__file__).parents[2]

# Config, small model of the same family, size of the images that it trains on here, options. (The plain ViT-B/16 trains
# all over this suite.)
BACKBONES = {
    'vit-base-p16': ('cmdg-small-vit', (24, 16), {'part_attention': True}),
    'vit-base-p32': ('cmdg-small-vit', (24, 24), {}),
    'vit-large-p14': ('cmdg-small-vit', (24, 16), {}),
    'vit-base-p16_256x128': ('cmdg-small-vit', (32, 16), {}),
    'rn50': ('cmdg-small-resnet', (96, 32), {}),
    'eva02-base-p16': ('cmdg-small-eva', (24, 16), {'grad_checkpointing': True}),
    'siglip-base-p16': ('cmdg-small-siglip', (24, 16), {}),
    'siglip2-base-p16': ('cmdg-small-siglip', (32, 16), {}),
}


@pytest.fixture(scope='module')
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    register_small_clips(tmp_path_factory.mktemp('small_clips'))
    return str(write_tokenizer(tmp_path_factory.mktemp('tokenizer')))


@pytest.mark.parametrize('name', BACKBONES)
def test_real_model_has_the_widths_that_its_config_tells(name: str) -> None:
    config = Config.fromfile(REPOSITORY / f'configs/cmdg/cmdg_{name}_p1.py')
    # Without weights: shapes are all that is asked for.
    with torch.device('meta'):
        backbone = MODELS.build({**config.model.backbone, 'pretrained': None})
        features = backbone.encode_image(torch.empty(2, 3, *config.model.backbone.image_size))
    base = REPOSITORY / f'configs/_base_/models/cmdg_{name.removesuffix("_256x128")}.py'
    told = re.search(r'features of ([\d,]+) \+ ([\d,]+) numbers', base.read_text())
    width, shared = (int(number.replace(',', '')) for number in told.groups())
    assert features.width_regions.shape == (4, 2, width)
    assert features.shared_regions.shape == (4, 2, shared)
    size = (256, 128) if name.endswith('256x128') else (224, 224)
    assert backbone.image_size == size
    *_, resize, _ = config.val_dataloader.dataset.pipeline
    assert resize.scale == size[::-1]


@pytest.mark.parametrize('name', BACKBONES)
def test_small_model_of_the_family_trains_in_every_stage(name: str, tiny_config: Config, tokenizer: str) -> None:
    small, (height, width), options = BACKBONES[name]
    real = Config.fromfile(REPOSITORY / f'configs/cmdg/cmdg_{name}_p1.py').model.backbone
    changes = {'model_name': small, 'pretrained': None, 'image_size': (height, width), **options}
    config = shrink(tiny_config, {**real, **changes, **({'tokenizer': tokenizer} if 'siglip' in name else {})})
    runner = Runner.from_cfg(config)
    before = copy.deepcopy(runner.model.backbone.state_dict())
    runner.train()
    assert runner.epoch == 3
    scalars = {key: buffer.current() for key, buffer in runner.message_hub.log_scalars.items()}
    for stage in ('prompt', 'part', 'soft_identity', 'triplet', 'caption', 'alignment'):
        assert np.isfinite(scalars[f'train/loss_{stage}']), stage
    after = runner.model.backbone.state_dict()
    moved = {key.rsplit('.', 1)[0][:11] for key, value in after.items() if not torch.equal(value, before[key])}
    assert moved == {'clip.visual', 'norm_width', 'norm_shared'}, 'the image side trains, the text tower does not'


def test_missing_tokenizer_is_told_before_training(tiny_config: Config, tokenizer: str) -> None:
    config = shrink(tiny_config, {'type': 'TextAwareCLIP', 'model_name': 'cmdg-small-siglip', 'image_size': (24, 16)})
    with pytest.raises(FileNotFoundError, match=r"tokenizer of 'cmdg-small-siglip'.*could not be read"):
        train(config)
    # Who reads no text needs none.
    config.train_cfg.stages = config.train_cfg.stages[:1]
    train(config)


@pytest.mark.parametrize('option', ['image_size', 'model.backbone.tokenizer'])
def test_options_reach_these_configs(option: str) -> None:
    config = read_config(str(REPOSITORY / 'configs/cmdg/cmdg_siglip-base-p16_p1.py'), {option: '64x32'})
    assert config.model.backbone[option.split('.')[-1]] in ([64, 32], '64x32')


def test_another_size_than_256x128_reaches_every_place() -> None:
    config = read_config(str(REPOSITORY / 'configs/cmdg/cmdg_vit-base-p16_256x128_p1.py'), {'image_size': '384x192'})
    loaders = [config.train_dataloader, config.val_dataloader, config.test_dataloader]
    pipelines = [loader.dataset.pipeline for loader in loaders] + [hook.pipeline for hook in config.custom_hooks]
    assert [pipeline[1].scale for pipeline in pipelines] == [(192, 384)] * 6
    assert pipelines[0][4].size == (384, 192)
    assert config.model.backbone.image_size == [384, 192]


def shrink(config: Config, backbone: dict) -> Config:
    """Put a backbone into the tiny run, an epoch a stage."""
    config.model.backbone = backbone
    for pipeline in (
        *(loader.dataset.pipeline for loader in (config.train_dataloader, config.val_dataloader)),
        *(hook.pipeline for hook in config.custom_hooks if 'pipeline' in hook),
    ):
        pipeline[1].scale = backbone['image_size'][::-1]
    set_epochs(config, 1, 1, 1)
    config.default_hooks.checkpoint = None
    return config
