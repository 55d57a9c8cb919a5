import json
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from mmengine.logging import MMLogger

from cmdg_plugin.datasets import load_captions
from cmdg_plugin.datasets.checking import check_dataset, check_datasets
from cmdg_plugin.datasets.sources import BENCHMARKS
from cmdg_plugin.datasets.sources.counts import compare_counts

# The nine datasets: root folder in the release and in torchreid, expected (people, images) by role, cameras.
EXPECTED = {
    'market1501': (
        'market1501',
        'market1501/Market-1501-v15.09.15',
        {'train': (751, 12_936), 'query': (750, 3_368), 'gallery': (None, 15_913)},
        6,
    ),
    'msmt17': (
        'MSMT17_V1',
        'msmt17/MSMT17_V1',
        {'train': (1_041, 30_248), 'val': (None, 2_373), 'query': (3_060, 11_659), 'gallery': (3_060, 82_161)},
        15,
    ),
    'cuhk03': ('cuhk03', 'cuhk03', {'train': (767, 7_368), 'query': (700, 1_400), 'gallery': (700, 5_328)}, 10),
    'cuhk02': (
        'cuhk02',
        'cuhk02/Dataset',
        {'train': (1_577, 6_308), 'query': (239, 478), 'gallery': (239, 478)},
        10,
    ),
    'cuhksysu': ('CUHK-SYSU', 'cuhksysu', {'train': (11_934, 34_574)}, 1),
    'prid': (
        'prid_2011',
        'prid2011/prid_2011',
        {'train': (100, 200), 'query': (100, 100), 'gallery': (649, 649)},
        2,
    ),
    'grid': ('grid', 'grid/underground_reid', {'train': (125, 250), 'query': (125, 125), 'gallery': (None, 900)}, 8),
    'viper': ('VIPeR', 'viper/VIPeR', {'train': (316, 632), 'query': (316, 316), 'gallery': (316, 316)}, 2),
    'ilids': (
        'QMUL-iLIDS',
        'ilids/i-LIDS_Pedestrian',
        {'train': (59, None), 'query': (60, 60), 'gallery': (60, 60)},
        None,
    ),
}
# Those for text search: folder, expected (people, images) by role.
TEXT_COUNTS: dict[str, tuple[str, dict[str, tuple[int, int]]]] = {
    'cuhk-pedes': ('CUHK-PEDES', {'train': (11_003, 34_054), 'val': (1_000, 3_078), 'gallery': (1_000, 3_074)}),
    'icfg-pedes': ('ICFG-PEDES', {'train': (3_102, 34_674), 'gallery': (1_000, 19_848)}),
    'rstpreid': ('RSTPReid', {'train': (3_701, 18_505), 'val': (200, 1_000), 'gallery': (200, 1_000)}),
}
# Images of all roles and splits, and cameras, of the miniatures; counted by hand from their writers.
MINIATURES = {
    'market1501': (36, 4),
    'msmt17': (40, 6),
    'cuhk03': (28, 10),
    'cuhk02': (40, 10),
    'cuhksysu': (16, 1),
    'prid': (949, 2),
    'grid': (18, 4),
    'viper': (12, 2),
    'ilids': (16, 5),
}
# The released caption files: nesting (0: a flat list), keys beside `file_path` and `captions`, whether paths have a
# leading slash, and what the first record says: identity, camera, role.
CAPTION_FILES = {
    'market1501': ('market1501.json', 0, {'id', 'cmid'}, False, (2, 1, 'train')),
    'msmt17': ('msmt17.json', 0, {'id', 'split'}, False, (0, 1, 'train')),
    'cuhk03': ('cuhk03.json', 0, {'id', 'split'}, True, (1, 0, 'train')),
    'cuhk02': ('cuhk02.json', 0, {'id', 'split'}, False, (1, 0, 'train')),
    'cuhksysu': ('cuhksysu.json', 0, {'id'}, False, (1, None, None)),
    'grid': ('grid.json', 10, {'id', 'camid'}, True, (0, 0, 'train')),
    'ilids': ('ilds.json', 10, {'id', 'camid'}, False, (0, 0, 'train')),
    'prid': ('prid.json', 1, {'id', 'camid', 'caption'}, True, (2, 0, 'train')),
    'viper': ('viper.json', 0, {'id', 'camid', 'split'}, False, (0, 1, 'train')),
}


