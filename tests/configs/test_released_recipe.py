"""The protocol configs against a table of the released recipe, written from the method's description."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import DefaultScope
from mmengine.runner import set_random_seed
from PIL import Image

from cmdg_plugin.models.losses.term_config import read_terms

CONFIGS = Path(__file__).parents[2] / 'configs'

# Sources, roles that are trained on, targets.
PROTOCOLS = {
    'p1': (['market1501', 'cuhksysu', 'cuhk02', 'cuhk03'], 'all', ['prid', 'grid', 'viper', 'ilids']),
    'p2_market1501': (['msmt17', 'cuhksysu', 'cuhk03'], ['train'], ['market1501']),
    'p2_msmt17': (['market1501', 'cuhksysu', 'cuhk03'], ['train'], ['msmt17']),
    'p2_cuhk03': (['market1501', 'msmt17', 'cuhksysu'], ['train'], ['cuhk03']),
    'p3_market1501': (['msmt17', 'cuhksysu', 'cuhk03'], 'all', ['market1501']),
    'p3_msmt17': (['market1501', 'cuhksysu', 'cuhk03'], 'all', ['msmt17']),
    'p3_cuhk03': (['market1501', 'msmt17', 'cuhksysu'], 'all', ['cuhk03']),
}
VERSIONS = {'msmt17': 'MSMT17_V1', 'cuhk03': 'labeled'}

# Per stage and term: loss, weight, constants, inputs.
LOSSES: dict[str, Any] = {
    'warmup': {
        'id_width': ('SoftIdentityLoss', 1, {'smoothing': 0.1}, {'logits': 'logits_width', 'labels': 'labels'}),
        'id_shared': ('SoftIdentityLoss', 1, {'smoothing': 0.1}, {'logits': 'logits_shared', 'labels': 'labels'}),
        'triplet_token': (
            'BatchHardTripletLoss',
            1,
            {'margin': None},
            {'features': 'last_block_token', 'labels': 'labels'},
        ),
        'triplet_width': (
            'BatchHardTripletLoss',
            1,
            {'margin': None},
            {'features': 'global_width', 'labels': 'labels'},
        ),
        'triplet_shared': (
            'BatchHardTripletLoss',
            1,
            {'margin': None},
            {'features': 'global_shared', 'labels': 'labels'},
        ),
    },
    'prompt': {
        'prompt': (
            'PromptContrastiveLoss',
            1,
            {'temperature': 1.0},
            {'image': 'global_shared', 'text': 'prompt_texts', 'labels': 'labels'},
        ),
    },
    # 2.5 * (1.5 * L_sid + L_tri) + 1.5 * L_cap + 0.8 * L_prompt + 0.8 * L_part + 1.0 * L_mmd
    'bridging': {
        'soft_identity': (
            'SoftIdentityLoss',
            2.5 * 1.5,
            {'smoothing': 0.1, 'soft_weight': 0.5, 'soft_ratio': 0.5},
            {'logits': 'logits_width', 'labels': 'labels', 'neighbors': 'neighbors', 'bank': 'bank'},
        ),
        'triplet': ('BatchHardTripletLoss', 2.5, {'margin': None}, {'features': 'global_shared', 'labels': 'labels'}),
        'caption': (
            'CaptionContrastiveLoss',
            1.5,
            {'temperature': 0.1},
            {'image_regions': 'image_regions', 'text_regions': 'caption_regions'},
        ),
        'prompt': (
            'PromptClassificationLoss',
            0.8,
            {},
            {'image': 'global_shared', 'prompt_features': 'prompt_features', 'labels': 'labels'},
        ),
        'part': (
            'PartNeighborLoss',
            0.8,
            {'num_neighbors': 10, 'scale': 0.02},
            {'parts': 'parts', 'bank': 'bank', 'image_index': 'image_index'},
        ),
        'alignment': (
            'DistributionAlignmentLoss',
            1.0,
            {'bandwidth': 0.65},
            {'image': 'global_shared', 'text': 'caption_global'},
        ),
    },
}

AUGMENTATION = [
    {'type': 'LoadImageFromFile', 'imdecode_backend': 'pillow'},
    {'type': 'mmpretrain.Resize', 'scale': (224, 224), 'interpolation': 'bicubic', 'backend': 'pillow'},
    {'type': 'mmpretrain.NumpyToPIL', 'to_rgb': True},
    {'type': 'mmpretrain.torchvision/RandomGrayscale', 'p': 0.1},
    {'type': 'mmpretrain.torchvision/RandomCrop', 'size': (224, 224), 'padding': 10},
    {'type': 'mmpretrain.torchvision/RandomHorizontalFlip', 'p': 0.4},
    {
        'type': 'RandomApply',
        'prob': 0.1,
        'transforms': [
            {
                'type': 'mmpretrain.torchvision/ColorJitter',
                'brightness': 0.15,
                'contrast': 0.1,
                'saturation': 0.05,
                'hue': 0.05,
            }
        ],
    },
    {'type': 'mmpretrain.PILToNumpy', 'to_bgr': True},
    {
        'type': 'RandomApply',
        'prob': 0.6,
        'transforms': [{'type': 'AugMix', 'width': 3, 'depth': 1, 'severity': 1, 'coefficient': 0.1}],
    },
]

CONSTANTS = {
    'model.type': 'CMDGReID',
    'model.backbone': {
        'type': 'TextAwareCLIP',
        'model_name': 'ViT-B-16',
        'pretrained': 'openai',
        'image_size': [224, 224],
        'text_finetune_layers': 0,
    },
    'model.data_preprocessor': {'type': 'ReIDDataPreprocessor', 'normalization': 'instance'},
    'model.prompts': {'type': 'IdentityPrompt', 'num_context': 4, 'template': 'A photo of a {} person.'},
    'model.memory': {'type': 'CaptionMemoryBank', 'momentum': 0.3},
    'optim_wrapper': {
        'type': 'AmpOptimWrapper',
        'optimizer': {'type': 'Adam', 'lr': 5e-6, 'weight_decay': 1e-4, 'fused': True},
        'paramwise_cfg': {'custom_keys': {'classifier': {'lr_mult': 1.2}}},
    },
    'train_dataloader.batch_size': 64,
    'train_dataloader.drop_last': True,
    'train_dataloader.sampler': {'type': 'IdentitySampler', 'num_instances': 4},
    'val_evaluator.type': 'ReIDMetric',
    'data_root': 'data',
}

IMAGE_SIDE = ['image', 'head']
IMAGE_SCHEDULE = [
    {'type': 'LinearLR', 'start_factor': 0.19, 'end_factor': 1.0, 'begin': 0, 'end': 10},
    {'type': 'MultiStepLR', 'milestones': [39, 54], 'gamma': 0.1},
]
# Name, epochs, what trains, peak rate, schedule.
STAGES = [
    ('warmup', 3, IMAGE_SIDE, 5e-6, IMAGE_SCHEDULE),
    (
        'prompt',
        120,
        ['prompts'],
        3.5e-4,
        {'type': 'WarmupCosineLR', 'warmup_epochs': 5, 'start_ratio': 1e-5 / 3.5e-4, 'end_ratio': 1e-6 / 3.5e-4},
    ),
    ('bridging', 60, IMAGE_SIDE, 5e-6, IMAGE_SCHEDULE),
]


@pytest.fixture(scope='module', params=PROTOCOLS)
def protocol(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope='module')
def config(protocol: str) -> Config:
    """A protocol's config, of which tests read alone."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ('DATA_ROOT', 'IMAGE_SIZE', 'NUM_WORKERS', 'SPLIT', 'MSMT17_VERSION', 'CUHK03_VERSION'):
            patch.delenv(f'CMDG_{name}', raising=False)
        return Config.fromfile(CONFIGS / f'cmdg/cmdg_vit-base-p16_{protocol}.py')


