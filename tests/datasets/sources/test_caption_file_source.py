import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cmdg_plugin.datasets.sources import CaptionFileSource
from cmdg_plugin.datasets.sources.index import SourceSplit
from cmdg_plugin.registry import SOURCES


def roles(split: SourceSplit) -> dict:
    return {role: [record.path for record in getattr(split, role)] for role in ('train', 'val', 'query', 'gallery')}


def write(folder: Path, content: list[dict], paths: None = None) -> dict[str, str]:
    """Write a caption file and empty files for its images; indexing reads no image."""
    (folder / 'captions.json').write_text(json.dumps(content))
    entries = (
        content
        if 'file_path' in content[0]
        else [item for split in content for role in split.values() for item in role]
    )
    for path in paths if paths is not None else [entry['file_path'].lstrip('/') for entry in entries]:
        target = folder / 'data' / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.touch()
    return {'root': str(folder / 'data'), 'caption_file': str(folder / 'captions.json')}


def record(path: str, identity: int | str, **keys: Any) -> dict:
    return {'file_path': path, 'id': identity, 'captions': ['a', 'b', 'c', 'd'], **keys}


def test_market_like_roles_junk_and_distractors(market_like: Callable[..., dict[str, str]]) -> None:
    index = SOURCES.build(market_like('shop', range(2, 6), images=1)).load()
    (split,) = index.splits
    assert index.has_cameras
    assert roles(split) == {
        'train': [
            'bounding_box_train/0002_c1s1_000000_00.jpg',
            'bounding_box_train/0002_c2s1_000000_00.jpg',
            'bounding_box_train/0003_c1s1_000000_00.jpg',
            'bounding_box_train/0003_c2s1_000000_00.jpg',
        ],
        'val': [],
        'query': [
            'query/0004_c1s1_000000_00.jpg',
            'query/0004_c2s1_000000_00.jpg',
            'query/0005_c1s1_000000_00.jpg',
            'query/0005_c2s1_000000_00.jpg',
        ],
        'gallery': [
            'bounding_box_test/0004_c1s1_000001_00.jpg',
            'bounding_box_test/0004_c2s1_000001_00.jpg',
            'bounding_box_test/0005_c1s1_000001_00.jpg',
            'bounding_box_test/0005_c2s1_000001_00.jpg',
            'bounding_box_test/0000_c1s1_000900_00.jpg',
        ],
    }
    assert [item.distractor for item in split.gallery] == [False] * 4 + [True]
    chosen = index.select('all')
    assert len(chosen) == 12
    assert {item.identity for item in chosen} == {2, 3, 4, 5}
    assert {item.identity for item in index.select(['gallery'])} == {4, 5}


def test_person_zero_counts_where_the_dataset_says_so(tmp_path: Path) -> None:
    content = [
        record('train/0000/0000_000_01_0303morning_0008_0.jpg', 0, split='train'),
        record('test/0000/0000_000_02_0303morning_0008_0.jpg', 0, split='gallery'),
    ]
    index = CaptionFileSource('msmt17', **write(tmp_path, content)).load()
    second, first = index.select('all')
    # MSMT17 numbers the people of its training and test images separately, both from 0.
    assert (first.identity, second.identity) == (0, 0)
    assert first.scope != second.scope
    assert [item.camera for item in (first, second)] == [1, 2]


def test_cuhk02_pairs_have_their_own_people(tmp_path: Path) -> None:
    content = [record(f'P{pair}/cam1/001_01.png', 'person_1', split='train') for pair in (1, 2)]
    first, second = CaptionFileSource('cuhk02', **write(tmp_path, content)).load().select(['train'])
    assert (first.camera, second.camera) == (0, 2)
    assert first.scope != second.scope


