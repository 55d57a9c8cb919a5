"""Runs over generated data: four domains with captions as released ones, their images links to one picture a domain."""

import json
import os
from pathlib import Path

import numpy as np
from measuring import REPOSITORY
from mmengine.config import Config
from PIL import Image

from cmdg_plugin.cli.command_line import read_config

DOMAINS = ('alpha', 'beta', 'gamma', 'delta')
IMAGES_PER_IDENTITY = 8


def write_domains(root: Path, images: int) -> None:
    """Write the domains; so many images are shared out among them."""
    for name in DOMAINS:
        _write_domain(root, name, images // len(DOMAINS))


def _write_domain(root: Path, name: str, records: int) -> None:
    """Write a caption file in Market-1501's released nesting and the images it speaks of."""
    folder = root / name / 'bounding_box_train'
    folder.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(256, size=(128, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(root / f'{name}.jpg')
    content = []
    for record in range(records):
        identity, shot = record // IMAGES_PER_IDENTITY + 1, record % IMAGES_PER_IDENTITY
        path = f'bounding_box_train/{identity:04d}_c{shot % 4 + 1}s1_{record:06d}_01.jpg'
        os.link(root / f'{name}.jpg', root / name / path)
        captions = [f'The {region} of person {identity} as seen in picture {shot}, ' * 3 for region in 'gulm']
        content.append({'id': identity, 'cmid': shot % 4 + 1, 'file_path': path, 'captions': captions})
    (root / f'{name}.json').write_text(json.dumps(content))


def compose(data: Path, name: str) -> Config:
    """Read a config of `configs/cmdg` and lay the domains over its sources, without validation."""
    config = read_config(str(REPOSITORY / 'configs/cmdg' / name))
    config.train_dataloader.dataset.sources = [
        dict(type='CaptionFileSource', name=name, root=str(data / name), caption_file=str(data / f'{name}.json'))
        for name in DOMAINS
    ]
    config.train_dataloader.dataset.index_cache = None
    leave_out_scores(config)
    config.launcher = 'none'
    config.work_dir = str(data / 'work')
    return config


def leave_out_scores(config: Config) -> None:
    """Let a run score nothing."""
    config.train_cfg.val_before_training = False
    config.val_cfg = config.val_dataloader = config.val_evaluator = None
    config.test_cfg = config.test_dataloader = config.test_evaluator = None