def plain(value: object) -> Any:
    """A config's value in plain types."""
    return Config({'value': value}).to_dict()['value']


def test_sources_roles_and_targets(config: Config, protocol: str) -> None:
    sources, subsets, targets = PROTOCOLS[protocol]
    training = config.train_dataloader.dataset
    assert [source.name for source in training.sources] == sources
    assert training.subsets == subsets
    for loader in (config.val_dataloader, config.test_dataloader):
        assert [target.name for target in loader.dataset.targets] == targets
        assert loader.dataset.split == 'all'
        for source in (*training.sources, *loader.dataset.targets):
            assert source.type == 'BenchmarkSource'
            assert source.data_root == 'data'
            assert source.get('version') == VERSIONS.get(source.name)


def test_constants_are_the_released_ones(config: Config) -> None:
    for key, expected in CONSTANTS.items():
        value = config
        for part in key.split('.'):
            value = value[part]
        assert plain(value) == expected, key


def test_losses_are_the_released_ones(config: Config) -> None:
    assert list(config.model.losses) == list(LOSSES)
    for stage, expected in LOSSES.items():
        entries = plain(config.model.losses[stage])
        wiring = {term.name: term.inputs for term in read_terms(entries)[0]}
        terms = {term.pop('name'): term for term in entries}
        assert set(terms) == set(expected)
        for name, (loss, weight, constants, inputs) in expected.items():
            term = terms[name]
            assert inputs == wiring[name], (stage, name)
            term.pop('inputs', None)
            # The soft labels of the identity loss are the neighbors that the part loss finds.
            assert term.pop('outputs', []) == (['neighbors'] if name == 'part' else [])
            assert {'weight': 1, **term} == {'type': loss, 'weight': weight, **constants}, (stage, name)


