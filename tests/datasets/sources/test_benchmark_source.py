import random
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cmdg_plugin.datasets import CaptionedReIDDataset, ReIDEvaluationSet
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


def test_market_distractors_stay_in_the_gallery(torchreid_data: Path) -> None:
    split = TorchreidSource('market1501', str(torchreid_data)).load().split()
    assert sorted({record.identity for record in split.gallery}) == [0, 1, 4, 6]
    assert [record.identity for record in split.gallery if record.distractor] == [0, 0]
    assert {record.identity for record in split.train} == {2, 3, 5, 8}
    assert {record.captions for record in split.train} == {None}


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


def test_detected_boxes_of_cuhk03_are_not_captioned_as_labeled_ones(torchreid_data: Path) -> None:
    split = BenchmarkSource('cuhk03', str(torchreid_data), version='detected').load().split()
    # The last image of pair 5 was not detected; its two people lose one each.
    assert count(split, lambda record: record.path) == (15, 0, 6, 5)
    assert all(record.path.startswith('images_detected/') for record in split.train)
    # The caption file describes the labeled boxes, which are other pictures.
    assert {record.captions for record in split.train} == {None}
    assert {record.camera for record in split.train} == {
        2 * pair + view - 3 for pair in (1, 2, 3, 5) for view in (1, 2)
    }


def test_official_splits_of_grid(release_data: Path) -> None:
    """Ten, from the .mat file, the last being the released one."""
    found = BenchmarkSource('grid', str(release_data), index='torchreid').load()
    assert found.positions() == (9,)
    people = (1, 2, 3, 5, 8, 13, 21, 34)
    for number, split in enumerate(found.splits):
        assert {record.identity for record in split.query} == set(people[(number + 1) % 2 :: 2])
        assert sum(record.distractor for record in split.gallery) == 2


def test_without_caption_file_there_is_no_released_split(
    torchreid_data: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ('viper', 'prid', 'ilids'):
        found = TorchreidSource(name, str(torchreid_data)).load()
        assert (found.positions(), found.positions('all')) == ((0,), tuple(range(10)))
    (target,) = ReIDEvaluationSet(
        [{'type': 'TorchreidSource', 'name': 'viper', 'data_root': str(torchreid_data)}], split='all'
    ).targets
    assert len(target.splits) == 10
    assert len(target.paths) <= 12


def test_nothing_is_written_and_no_random_number_drawn(miniatures: ModuleType, tmp_path: Path) -> None:
    miniatures.write_miniatures(tmp_path, 'torchreid')
    before = sorted(tmp_path.rglob('*'))
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.rand()
    random.seed(3)
    np.random.seed(3)
    for name in BENCHMARKS:
        TorchreidSource(name, str(tmp_path)).load()
    assert (random.random(), np.random.rand()) == expected
    assert sorted(tmp_path.rglob('*')) == before


@pytest.mark.parametrize('name', list(BENCHMARKS))
def test_absent_dataset_shows_the_expected_folders(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        BenchmarkSource(name, str(tmp_path)).load()
    message = str(caught.value)
    assert str(tmp_path) in message
    for layout in BENCHMARKS[name].layouts:
        assert f'{tmp_path}/{layout.folder}/' in message
        assert all(folder in message for folder in layout.markers)


def test_unknown_names(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='market1501, msmt17'):
        BenchmarkSource('market', str(tmp_path))
    with pytest.raises(ValueError, match="'guess'"):
        BenchmarkSource('market1501', str(tmp_path), index='guess')
    with pytest.raises(ValueError, match="'ignore'"):
        TorchreidSource('market1501', str(tmp_path), on_missing_image='ignore')


def test_absent_caption_file_where_it_is_the_index(miniatures: ModuleType, tmp_path: Path) -> None:
    miniatures.write_miniature(tmp_path, 'viper')
    (tmp_path / 'captions' / 'viper.json').unlink()
    with pytest.raises(FileNotFoundError, match=r'no viper\.json'):
        BenchmarkSource('viper', str(tmp_path)).load()
    with pytest.raises(ValueError, match='torchreid cannot read viper in the release layout'):
        TorchreidSource('viper', str(tmp_path)).load()


def test_absent_images(miniatures: ModuleType, tmp_path: Path) -> None:
    miniatures.write_miniature(tmp_path, 'msmt17')
    gone = next((tmp_path / 'MSMT17_V1' / 'train').rglob('*.jpg'))
    gone.unlink()
    with pytest.raises(FileNotFoundError, match='1 of 40 images') as caught:
        BenchmarkSource('msmt17', str(tmp_path)).load()
    assert str(gone) in str(caught.value)
    split = BenchmarkSource('msmt17', str(tmp_path), on_missing_image='skip').load().split()
    assert len(split.train) + len(split.val) == 19


def test_what_the_reader_rejects(miniatures: ModuleType, tmp_path: Path) -> None:
    miniatures.write_miniature(tmp_path, 'cuhk02', 'torchreid')
    for image in (tmp_path / 'cuhk02/Dataset/P5').rglob('*.png'):
        image.unlink()
    with pytest.raises(ValueError, match=re.escape("torchreid's reader of cuhk02 cannot read")) as caught:
        TorchreidSource('cuhk02', str(tmp_path)).load()
    assert 'P5/' in str(caught.value)


def test_counts_are_logged_next_to_the_expected_ones(release_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = []
    for name in ('say', 'warn'):
        monkeypatch.setattr(
            f'cmdg_plugin.datasets.sources.counts.{name}', lambda line, name=name: lines.append((name, line))
        )
    BenchmarkSource('market1501', str(release_data)).load()
    BenchmarkSource('prid', str(release_data)).load()
    (level, text), (fine, good) = lines
    assert level == 'warn'
    assert 'train 4 identities, 16 images (expected 751 identities, 12,936 images)' in text
    assert fine == 'say'
    assert good == (
        'prid (release layout): train 100 identities, 200 images; query 100 identities, 100 images; '
        'gallery 649 identities, 649 images'
    )


def test_drawn_splits_are_the_same_for_everybody(release_data: Path) -> None:
    """If these numbers change, nobody's published means over ten splits compare any more."""
    found = BenchmarkSource('prid', str(release_data)).load()
    firsts = [sorted(record.identity for record in found.splits[number].query)[:5] for number in (0, 1, 9)]
    assert firsts == [[2, 14, 15, 16, 19], [5, 6, 7, 10, 11], [1, 3, 4, 6, 7]]
