from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope

from cmdg_plugin.models.augmentation import BatchAugmentation, split_pipeline

CONFIGS = Path(__file__).parents[3] / 'configs'
RELEASED: dict[str, Any] = {
    'grayscale': {'prob': 0.1},
    'crop': {'padding': 10, 'size': (224, 224)},
    'flip': {'prob': 0.4},
    'color_jitter': {
        'prob': 0.1,
        'brightness': (0.85, 1.15),
        'contrast': (0.9, 1.1),
        'saturation': (0.95, 1.05),
        'hue': (-0.05, 0.05),
    },
    'aug_mix': {'prob': 0.6, 'width': 3, 'depth': 1, 'severity': 1, 'coefficient': 0.1},
}
FLIP = {'type': 'mmpretrain.RandomFlip', 'prob': 0.4}
LOAD = {'type': 'LoadImageFromFile'}


def split(pipeline: list) -> tuple[list[str], dict]:
    with DefaultScope.overwrite_default_scope('cmdg_plugin'):
        stay, steps = split_pipeline(Compose(pipeline).transforms)
    return [type(transform).__name__ for transform in stay], steps


@pytest.mark.parametrize(
    ('config', 'expected'),
    [
        ('cmdg_vit-base-p16_p1', RELEASED),
        ('cmdg_vit-base-p16_256x128_p1', {**RELEASED, 'crop': {'padding': 10, 'size': (256, 128)}}),
        ('cmdg_toy-vit_islands', {'crop': {'padding': 5, 'size': (96, 48)}, 'flip': {'prob': 0.4}}),
    ],
)
def test_recipes_move_to_the_last_constant(config: str, expected: dict) -> None:
    stay, steps = split(Config.fromfile(CONFIGS / f'cmdg/{config}.py').train_dataloader.dataset.pipeline)
    assert stay == ['LoadImageFromFile', 'Resize', 'PackInputs']
    assert list(steps) == list(expected)
    assert steps == expected
    BatchAugmentation(steps)


def test_what_stands_before_the_random_transforms_stays() -> None:
    assert split([LOAD, len, FLIP]) == (['LoadImageFromFile', 'builtin_function_or_method'], {'flip': {'prob': 0.4}})


@pytest.mark.parametrize(
    'other',
    [
        {'type': 'mmpretrain.RandomErasing'},
        {'type': 'mmpretrain.RandomFlip', 'prob': 0.5, 'direction': 'vertical'},
        {'type': 'mmpretrain.RandomCrop', 'crop_size': 8, 'padding': 2, 'pad_val': 255},
        {'type': 'mmpretrain.RandomCrop', 'crop_size': 8, 'padding': (1, 2)},
        {'type': 'mmpretrain.torchvision/RandomCrop', 'size': 8, 'padding': 2, 'padding_mode': 'reflect'},
        {'type': 'RandomApply', 'prob': 0.5, 'transforms': [FLIP]},
        FLIP,  # a second time
    ],
)
def test_what_cannot_be_moved_is_named(other: dict) -> None:
    with pytest.raises(ValueError, match=r'cannot move .*Random\w+\(.* to the device, .* put it before'):
        split([LOAD, FLIP, other])


def test_nothing_to_move() -> None:
    with pytest.raises(ValueError, match='finds no random transform'):
        split([LOAD])