def test_stages_are_the_released_ones(config: Config) -> None:
    assert config.train_cfg.type == 'StagedTrainLoop'
    # The last epoch is evaluated, and no checkpoint chosen by its score.
    assert config.train_cfg.get('val_interval') is None
    assert 'save_best' not in config.default_hooks.checkpoint
    found = [
        (
            stage['name'],
            stage['epochs'],
            stage['trainable'],
            stage.get('optim_wrapper', {}).get('optimizer', config.optim_wrapper.optimizer)['lr'],
            stage['param_scheduler'],
        )
        for stage in plain(config.train_cfg.stages)
    ]
    assert found == STAGES
    assert config.train_cfg.stages[1].train_dataloader.batch_size == 64


def test_augmentation_is_the_released_one(config: Config) -> None:
    *augmentation, packing = plain(config.train_dataloader.dataset.pipeline)
    assert augmentation == AUGMENTATION
    assert packing['type'] == 'mmpretrain.PackInputs'


def test_evaluation_and_encoding_draw_nothing(config: Config) -> None:
    expected = [*AUGMENTATION[:2], plain(config.train_dataloader.dataset.pipeline)[-1]]
    users = [config.val_dataloader.dataset, config.test_dataloader.dataset, *config.custom_hooks]
    types = ['PromptLearningHook', 'DomainBridgingHook', 'StagePreparationHook']
    assert [user.type for user in config.custom_hooks] == types
    assert all(plain(user.pipeline) == expected for user in users)


def test_docstring_is_the_command(protocol: str) -> None:
    name = f'configs/cmdg/cmdg_vit-base-p16_{protocol}.py'
    lines = (CONFIGS.parent / name).read_text().splitlines()
    assert lines[0].startswith(f'"""CMDG\'s released recipe, protocol {protocol[1]}: ')
    assert lines[2] == f'python tools/train.py {name} --cfg-options data_root=DIR'


def test_names_of_configs_are_unique() -> None:
    names = Counter(path.name for path in CONFIGS.rglob('*.py'))
    assert [name for name, count in names.items() if count > 1] == []


def test_colors_survive_the_way_through_pillow(tmp_path: Path) -> None:
    """A red image is red after either pipeline, unless it was drawn gray, which one in ten is."""
    config = Config.fromfile(CONFIGS / 'cmdg/cmdg_vit-base-p16_p1.py')
    with DefaultScope.overwrite_default_scope('cmdg_plugin'):
        plain_pipeline = Compose(config.val_dataloader.dataset.pipeline)
        train_pipeline = Compose(config.train_dataloader.dataset.pipeline)
    path = tmp_path / 'red.png'
    Image.fromarray(np.full((40, 20, 3), (200, 30, 10), dtype=np.uint8)).save(path)
    sample = {'img_path': str(path), 'gt_label': 0, 'camera': 0, 'domain': 0, 'image_index': 0, 'captions': ('a',) * 4}
    blue, _, red = plain_pipeline(dict(sample))['inputs'].float().mean(dim=(1, 2))
    assert (blue.item(), red.item()) == (10, 200)
    set_random_seed(0)
    images = [train_pipeline(dict(sample))['inputs'] for _ in range(60)]
    assert {image.shape for image in images} == {(3, 224, 224)}
    means = np.array([image.float().mean(dim=(1, 2)).numpy() for image in images])
    redness = means[:, 2] - means[:, 0]
    gray = abs(redness) < 1
    assert 1 <= gray.sum() <= 12
    # Equalized copies of a plain picture take most of the red away, never all.
    assert (redness[~gray] > 0).all()
    assert np.median(redness[~gray]) > 100


def test_fused_adam_steps_as_plain_adam(tiny_config: Config) -> None:
    settings = dict(tiny_config.optim_wrapper.optimizer, lr=3.5e-4)
    assert (settings.pop('type'), settings.pop('fused')) == ('Adam', True)
    start = torch.randn(50, 4, 16, generator=torch.Generator().manual_seed(0)) * 0.02
    weights = []
    for fused in (True, False):
        weights.append(start.clone().requires_grad_())
        optimizer = torch.optim.Adam([weights[-1]], fused=fused, **settings)
        generator = torch.Generator().manual_seed(1)
        for _ in range(12):
            weights[-1].grad = torch.randn(start.shape, generator=generator)
            optimizer.step()
    assert 0 < (weights[0] - weights[1]).abs().max() < 1e-7
    assert (weights[0] - start).abs().mean() > 1e-4
