"""Fixtures of the whole suite: a tiny captioned dataset on disk, a tiny CLIP, and a config that trains on both."""

import gc
import importlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

# Before torch is imported, here and in the tools that tests run: tests share the cores, and their models are tiny.
os.environ.setdefault('OMP_NUM_THREADS', '1')

import numpy as np
import open_clip
import pytest
from helpers.galleries import write_toy_checkpoint
from helpers.tiny_runs import caption_source, set_epochs, train
from mmengine.config import Config
from mmengine.logging import MMLogger
from PIL import Image
from tqdm import tqdm

REPOSITORY = Path(__file__).parents[1]
COLORS = ('red', 'green', 'blue', 'black', 'white', 'yellow')
# tqdm's own lock is shared with forked processes; one that a test kills while it draws a bar would keep it for good.
tqdm.set_lock(threading.RLock())
TINY_CLIP = {
    'embed_dim': 16,
    'vision_cfg': {'image_size': [24, 16], 'layers': 2, 'width': 32, 'head_width': 16, 'patch_size': 8},
    'text_cfg': {'context_length': 77, 'vocab_size': 49408, 'width': 16, 'heads': 2, 'layers': 2},
}


def pytest_collection_finish() -> None:
    """Leave what is imported by now out of garbage collections: MMEngine asks for one with every dataset it builds."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope='session')
def tiny_clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the configuration of a CLIP of a few thousand weights (beside its vocabulary)."""
    path = tmp_path_factory.mktemp('clip') / 'cmdg-tiny-test.json'
    path.write_text(json.dumps(TINY_CLIP))
    return path


@pytest.fixture(scope='session')
def tiny_clip(tiny_clip_file: Path) -> str:
    """Register the tiny CLIP with open_clip; returns its name."""
    open_clip.add_model_config(tiny_clip_file)
    return tiny_clip_file.stem


