from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from cmdg_plugin.datasets import CaptionedReIDDataset
from cmdg_plugin.datasets.sources import BENCHMARKS, BenchmarkSource, TorchreidSource
from cmdg_plugin.datasets.sources.index import SourceSplit

ROLES = ('train', 'val', 'query', 'gallery')
IMAGES = {
    # train, val, query, gallery of the released split, counted by hand from the miniatures' writers
    'market1501': (16, 0, 6, 14),
    'msmt17': (16, 4, 8, 12),
    'cuhk03': (16, 0, 6, 6),
    'cuhk02': (32, 0, 4, 4),
    'cuhksysu': (16, 0, 0, 0),
    'prid': (200, 0, 100, 649),
    'grid': (8, 0, 4, 6),
    'viper': (6, 0, 3, 3),
    'ilids': (7, 0, 3, 3),
}
PEOPLE = {
    'market1501': (4, 0, 3, 4),
    'msmt17': (4, 4, 4, 4),
    'cuhk03': (4, 0, 3, 3),
    'cuhk02': (8, 0, 2, 2),
    'cuhksysu': (4, 0, 0, 0),
    'prid': (100, 0, 100, 649),
    'grid': (4, 0, 4, 5),
    'viper': (3, 0, 3, 3),
    'ilids': (2, 0, 3, 3),
}
SPLITS = {'prid': 10, 'viper': 10, 'grid': 10, 'ilids': 10}
# What torchreid cannot read, and what a caption file cannot index since its paths are the release's.
UNREADABLE = {('release', 'viper', 'torchreid'), ('release', 'cuhk03', 'torchreid')}
UNREADABLE |= {('torchreid', 'viper', 'captions'), ('torchreid', 'ilids', 'captions')}
CASES = [
    (kind, name, index)
    for kind in ('release', 'torchreid')
    for name in BENCHMARKS
    for index in ('torchreid', 'captions', 'auto')
    if (kind, name, index) not in UNREADABLE
]


def count(split: SourceSplit, what: Callable) -> tuple[int, ...]:
    return tuple(len({what(record) for record in getattr(split, role)}) for role in ROLES)


def keys(name: str, records: tuple) -> set:
    return {BENCHMARKS[name].join_key(f'/{record.path}') for record in records}


@pytest.fixture
def data_of(release_data: Path, torchreid_data: Path) -> dict[str, Path]:
    return {'release': release_data, 'torchreid': torchreid_data}


@pytest.mark.parametrize(('kind', 'name', 'index'), CASES)
def test_every_layout_and_index(data_of: dict[str, Path], kind: str, name: str, index: str) -> None:
    found = BenchmarkSource(name, str(data_of[kind]), index=index).load()
    split = found.split()
    assert count(split, lambda record: record.path) == IMAGES[name]
    assert count(split, lambda record: (record.scope, record.identity)) == PEOPLE[name]
    assert len(found.positions('all')) == SPLITS.get(name, 1)
    assert found.has_cameras == (name != 'cuhksysu')
    people = {}
    for role in ROLES:
        for record in getattr(split, role):
            assert Path(found.absolute(record)).is_file()
            # Miniatures describe a person alike in all images.
            people.setdefault((record.scope, record.identity), set()).add(record.captions)
    assert all(len(captions) == 1 and None not in captions for captions in people.values() if captions)
    trained = found.select('all')
    assert not any(record.distractor for record in trained)


@pytest.mark.parametrize('name', list(BENCHMARKS))
def test_layouts_agree(data_of: dict[str, Path], name: str) -> None:
    """The same images, people, captions and splits, whatever the layout and the index."""
    first = BenchmarkSource(name, str(data_of['release'])).load()
    second = BenchmarkSource(name, str(data_of['torchreid'])).load()
    for which in ('released', 'all'):
        pairs = zip(first.positions(which), second.positions(which), strict=True)
        for one, other in pairs:
            for role in ROLES:
                mine, theirs = getattr(first.splits[one], role), getattr(second.splits[other], role)
                assert keys(name, mine) == keys(name, theirs), (which, role)
    captions = [
        {BENCHMARKS[name].join_key(f'/{record.path}'): record.captions for record in index.select(('train',))}
        for index in (first, second)
    ]
    assert captions[0] == captions[1]


@pytest.mark.parametrize(
    ('name', 'expected'), [('market1501', 4 + 3), ('msmt17', 4 + 4), ('cuhk02', 8 + 2), ('grid', 8)]
)
@pytest.mark.parametrize('index', ['torchreid', 'captions'])
def test_combined_people(release_data: Path, name: str, expected: int, index: str) -> None:
    """Junk and distractors are nobody, and people of training and test sets with one number are two."""
    source = {'type': 'BenchmarkSource', 'name': name, 'data_root': str(release_data), 'index': index}
    assert CaptionedReIDDataset([source], subsets='all').num_identities == expected


@pytest.mark.parametrize('version', ['MSMT17_V1', 'MSMT17_V2'])
@pytest.mark.parametrize('kind', ['release', 'torchreid'])
def test_both_versions_of_msmt17(
    miniatures: ModuleType, tmp_path: Path, caplog: pytest.LogCaptureFixture, version: str, kind: str
) -> None:
    miniatures.write_miniature(tmp_path, 'msmt17', kind, version)
    found = BenchmarkSource('msmt17', str(tmp_path), version=version).load()
    split = found.split()
    assert count(split, lambda record: record.path) == IMAGES['msmt17']
    assert all(record.captions is not None for role in ROLES for record in getattr(split, role))
    assert found.root.endswith(version)
    assert {record.camera for record in split.train} == {1, 4, 15}
    other = {'MSMT17_V1': 'MSMT17_V2', 'MSMT17_V2': 'MSMT17_V1'}[version]
    with pytest.raises(FileNotFoundError, match=other):
        BenchmarkSource('msmt17', str(tmp_path), version=other).load()
    with pytest.raises(ValueError, match='MSMT17_V1, MSMT17_V2'):
        BenchmarkSource('msmt17', str(tmp_path), version='V3').load()


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='market1501, msmt17'):
        BenchmarkSource('market', str(tmp_path))
    with pytest.raises(ValueError, match="'guess'"):
        BenchmarkSource('market1501', str(tmp_path), index='guess')
    with pytest.raises(ValueError, match="'ignore'"):
        TorchreidSource('market1501', str(tmp_path), on_missing_image='ignore')


def test_absent_images(miniatures: ModuleType, tmp_path: Path) -> None:
    miniatures.write_miniature(tmp_path, 'msmt17')
    gone = next((tmp_path / 'MSMT17_V1' / 'train').rglob('*.jpg'))
    gone.unlink()
    with pytest.raises(FileNotFoundError, match='1 of 40 images') as caught:
        BenchmarkSource('msmt17', str(tmp_path)).load()
    assert str(gone) in str(caught.value)
    split = BenchmarkSource('msmt17', str(tmp_path), on_missing_image='skip').load().split()
    assert len(split.train) + len(split.val) == 19
