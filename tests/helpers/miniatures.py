"""Tiny copies of public datasets: real layouts, real file names, caption files in the released nestings.

`write_miniature(data_root, name, kind)` writes the images in the release's or torchreid's layout and the caption file
to `data_root/captions`. Who is in an image sets its colors, so that a model can learn something.
"""

import io
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy.io import savemat

CAPTION_FILES = {
    name: f'{name}.json' for name in ('market1501', 'msmt17', 'cuhk03', 'cuhk02', 'cuhksysu', 'prid', 'grid', 'viper')
}
CAPTION_FILES['ilids'] = 'ilds.json'
COLORS = ('red', 'green', 'blue', 'black', 'white', 'yellow', 'gray', 'brown')


def write_miniature(data_root: Path, name: str, kind: str = 'release', version: str | None = None) -> None:
    """Write one dataset.

    Args:
        data_root: Folder that holds all datasets.
        name: Name of the dataset.
        kind: `release` or `torchreid`.
        version: `MSMT17_V1` (default) or `MSMT17_V2`.
    """
    writer = _WRITERS[name]
    captions = writer(data_root, kind) if version is None else writer(data_root, kind, version)
    folder = data_root / 'captions'
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CAPTION_FILES[name]).write_text(json.dumps(captions))


def write_miniatures(data_root: Path, kind: str = 'release', names: Iterable[str] = tuple(CAPTION_FILES)) -> None:
    """Write several datasets, all nine by default."""
    for name in names:
        write_miniature(data_root, name, kind)


def write_text_miniature(data_root: Path, name: str, *, other_file: bool = False) -> list[dict]:
    """Write one dataset for text search, in the layout in which its authors hand it out; returns the records.

    Args:
        data_root: Folder that holds all datasets.
        name: `cuhk-pedes`, `icfg-pedes` or `rstpreid`.
        other_file: Whether ICFG-PEDES' file has the name with an underscore.
    """
    folder, file = {
        'cuhk-pedes': ('CUHK-PEDES', 'reid_raw.json'),
        'icfg-pedes': ('ICFG-PEDES', 'ICFG_PEDES.json' if other_file else 'ICFG-PEDES.json'),
        'rstpreid': ('RSTPReid', 'data_captions.json'),
    }[name]
    records = []
    for person, split, path, count in _TEXT_SHOTS[name]:
        sentences = [f'{describe(person, path)["captions"][0]} Sentence {number}.' for number in range(count)]
        tokens = [sentence.lower().strip('.').split() for sentence in sentences]
        key = 'img_path' if name == 'rstpreid' else 'file_path'
        record: dict[str, Any] = {'split': split, 'captions': sentences, key: path, 'id': person}
        if name != 'rstpreid':
            record['processed_tokens'] = tokens
        records.append(record)
        draw(data_root / folder / 'imgs' / path, person, len(records))
    (data_root / folder / file).write_text(json.dumps(records))
    return records


# Identity, split, file, number of sentences. CUHK-PEDES mixes the names of the datasets that it holds.
_TEXT_SHOTS: dict[str, list[tuple[int, str, str, int]]] = {
    'cuhk-pedes': [
        (1, 'train', 'CUHK01/0363004.png', 2),
        (1, 'train', 'CUHK01/0363001.png', 2),
        (11003, 'train', 'train_query/p11600_s14885.jpg', 2),
        (11004, 'val', 'Market/0013_c5s1_000426_00.jpg', 2),
        (12004, 'test', 'test_query/p6955_s9221.jpg', 2),
        (12004, 'test', 'test_query/p6955_s9222.jpg', 3),
        (12005, 'test', 'CUHK03/313_3.jpg', 2),
        (12006, 'test', 'cam_a/045_0.bmp', 2),
        (12006, 'test', 'cam_b/045_90.bmp', 1),
    ],
    'icfg-pedes': [
        (0, 'train', 'train/0000/0000_000_01_0303morning_0008_0.jpg', 1),
        (0, 'train', 'train/0000/0000_001_04_0303morning_0009_1.jpg', 1),
        (3102, 'test', 'test/0627/0627_010_05_0303afternoon_1591_0.jpg', 1),
        (3102, 'test', 'test/0627/0627_011_07_0303afternoon_1592_0.jpg', 1),
        (3103, 'test', 'test/0628/0628_002_12_0303noon_0400_2.jpg', 1),
    ],
    'rstpreid': [
        (0, 'train', '0000_c14_0031.jpg', 2),
        (0, 'train', '0000_c1_0004.jpg', 2),
        (3701, 'val', '3701_c5_0022.jpg', 2),
        (3901, 'test', '3901_c7_0015.jpg', 2),
        (3901, 'test', '3901_c1_0003.jpg', 2),
        (3902, 'test', '3902_c3_0007.jpg', 2),
    ],
}
TEXT_DATASETS = tuple(_TEXT_SHOTS)