@pytest.fixture(scope='session')
def tiny_market(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Write small Market-1501-like domains: two-colored pictures and a released-style caption file each."""

    def write(*domains: str, identities: int = 6, images: int = 3) -> Path:
        root = tmp_path_factory.mktemp('market')
        for seed, domain in enumerate(domains):
            _write_domain(root, domain, identities, images, seed)
        return root

    return write


def _write_domain(root: Path, domain: str, identities: int, images: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    records = []
    for split, first in (('bounding_box_train', 1), ('query', 101), ('bounding_box_test', 101)):
        (root / domain / split).mkdir(parents=True)
        for identity in range(first, first + identities):
            top, bottom = rng.integers(0, 256, (2, 3)) if split != 'bounding_box_test' else _colors_of(root, identity)
            _remember_colors(root, identity, top, bottom)
            for shot in range(images if split == 'bounding_box_train' else 1):
                camera = 2 if split == 'bounding_box_test' else shot % 2 + 1
                name = f'{split}/{identity:04d}_c{camera}s1_{shot:06d}_00.jpg'
                _draw(rng, top, bottom, root / domain / name)
                upper, lower = COLORS[identity % 6], COLORS[(identity // 2) % 6]
                captions = [
                    f'A person in a {upper} top and {lower} pants.',
                    f'The upper third shows a {upper} top.',
                    f'The middle third shows a belt over {lower} pants.',
                    f'The lower third shows {lower} pants.',
                ]
                records.append({'id': identity, 'cmid': camera, 'file_path': name, 'captions': captions})
    (root / f'{domain}.json').write_text(json.dumps(records))


_known_colors: dict[tuple[Path, int], tuple[np.ndarray, np.ndarray]] = {}


def _remember_colors(root: Path, identity: int, top: np.ndarray, bottom: np.ndarray) -> None:
    _known_colors[root, identity] = (top, bottom)


def _colors_of(root: Path, identity: int) -> tuple[np.ndarray, np.ndarray]:
    return _known_colors[root, identity]


def _draw(rng: np.random.Generator, top: np.ndarray, bottom: np.ndarray, path: Path) -> None:
    pixels = np.empty((24, 16, 3))
    pixels[:12], pixels[12:] = top, bottom
    pixels += rng.normal(0, 12, pixels.shape)
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope='session')
def tiny_data(tiny_market: Callable[..., Path]) -> Path:
    """Two source domains and one target."""
    return tiny_market('alpha', 'beta', 'target')


@pytest.fixture
def tiny_config(tiny_clip: str, tiny_data: Path, tmp_path: Path) -> Config:
    """A whole run of three stages, 2 + 3 + 2 epochs, that takes half a second and leaves no tables and pictures."""
    return _tiny_config(tiny_clip, tiny_data, tmp_path)


@pytest.fixture(scope='session')
def tiny_checkpoint(tiny_clip: str, tiny_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of the run of `tiny_config`, trained once; do not write into its folder."""
    runner = train(_tiny_config(tiny_clip, tiny_data, tmp_path_factory.mktemp('trained')))
    return Path(runner.work_dir) / 'epoch_7.pth'


@pytest.fixture(scope='session')
def toy_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the toy CLIP as it ships."""
    return write_toy_checkpoint(tmp_path_factory.mktemp('toy') / 'toy.pth')


def _tiny_config(clip: str, data: Path, folder: Path) -> Config:
    pipeline = [
        {'type': 'LoadImageFromFile', 'imdecode_backend': 'pillow'},
        {'type': 'mmpretrain.Resize', 'scale': (16, 24), 'interpolation': 'bicubic', 'backend': 'pillow'},
        {'type': 'mmpretrain.RandomFlip', 'prob': 0.5},
        {'type': 'mmpretrain.PackInputs', 'algorithm_keys': ('camera', 'domain', 'image_index', 'captions')},
    ]
    plain = [transform for transform in pipeline if transform['type'] != 'mmpretrain.RandomFlip']
    config = Config.fromfile(REPOSITORY / 'configs/_base_/models/cmdg_toy-vit.py')
    config.merge_from_dict(Config.fromfile(REPOSITORY / 'configs/_base_/schedules/cmdg_released.py').to_dict())
    config.merge_from_dict(Config.fromfile(REPOSITORY / 'configs/_base_/default_runtime.py').to_dict())
    # Drawing curves takes as long as the training: tests of what a run leaves add the hook.
    del config.default_hooks['results']
    evaluation = {
        'batch_size': 16,
        'num_workers': 0,
        'dataset': {'type': 'ReIDEvaluationSet', 'targets': [caption_source('target', data)], 'pipeline': plain},
        'sampler': {'type': 'DefaultSampler', 'shuffle': False},
        'collate_fn': {'type': 'default_collate'},
    }
    config.merge_from_dict(
        {
            'work_dir': str(folder / 'work'),
            'model.backbone': {'model_name': clip, 'pretrained': None, 'image_size': (24, 16)},
            'optim_wrapper.optimizer.lr': 1e-3,
            'optim_wrapper.type': 'OptimWrapper',
            'train_dataloader': {
                'batch_size': 8,
                'num_workers': 0,
                'dataset': {
                    'type': 'CaptionedReIDDataset',
                    'sources': [caption_source(name, data) for name in ('alpha', 'beta')],
                    'pipeline': pipeline,
                },
                'sampler': {'type': 'IdentitySampler', 'num_instances': 2},
                'collate_fn': {'type': 'default_collate'},
                'drop_last': True,
            },
            'val_dataloader': evaluation,
            'test_dataloader': evaluation,
            'val_evaluator': {'type': 'ReIDMetric'},
            'test_evaluator': {'type': 'ReIDMetric'},
            'custom_hooks': [
                {'type': 'PromptLearningHook', 'pipeline': plain, 'num_workers': 0},
                {'type': 'DomainBridgingHook', 'pipeline': plain, 'num_workers': 0},
            ],
            'visualizer.name': f'tiny_{folder.name}',
            'experiment_name': f'tiny_{folder.name}',
            'env_cfg.dist_cfg.backend': 'gloo',
        }
    )
    set_epochs(config, 2, 3, 2)
    config.train_cfg.stages[2].train_dataloader = {}
    # Without yapf, which takes longer than an epoch here, and runs for every checkpoint.
    return Config(config.to_dict(), format_python_code=False)


@pytest.fixture(autouse=True)
def nothing_of_an_ended_test_is_left() -> Iterator[None]:
    """Free MMEngine's loggers of a test's captured output, and tqdm's lock, which an interrupted bar may have kept."""
    yield
    tqdm.set_lock(threading.RLock())
    for logger in MMLogger._instance_dict.values():
        for handler in list(logger.handlers):
            if getattr(getattr(handler, 'stream', None), 'closed', False):
                logger.removeHandler(handler)


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What MMEngine's logger says."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    caplog.set_level('INFO', logger=logger.name)
    yield caplog
    logger.removeHandler(caplog.handler)


@pytest.fixture(scope='session')
def golden() -> dict[str, np.ndarray]:
    """The released losses' numbers (float64): inputs, values, gradients and learning rates."""
    return dict(np.load(Path(__file__).parent / 'data' / 'golden_losses.npz'))


@pytest.fixture(scope='session')
def miniatures() -> ModuleType:
    """The helper that writes tiny copies of the public datasets."""
    return importlib.import_module('helpers.miniatures')


@pytest.fixture(scope='session')
def release_data(miniatures: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All nine datasets in the release's layout; do not write into it."""
    root = tmp_path_factory.mktemp('release')
    miniatures.write_miniatures(root, 'release')
    return root