def test_splits_and_the_released_one(tmp_path: Path) -> None:
    content = [
        {
            'train': [record('/a.jpg', 0, camid=0)],
            'query': [record('/b.jpg', 1, camid=0)],
            'gallery': [record('/c.jpg', 0, camid=1)],
        },
        {
            'train': [record('/b.jpg', 0, camid=0)],
            'query': [record('/a.jpg', 1, camid=0)],
            'gallery': [record('/c.jpg', 1, camid=1)],
        },
    ]
    settings = write(tmp_path, content)
    index = CaptionFileSource('grid', **settings).load()
    assert [item.path for item in index.split().query] == ['a.jpg']
    assert [item.path for item in index.split(0).query] == ['b.jpg']
    assert index.positions('all') == (0, 1)
    # Person 0 is a label in the training images, but a distractor in the gallery.
    assert [item.distractor for item in (*index.split(0).train, *index.split(0).gallery)] == [False, True]
    assert CaptionFileSource('grid', released=0, **settings).load().positions() == (0,)
    with pytest.raises(ValueError, match="'released', 'all' or a number below 2, got 2"):
        index.split(2)


@pytest.mark.parametrize(('name', 'distractors'), [('Market1501', [True]), ('GRID', [True]), ('prid', [False])])
def test_person_0_is_nobody_where_the_dataset_says_so(tmp_path: Path, name: str, distractors: list[bool]) -> None:
    settings = write(tmp_path, [record('a.jpg', 0, camid=1, split='gallery')])
    assert [item.distractor for item in CaptionFileSource(name, **settings).load().split().gallery] == distractors


def test_without_cameras(tmp_path: Path) -> None:
    content = [record('cropped_images/p1_s1_1.jpg', '1'), record('cropped_images/p2_s1_1.jpg', '2')]
    index = CaptionFileSource('cuhksysu', **write(tmp_path, content)).load()
    assert not index.has_cameras
    assert [item.identity for item in index.split().train] == [1, 2]


def test_a_record_of_nobody(tmp_path: Path) -> None:
    content = [{'file_path': 'a.jpg', 'captions': ['a', 'b', 'c', 'd']}]
    with pytest.raises(ValueError, match=r'a.jpg does not say who') as caught:
        CaptionFileSource('own', **write(tmp_path, content)).load()
    assert 'captions.json' in str(caught.value)


def test_absent_folder_shows_the_expected_one(market_like: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    config = market_like('shop', range(2, 6))
    with pytest.raises(FileNotFoundError) as caught:
        SOURCES.build({**config, 'root': str(tmp_path / 'nowhere')}).load()
    message = str(caught.value)
    assert str(tmp_path / 'nowhere') in message
    assert 'bounding_box_train/0002_c1s1_000000_00.jpg  (8 images)' in message
    assert 'query/' in message


def test_absent_images(
    market_like: Callable[..., dict[str, str]], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = market_like('shop', range(2, 6))
    gone = tmp_path / 'shop' / 'bounding_box_train' / '0002_c1s1_000000_00.jpg'
    gone.unlink()
    with pytest.raises(FileNotFoundError, match='1 of 22 images') as caught:
        SOURCES.build(config).load()
    assert str(gone) in str(caught.value)
    index = SOURCES.build({**config, 'on_missing_image': 'skip'}).load()
    assert len(index.split().train) == 7
    with pytest.raises(ValueError, match="'ignore'"):
        SOURCES.build({**config, 'on_missing_image': 'ignore'})


def test_caption_file_below_the_root(market_like: Callable[..., dict[str, str]], tmp_path: Path) -> None:
    config = market_like('shop', range(2, 6))
    (tmp_path / 'shop.json').rename(tmp_path / 'shop' / 'text.json')
    index = SOURCES.build({**config, 'caption_file': 'text.json'}).load()
    assert len(index.split().train) == 8


def test_images_listed_twice_count_once(tmp_path: Path) -> None:
    content = [record('a.jpg', 1, split='train'), record('a.jpg', 1, split='train')]
    assert len(CaptionFileSource('own', **write(tmp_path, content)).load().split().train) == 1


def test_distractors_of_choice(tmp_path: Path) -> None:
    content = [record('a.jpg', 7, split='gallery'), record('b.jpg', 0, split='gallery')]
    index = CaptionFileSource('own', distractors=[7], **write(tmp_path, content)).load()
    assert [item.path for item in index.select('all')] == ['b.jpg']
    with pytest.raises(ValueError, match=r'got .*test'):
        index.select(['test'])