@pytest.fixture
def data_of(release_data: Path, torchreid_data: Path) -> dict[str, Path]:
    return {'release': release_data, 'torchreid': torchreid_data}


@pytest.fixture
def own_copy(release_data: Path, tmp_path: Path) -> Callable[..., Path]:
    """Copy datasets that a test may spoil."""

    def copy(*names: str) -> Path:
        for name in names:
            shutil.copytree(release_data / EXPECTED[name][0], tmp_path / EXPECTED[name][0])
            (tmp_path / 'captions').mkdir(exist_ok=True)
            shutil.copy(release_data / 'captions' / CAPTION_FILES[name][0], tmp_path / 'captions')
        return tmp_path

    return copy


@pytest.mark.parametrize('name', list(EXPECTED))
def test_expected_numbers(name: str) -> None:
    *_, roles, cameras = EXPECTED[name]
    rows = compare_counts(None, BENCHMARKS[name], 'labeled' if name == 'cuhk03' else '')
    assert {row.role: (row.expected.identities, row.expected.images) for row in rows} == roles
    assert BENCHMARKS[name].cameras == cameras


def test_expected_numbers_of_detected_boxes() -> None:
    rows = compare_counts(None, BENCHMARKS['cuhk03'], 'detected')
    assert [row.expected.images for row in rows] == [7_365, 1_400, 5_332]


@pytest.mark.parametrize('kind', ['release', 'torchreid'])
@pytest.mark.parametrize('name', list(EXPECTED))
def test_every_dataset_in_both_layouts(data_of: dict[str, Path], kind: str, name: str) -> None:
    check = check_dataset(name, data_of[kind])
    images, _ = MINIATURES[name]
    assert check.fault == check.tree == ''
    assert check.layout.folder == EXPECTED[name][kind == 'torchreid']
    assert kind in check.layout.kind
    assert check.layout.version == {'msmt17': 'MSMT17_V1', 'cuhk03': 'labeled'}.get(name, '')
    assert (check.captions.covered, check.captions.images) == (images, images)
    # "The middle third shows a yellow shirt and a belt.": eleven tokens, start and end.
    assert (check.captions.longest, check.captions.cut) == (13, 0)


@pytest.mark.parametrize('name', list(CAPTION_FILES))
def test_released_caption_files(release_data: Path, name: str) -> None:
    file, splits, keys, slash, facts = CAPTION_FILES[name]
    assert BENCHMARKS[name].caption_file == file
    content = json.loads((release_data / 'captions' / file).read_text())
    first = content[0]['train'][0] if splits else content[0]
    assert set(first) - {'file_path', 'captions'} == keys
    assert first['file_path'].startswith('/') == slash
    records = load_captions(release_data / 'captions' / file)
    assert {record.split_index for record in records} == (set(range(splits)) if splits else {None})
    assert (records[0].identity, records[0].camera, records[0].split) == facts
    assert not any(record.file_path.startswith('/') for record in records)


@pytest.mark.parametrize('kind', ['release', 'torchreid'])
@pytest.mark.parametrize('version', ['MSMT17_V1', 'MSMT17_V2'])
def test_versions_of_msmt17(miniatures: ModuleType, tmp_path: Path, kind: str, version: str) -> None:
    miniatures.write_miniature(tmp_path, 'msmt17', kind, version)
    assert check_dataset('msmt17', tmp_path, version=version).layout.version == version
    other = {'MSMT17_V1': 'MSMT17_V2', 'MSMT17_V2': 'MSMT17_V1'}[version]
    check = check_dataset('msmt17', tmp_path, version=other)
    assert check.fault == f'{version} is there, {other} is not; set msmt17_version={version} to use it'
    # What is there is described all the same.
    assert (check.layout.version, check.captions.covered) == (version, 40)


def test_versions_of_cuhk03(release_data: Path, torchreid_data: Path) -> None:
    check = check_dataset('cuhk03', torchreid_data, version='detected')
    # The caption file describes the labeled boxes, which are other pictures.
    assert (check.layout.version, check.captions.covered, check.captions.images) == ('detected', 0, 26)
    assert check_dataset('cuhk03', release_data).notes == ('detected is there too; cuhk03_version=detected reads it',)
    with pytest.raises(ValueError, match='labeled, detected'):
        check_dataset('cuhk03', release_data, version='drawn')