def describe(person: int, path: str, **keys: Any) -> dict:
    """Write the record of an image."""
    upper, lower = COLORS[person % 8], COLORS[person // 8 % 8]
    captions = [
        f'A person in a {upper} shirt and {lower} pants walks.',
        f'The upper third shows a {upper} collar.',
        f'The middle third shows a {upper} shirt and a belt.',
        f'The lower third shows {lower} pants.',
    ]
    return {'file_path': path, 'captions': captions, **keys}


def draw(path: Path, person: int, shot: int) -> None:
    """Write an image of 16 x 32 pixels whose halves have the person's colors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(person + 2)
    pixels = np.repeat(rng.integers(20, 236, (2, 1, 3)), 16, axis=0).repeat(16, axis=1)
    pixels = (pixels + 7 * (shot % 5) - 14).clip(0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    formats = {'.jpg': 'JPEG', '.jpeg': 'JPEG', '.png': 'PNG', '.bmp': 'BMP'}
    Image.fromarray(pixels).save(buffer, formats[path.suffix])
    path.write_bytes(buffer.getvalue())


def _market1501(data_root: Path, kind: str) -> list[dict]:
    root = data_root / 'market1501' / ('Market-1501-v15.09.15' if kind == 'torchreid' else '')
    shots = [
        ('bounding_box_train', person, camera, frame)
        for person in (2, 3, 5, 8)
        for camera in (1, 4)
        for frame in (1, 2)
    ]
    shots += [('query', person, camera, 1) for person in (1, 4, 6) for camera in (2, 3)]
    shots += [
        ('bounding_box_test', person, camera, frame) for person in (1, 4, 6) for camera in (2, 3) for frame in (2, 3)
    ]
    shots += [('bounding_box_test', 0, 1, 1), ('bounding_box_test', 0, 2, 1), ('bounding_box_test', -1, 2, 1)]
    records = []
    for folder, person, camera, frame in shots:
        path = f'{folder}/{person if person < 0 else format(person, "04d")}_c{camera}s1_{frame:06d}_01.jpg'
        draw(root / path, person, frame)
        records.append(describe(person, path, id=person, cmid=camera))
    return records


def _msmt17(data_root: Path, kind: str, version: str = 'MSMT17_V1') -> list[dict]:
    root = data_root / ('msmt17' if kind == 'torchreid' else '') / version
    folders = {'train': 'train', 'test': 'test'}
    if version == 'MSMT17_V2':
        folders = {'train': 'mask_train_v2', 'test': 'mask_test_v2'}
    cameras = {'train': (1, 4, 4, 15), 'val': (2,), 'query': (1, 3), 'gallery': (1, 3, 12)}
    records = []
    for role, shots in cameras.items():
        part = 'train' if role in ('train', 'val') else 'test'
        lines = []
        for person in range(4):
            for number, camera in enumerate(shots):
                frame = list(cameras).index(role) * 10 + number
                name = f'{person:04d}/{person:04d}_{frame:03d}_{camera:02d}_0303morning_{frame:04d}_0.jpg'
                # The test people are others, though they have the same numbers.
                draw(root / folders[part] / name, person + (50 if part == 'test' else 0), frame)
                lines.append(f'{name} {person}\n')
                records.append(describe(person, f'{part}/{name}', id=person, split=role))
        (root / f'list_{role}.txt').write_text(''.join(lines))
    return records


def _cuhk03(data_root: Path, kind: str) -> list[dict]:
    root = data_root / 'cuhk03'
    people = {'train': [(1, 1), (2, 5), (3, 2), (5, 9)], 'test': [(1, 2), (4, 7), (5, 3)]}
    numbers = {person: number for number, person in enumerate([*people['train'], *people['test']], 1)}
    records, splits = [], {}
    for kind_of_box in ('labeled', 'detected'):
        split: dict[str, list] = {'train': [], 'query': [], 'gallery': []}
        for part, members in people.items():
            for pair, person in members:
                for view, image in ((1, 1), (1, 2), (2, 6), (2, 7)):
                    if kind_of_box == 'detected' and (pair, image) == (5, 7):
                        continue
                    name = f'{pair}_{person:03d}_{view}_{image:02d}.png'
                    number = numbers[pair, person]
                    draw(root / f'images_{kind_of_box}' / name, number, image)
                    role = 'train' if part == 'train' else 'query' if image in (1, 6) else 'gallery'
                    label = people['train'].index((pair, person)) if part == 'train' else number
                    # Split files hold absolute paths of where the dataset was when they were made.
                    split[role].append([f'/elsewhere/cuhk03/images_{kind_of_box}/{name}', label, view - 1])
                    if kind_of_box == 'labeled':
                        records.append(describe(number, f'/images_labeled/{name}', id=number, split=role))
        splits[kind_of_box] = split
    if kind == 'torchreid':
        for name in ('cuhk03_release/cuhk-03.mat', *(f'cuhk03_new_protocol_config_{box}.mat' for box in splits)):
            (root / name).parent.mkdir(exist_ok=True)
            (root / name).touch()
        for box, split in splits.items():
            for style in ('classic', 'new'):
                (root / f'splits_{style}_{box}.json').write_text(json.dumps([split]))
    return records


def _cuhk02(data_root: Path, kind: str) -> list[dict]:
    root = data_root / 'cuhk02' / ('Dataset' if kind == 'torchreid' else '')
    records = []
    for pair in range(1, 6):
        for person in (1, 2):
            for camera in (1, 2):
                for image in (1, 2):
                    path = f'P{pair}/cam{camera}/{person:03d}_{image:02d}.png'
                    draw(root / path, 2 * pair + person, image)
                    role = 'train' if pair < 5 else ('query', 'gallery')[camera - 1]
                    records.append(describe(2 * pair + person, path, id=f'P{pair}_{person}', split=role))
    return records


def _cuhksysu(data_root: Path, kind: str) -> list[dict]:
    root = data_root / ('cuhksysu' if kind == 'torchreid' else 'CUHK-SYSU')
    records = []
    for person in (1, 2, 11, 11422):
        for shot in (1, 2, 3, 4):
            path = f'cropped_images/p{person}_s{person + shot}_1.jpg'
            draw(root / path, person, shot)
            records.append(describe(person, path, id=str(person)))
    return records


def _prid(data_root: Path, kind: str) -> list[dict]:
    root = data_root / ('prid2011/prid_2011' if kind == 'torchreid' else 'prid_2011')
    split: dict[str, list] = {'train': [], 'query': [], 'gallery': []}
    for person in range(1, 750):
        for camera, view in enumerate('ab'):
            if view == 'a' and person > 200:
                continue
            path = f'single_shot/cam_{view}/person_{person:04d}.png'
            draw(root / path, person, camera)
            role = 'train' if person % 2 == 0 and person <= 200 else ('query', 'gallery')[camera]
            split[role].append(describe(person, f'/{path}', id=person, camid=camera, caption=''))
    return [split]


def _grid(data_root: Path, kind: str) -> list[dict]:
    root = data_root / 'grid' / ('underground_reid' if kind == 'torchreid' else '')
    people = (1, 2, 3, 5, 8, 13, 21, 34)
    names = [(f'probe/{person:04d}_1_{person:05d}_107_32_106_221.jpeg', person, 0) for person in people]
    names += [(f'gallery/{person:04d}_2_{person:05d}_107_32_106_221.jpeg', person, 1) for person in people]
    names += [(f'gallery/0000_{camera}_{camera:05d}_115_75_85_218.jpeg', 0, camera - 1) for camera in (3, 8)]
    for number, (path, person, camera) in enumerate(names):
        draw(root / path, person or 90 + number, camera)
    records, cells = [], np.empty((1, 10), dtype=object)
    for number in range(10):
        trained = [person for position, person in enumerate(people) if (position + number) % 2 == 0]
        # The real file names 125 of 250 people; those from 100 on have no images here.
        rows = np.array([[*trained, *range(100, 100 + 125 - len(trained))]])
        cells[0, number] = np.array([[(0, 0, rows)]], dtype=[('test', 'O'), ('probe', 'O'), ('train', 'O')])
        split: dict[str, list] = {'train': [], 'query': [], 'gallery': []}
        for path, person, camera in names:
            role = 'train' if person in trained else 'query' if path.startswith('probe') else 'gallery'
            label = trained.index(person) if role == 'train' else person
            split[role].append(describe(person, f'/{path}', id=label, camid=camera))
        records.append(split)
    savemat(root / 'features_and_partitions.mat', {'trainIdxAll': cells})
    return records


def _viper(data_root: Path, kind: str) -> list[dict]:
    people = (0, 7, 45, 123, 336, 873)
    angles = {1: 0, 2: 90}
    records = []
    for person in people:
        for camera, angle in angles.items():
            role = 'train' if people.index(person) % 2 == 0 else ('query', 'gallery')[camera - 1]
            path = f'split_1a/{role}/p{person:03d}_c{camera}_d{angle:03d}.png'
            own = f'viper/VIPeR/cam_{" ab"[camera]}/{person:03d}_{angle}.bmp'
            draw(data_root / (own if kind == 'torchreid' else f'VIPeR/{path}'), person, camera)
            records.append(describe(person, path, split=role, id=person, camid=camera))
    return records


def _ilids(data_root: Path, kind: str) -> list[dict]:
    folder = 'ilids/i-LIDS_Pedestrian/Persons' if kind == 'torchreid' else 'QMUL-iLIDS/images'
    people = {1: 2, 2: 4, 5: 3, 56: 2, 119: 5}
    for person, count in people.items():
        for shot in range(1, count + 1):
            draw(data_root / folder / f'{person:04d}{shot:03d}.jpg', person, shot)
    splits = []
    for number in range(10):
        trained = [person for position, person in enumerate(people) if (position + number) % 5 < 2]
        split: dict[str, list] = {'train': [], 'query': [], 'gallery': []}
        for person, count in people.items():
            shots = [(f'images/{person:04d}{shot:03d}.jpg', shot) for shot in range(1, count + 1)]
            if person in trained:
                split['train'] += [
                    describe(person, path, id=trained.index(person), camid=shot - 1) for path, shot in shots
                ]
            else:
                for role, (path, shot) in zip(('query', 'gallery'), (shots[0], shots[-1]), strict=True):
                    split[role].append(describe(person, path, id=person, camid=shot - 1))
        splits.append(split)
    return splits


_WRITERS: dict[str, Callable[..., list[dict]]] = {
    'market1501': _market1501,
    'msmt17': _msmt17,
    'cuhk03': _cuhk03,
    'cuhk02': _cuhk02,
    'cuhksysu': _cuhksysu,
    'prid': _prid,
    'grid': _grid,
    'viper': _viper,
    'ilids': _ilids,
}
