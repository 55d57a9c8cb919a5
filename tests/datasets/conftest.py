import json
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from helpers.tiny_runs import caption_source
from PIL import Image

SENTENCES = ('A man walks, {}.', 'A red shirt, {}.', 'A brown belt, {}.', 'Blue jeans, {}.')


def _write(
    root: Path,
    name: str,
    people: Iterable[int],
    *,
    cameras: int = 2,
    images: int = 2,
    distractors: int = 1,
    junk: int = 1,
) -> dict:
    """Write a tiny dataset named and laid out like Market-1501, with its caption file; the first half is trained on."""
    rng = np.random.default_rng(sum(map(ord, name)))
    records = []

    def add(folder: str, person: int, camera: int, frame: int) -> None:
        path = f'{folder}/{person:04d}_c{camera}s1_{frame:06d}_00.jpg'
        (root / name / folder).mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 256, (32, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / name / path, quality=90)
        captions = [sentence.format(path) for sentence in SENTENCES]
        records.append({'file_path': path, 'id': person, 'cmid': camera, 'captions': captions})

    people = list(people)
    for position, person in enumerate(people):
        for camera in range(1, cameras + 1):
            if position < (len(people) + 1) // 2:
                for frame in range(images):
                    add('bounding_box_train', person, camera, frame)
            else:
                add('query', person, camera, 0)
                for frame in range(1, images + 1):
                    add('bounding_box_test', person, camera, frame)
    for number, person in enumerate([0] * distractors + [-1] * junk):
        folder, camera = ('bounding_box_test', 1)
        path = f'{folder}/{"-1" if person < 0 else "0000"}_c{camera}s1_{900 + number:06d}_00.jpg'
        (root / name / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 16, 3), dtype=np.uint8)).save(root / name / path)
        captions = [sentence.format(path) for sentence in SENTENCES]
        records.append({'file_path': path, 'id': person, 'cmid': camera, 'captions': captions})
    (root / f'{name}.json').write_text(json.dumps(records))
    return caption_source(name, root)


@pytest.fixture
def market_like(tmp_path: Path) -> Callable[..., dict[str, str]]:
    """Factory of tiny Market-1501-like datasets; returns the config of the source."""

    def make(name: str, people: list[int] | range, **settings: Any) -> dict[str, str]:
        return _write(tmp_path, name, people, **settings)

    return make


@pytest.fixture
def load_pipeline() -> list[dict]:
    """Load an image and pack it with the fields that training needs."""
    return [
        {'type': 'LoadImageFromFile', 'imdecode_backend': 'pillow'},
        {
            'type': 'mmpretrain.PackInputs',
            'algorithm_keys': ('camera', 'domain', 'image_index', 'captions'),
            'meta_keys': ('img_path', 'ori_shape'),
        },
    ]


@pytest.fixture(scope='session')
def torchreid_data(miniatures: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All nine datasets in torchreid's layout; do not write into it."""
    root = tmp_path_factory.mktemp('torchreid')
    miniatures.write_miniatures(root, 'torchreid')
    return root