def test_missing_datasets_draw_their_folders(tmp_path: Path) -> None:
    checks = check_datasets(tmp_path)
    assert [check.name for check in checks] == [*EXPECTED, *TEXT_COUNTS]
    for check in checks:
        release, torchreid = EXPECTED[check.name][:2] if check.name in EXPECTED else 2 * [TEXT_COUNTS[check.name][0]]
        assert check.fault == 'not found'
        assert f'{tmp_path}/{release}/' in check.tree
        assert f'{tmp_path}/{torchreid}/' in check.tree
        assert check.index is check.captions is None


# Images and sentences of the miniatures, counted by hand.
@pytest.mark.parametrize(('name', 'images'), [('cuhk-pedes', 9), ('icfg-pedes', 5), ('rstpreid', 6)])
def test_datasets_for_text_search(miniatures: ModuleType, tmp_path: Path, name: str, images: int) -> None:
    miniatures.write_text_miniature(tmp_path, name)
    check = check_dataset(name, tmp_path)
    folder, expected = TEXT_COUNTS[name]
    assert check.fault == ''
    # Nothing is missing; that a miniature has few images is noted.
    assert not any('caption file' in note for note in check.notes)
    assert check.layout.folder == folder
    assert (check.captions.covered, check.captions.images, check.captions.cut) == (images, images, 0)
    rows = compare_counts(check.index, check.benchmark)
    assert {row.role: (row.expected.identities, row.expected.images) for row in rows} == expected
    assert sum(row.found.images or 0 for row in rows) == images


def test_text_search_without_its_file(miniatures: ModuleType, tmp_path: Path) -> None:
    miniatures.write_text_miniature(tmp_path, 'rstpreid')
    (tmp_path / 'RSTPReid/data_captions.json').unlink()
    check = check_dataset('rstpreid', tmp_path)
    assert 'there is no data_captions.json in' in check.fault
    assert check.index is None
    assert check.notes == ()


def test_faults_stay_with_their_dataset(own_copy: Callable[..., Path]) -> None:
    root = own_copy('market1501', 'viper', 'cuhksysu')
    (root / 'captions' / 'market1501.json').write_text('[{"file_path":')
    gone = root / 'VIPeR/split_1a/query/p007_c1_d000.png'
    gone.unlink()
    checks = {check.name: check for check in check_datasets(root, names=('market1501', 'viper', 'cuhksysu'))}
    assert 'market1501.json is not a JSON file' in checks['market1501'].fault
    assert checks['market1501'].index is None
    assert '1 of 12 images' in checks['viper'].fault
    assert str(gone) in checks['viper'].fault
    assert checks['viper'].captions.images == 11
    assert checks['cuhksysu'].fault == ''


def test_captions_of_a_broken_record(own_copy: Callable[..., Path]) -> None:
    root = own_copy('prid')
    content = json.loads((root / 'captions' / 'prid.json').read_text())
    content[0]['gallery'][3]['captions'].pop()
    (root / 'captions' / 'prid.json').write_text(json.dumps(content))
    fault = check_dataset('prid', root).fault
    assert "split 0, gallery, record 3 (counted from 0), key 'captions'" in fault
    assert 'got 3' in fault


def test_no_torchreid(release_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ('torchreid', 'torchreid.reid.data.datasets', 'torchreid.data.datasets'):
        monkeypatch.setitem(sys.modules, name, None)
    assert 'pip install torchreid' in check_dataset('market1501', release_data).fault


def test_without_captions(own_copy: Callable[..., Path]) -> None:
    root = own_copy('market1501', 'prid')
    captions = root / 'captions'
    captions.rename(root / 'elsewhere')
    check = check_dataset('market1501', root)
    assert (check.fault, check.captions.covered) == ('', 0)
    assert f'no caption file market1501.json in {captions}, {root} or beside' in check.notes[0]
    assert 'no released split' in check_dataset('prid', root).notes[0]
    assert check_dataset('market1501', root, captions=root / 'elsewhere').captions.covered == 36


def test_the_log_is_quiet_for_a_while(release_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = MMLogger.get_current_instance()
    level, seen = logger.level, []
    handler = logging.Handler()
    monkeypatch.setattr(handler, 'emit', lambda record: seen.append(record.getMessage()))
    logger.addHandler(handler)
    check_datasets(release_data, names=('market1501',))
    logger.removeHandler(handler)
    assert seen == []
    assert logger.level == level
