import copy
import json
import multiprocessing
import os
import pickle
import resource
import shutil
import signal
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from helpers.tiny_runs import caption_source, different, train
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from cmdg_plugin.datasets import CaptionedReIDDataset, index_cache
from cmdg_plugin.datasets.sample_indices import SampleIndices
from cmdg_plugin.datasets.samplers import IdentitySampler
from cmdg_plugin.datasets.source_building import load_sources
from cmdg_plugin.datasets.sources import BENCHMARKS, CaptionFileSource, SourceIndex
from cmdg_plugin.files import witness
from cmdg_plugin.files.images import IMAGE_SUFFIXES
from cmdg_plugin.files.witness import collecting, note
from cmdg_plugin.islands.planning import SIZES, Census
from cmdg_plugin.saying import warn

LOAD = {'type': 'LoadImageFromFile', 'imdecode_backend': 'pillow'}
RESIZE = {'type': 'mmpretrain.Resize', 'scale': (12, 20), 'interpolation': 'bicubic', 'backend': 'pillow'}
PLAIN = [LOAD, RESIZE]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, 'SETTLED', 0.0)


@pytest.fixture
def sources(market_like: Callable[..., dict]) -> list[dict]:
    return [market_like('shop', [7, 3, 11, 5]), market_like('yard', [3, 4], cameras=3, images=1)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / 'cache' / 'index.kept'


def make(sources: list, file: Path | str | None = None, **settings: Any) -> CaptionedReIDDataset:
    # Two changes within one tick of the clock leave one time.
    time.sleep(0.02)
    return CaptionedReIDDataset(sources, index_cache=None if file is None else str(file), **settings)


def state(dataset: CaptionedReIDDataset) -> dict[str, Any]:
    """All that indexing gives."""
    arrays = (dataset.identities, dataset.cameras, dataset.domains)
    return {
        'rows': [dataset.get_data_info(position) for position in range(len(dataset))],
        'arrays': [(array.dtype, array.tolist()) for array in arrays],
        'numbers': (dataset.num_identities, dataset.num_cameras, dataset.num_domains, dataset.source_numbers),
        'metainfo': dataset.metainfo,
        'captions': dataset.captions,
    }


def outcome(sources: list, file: Path | None = None, **settings: Any) -> Any:
    """What indexing gives, or what it says is wrong."""
    try:
        return state(make(sources, file, **settings))
    except (OSError, ValueError) as error:
        return str(error)


def taken(log: pytest.LogCaptureFixture) -> bool:
    return 'images taken from' in log.text


# ------------------------------------------------------------------ the same index


@pytest.mark.parametrize(
    'options',
    [{}, {'subsets': 'all'}, {'swapped_captions': 0.5}, {'one_caption': True}, {'subsets': ['query', 'train']}],
)
def test_everything_is_restored(sources: list, file: Path, options: dict, log: pytest.LogCaptureFixture) -> None:
    expected = state(make(sources, **options))
    assert state(make(sources, file, **options)) == expected
    assert not taken(log)
    again = make(sources, file, **options)
    assert taken(log)
    assert state(again) == expected
    assert [type(value) for value in again.get_data_info(-1).values()] == [str, int, int, int, int, tuple, int]
    assert again.get_data_info(-1) == again.get_data_info(len(again) - 1)
    assert sorted(os.listdir(file.parent)) == ['index.kept', 'index.kept.lock']


@pytest.mark.parametrize('kind', ['folder', 'csv', 'jsonl', 'csv and captions'])
def test_own_images_are_restored(tmp_path: Path, file: Path, kind: str, log: pytest.LogCaptureFixture) -> None:
    source = own_images(tmp_path, kind)
    options = {'on_missing': 'empty'}
    expected = state(make([source], **options))
    make([source], file, **options)
    assert state(make([source], file, **options)) == expected
    assert taken(log)


def test_paths_that_are_not_utf_8(
    market_like: Callable[..., dict], tmp_path: Path, file: Path, log: pytest.LogCaptureFixture
) -> None:
    market_like('shop', [7, 3])
    place = tmp_path / os.fsdecode(b'd\xff')
    (tmp_path / 'shop').rename(place)
    source = {**caption_source('shop', tmp_path), 'root': str(place)}
    expected = state(make([source]))
    make([source], file)
    assert state(make([source], file)) == expected
    assert taken(log)
    assert make([source], file, pipeline=PLAIN)[0]['img_path'].startswith(str(place))


def own_images(root: Path, kind: str) -> dict:
    place = root / 'own-Zoë'
    for person in (12, 2**62):
        for number in range(3):
            path = place / 'train' / f'{person}_人 anything{number}.jpg'
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    paths = sorted(path.relative_to(place).as_posix() for path in place.rglob('*.jpg'))
    captions = [{'path': path, 'captions': [f'{word} "{path}" \0\\' for word in 'guml']} for path in paths]
    (place / 'captions.json').write_text(json.dumps(captions))
    if kind == 'folder':
        return {'type': 'OwnSource', 'name': 'own', 'path': str(place)}
    index = place / f'index.{kind[:5].strip() if kind == "jsonl" else "csv"}'
    if kind == 'jsonl':
        index.write_text('\n'.join(json.dumps({**record, 'role': 'train'}) for record in captions))
        return {'type': 'OwnSource', 'name': 'own', 'path': str(index)}
    index.write_text('\n'.join(['path,role', *(f'{path},train' for path in paths)]))
    source = {'type': 'OwnSource', 'name': 'own', 'path': str(index)}
    return {**source, 'caption_file': str(place / 'captions.json')} if 'captions' in kind else source


def test_views_samplers_and_counts_are_the_same(sources: list, file: Path, log: pytest.LogCaptureFixture) -> None:
    make(sources, file)
    plain = make(sources, pipeline=PLAIN, on_corrupt='skip')
    again = make(sources, file, pipeline=PLAIN, on_corrupt='skip')
    assert taken(log)
    orders = [list(IdentitySampler(SampleIndices(one), 4, num_instances=2, seed=3)) for one in (plain, again)]
    assert orders[0] == orders[1]
    view = again.with_pipeline(PLAIN)
    for position in orders[0]:
        one, other = view[position], plain[position]
        assert np.array_equal(one.pop('img'), other.pop('img'))
        assert one == other
    assert again.num_corrupt == 0
    Path(again.get_data_info(0)['img_path']).write_bytes(b'')
    assert again.with_pipeline(PLAIN)[0]['image_index'] == 1
    assert (again.num_corrupt, make(sources, file, on_corrupt='skip').num_corrupt) == (1, 0)
    assert state(pickle.loads(pickle.dumps(again))) == state(plain)
    assert [row['img_path'] for row in map(again.get_subset([5, 2]).get_data_info, range(2))] == [
        plain.get_data_info(position)['img_path'] for position in (5, 2)
    ]


def test_with_a_cache_of_images(sources: list, file: Path, log: pytest.LogCaptureFixture) -> None:
    images = str(file.with_suffix('.images'))
    expected = make(sources, pipeline=PLAIN)
    for start in range(3):
        log.clear()
        found = make(sources, file, pipeline=PLAIN, image_cache=images)
        # The folder that both are in is none of the data's.
        assert taken(log) == (start > 0)
        assert log.text.count('Making the image cache') == (start == 0)
        for position in range(len(expected)):
            assert np.array_equal(found[position]['img'], expected[position]['img'])


def test_training_gives_the_same_bits(tiny_config: Config, file: Path) -> None:
    make(tiny_config.train_dataloader.dataset.sources, file)
    runners = []
    for kept in (None, str(file)):
        config = copy.deepcopy(tiny_config)
        config.train_dataloader.dataset.index_cache = kept
        runners.append(train(config, name=str(len(runners))))
    logs = [next(Path(runner.log_dir).glob('*.log')).read_text() for runner in runners]
    assert [text.count('images taken from') for text in logs] == [0, 1]
    assert not different(*(runner.model.state_dict() for runner in runners))


def test_what_was_said_is_said_again(tmp_path: Path, sources: list, file: Path, log: pytest.LogCaptureFixture) -> None:
    records = json.loads((tmp_path / 'shop.json').read_text())
    (tmp_path / 'shop.json').write_text(json.dumps([*records, records[0]]))
    said = []
    for _ in range(2):
        log.clear()
        make(sources, file, swapped_captions=0.5)
        said.append([(record.levelname, record.getMessage()) for record in log.records])
    assert said[1][:-1] == said[0][:-1]
    assert ('WARNING', f'{tmp_path}/shop.json: 1 records repeat another one') in said[1]
    assert said[0][-1][1].startswith(f'Index kept in {file}')
    assert said[1][-1][1].startswith(f'Index of 11 images taken from {file}')


# ------------------------------------------------------------------ every change is noticed


def edit(path: Path, old: str, new: str) -> None:
    """Change the text of a file, and leave it its times as far as that can be done."""
    status = path.stat()
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def image(root: Path) -> Path:
    return root / 'shop/bounding_box_train/0007_c1s1_000000_00.jpg'


FILE_CHANGES: dict[str, Callable[[Path], object]] = {
    'an image more': lambda root: shutil.copy(image(root), image(root).with_name('0007_c1s1_000009_00.jpg')),
    'an image less': lambda root: image(root).unlink(),
    'an image renamed': lambda root: image(root).rename(image(root).with_name('0008_c1s1_000000_00.jpg')),
    'an image less in a folder that is not trained on': lambda root: next((root / 'shop/query').iterdir()).unlink(),
    'an image that is one of another source': lambda root: (
        image(root).unlink(),
        image(root).symlink_to(next((root / 'yard/bounding_box_train').iterdir())),
    ),
    'caption of the same size': lambda root: edit(root / 'shop.json', 'A man walks', 'A cat walks'),
    'caption of another size': lambda root: edit(root / 'shop.json', 'A man walks', 'Somebody walks'),
    'caption file replaced': lambda root: (
        shutil.copy2(root / 'yard.json', root / 'new.json'),
        (root / 'new.json').replace(root / 'shop.json'),
    ),
    'no caption file': lambda root: (root / 'shop.json').unlink(),
    'no folder': lambda root: shutil.rmtree(root / 'shop/query'),
    'the whole dataset is another': lambda root: (
        (root / 'shop').rename(root / 'old'),
        shutil.copytree(root / 'old', root / 'shop'),
        image(root).unlink(),
    ),
}


@pytest.mark.parametrize('change', FILE_CHANGES.values(), ids=list(FILE_CHANGES))
def test_a_change_of_files(
    tmp_path: Path, sources: list, file: Path, change: Callable[[Path], object], log: pytest.LogCaptureFixture
) -> None:
    make(sources, file)
    make(sources, file)
    assert taken(log)
    log.clear()
    change(tmp_path)
    assert outcome(sources, file) == outcome(sources)
    assert f'The index cache {file} is out of date (' in log.text
    assert not taken(log)


OWN_CHANGES: dict[str, Callable[[Path], object]] = {
    'an image more': lambda root: (root / 'train/12_new.jpg').touch(),
    'one less': lambda root: next(root.rglob('12_*.jpg')).unlink(),
    'another person': lambda root: (path := next(root.rglob('12_*.jpg'))).rename(path.with_name('13_a.jpg')),
    'a folder more': lambda root: ((root / 'val').mkdir(), (root / 'val/14_a.jpg').touch()),
    'a link to an image': lambda root: (root / 'train/15_link.jpg').symlink_to(next(root.rglob('12_*.jpg'))),
    'other captions': lambda root: edit(root / 'captions.json', 'anything0', 'anything9'),
    'another list': lambda root: edit(next(root.glob('index.*')), 'train', 'query'),
}


@pytest.mark.parametrize(
    ('kind', 'changes'),
    [
        ('folder', ['an image more', 'one less', 'another person', 'a folder more', 'a link to an image']),
        ('csv and captions', ['one less', 'another person', 'other captions', 'another list']),
        ('jsonl', ['one less', 'another list']),
    ],
)
def test_a_change_of_own_images(
    tmp_path: Path, file: Path, kind: str, changes: list[str], log: pytest.LogCaptureFixture
) -> None:
    for change in changes:
        source = own_images(tmp_path, kind)
        file.unlink(missing_ok=True)
        for _ in range(2):
            outcome([source], file, on_missing='empty')
        assert taken(log)
        log.clear()
        OWN_CHANGES[change](tmp_path / 'own-Zoë')
        assert outcome([source], file, on_missing='empty') == outcome([source], on_missing='empty')
        assert not taken(log), change
        shutil.rmtree(tmp_path / 'own-Zoë')


def test_where_a_link_to_an_image_leads(tmp_path: Path, file: Path, log: pytest.LogCaptureFixture) -> None:
    (tmp_path / 'store').mkdir()
    (tmp_path / 'own/train').mkdir(parents=True)
    for name in ('1_a.jpg', '1_b.jpg', '2_a.jpg'):
        (tmp_path / 'store' / name).touch()
        (tmp_path / 'own/train' / name).symlink_to(tmp_path / 'store' / name)
    source = {'type': 'OwnSource', 'name': 'own', 'path': str(tmp_path / 'own')}
    for _ in range(2):
        assert len(make([source], file, on_missing='empty')) == 3
    assert taken(log)
    (tmp_path / 'store' / '1_b.jpg').unlink()
    assert len(make([source], file, on_missing='empty')) == 2


SETTINGS = [
    {'subsets': ['train', 'query']},
    {'split': 0},
    {'on_missing': 'empty'},
    {'swapped_captions': 0.25},
    {'one_caption': True},
]


@pytest.mark.parametrize('options', SETTINGS)
def test_a_change_of_settings(sources: list, file: Path, options: dict, log: pytest.LogCaptureFixture) -> None:
    make(sources, file)
    assert state(make(sources, file, **options)) == state(make(sources, **options))
    assert f'is out of date (other {next(iter(options))}): indexing anew' in log.text
    assert not taken(log)
    make(sources, file, **options)
    assert taken(log)


def test_a_change_of_sources(sources: list, file: Path, log: pytest.LogCaptureFixture) -> None:
    others: list[list] = [
        sources[::-1],
        sources[:1],
        [{**sources[0], 'on_missing_image': 'skip'}, sources[1]],
        [{**sources[0], 'type': MyCaptionFileSource}, sources[1]],
        [sources[0], {**sources[1], 'distractors': [3]}],
        [{'type': 'HeldOutSource', 'source': sources[0]}, sources[1]],
    ]
    for other in others:
        make(sources, file)
        log.clear()
        assert outcome(other, file) == outcome(other)
        assert 'is out of date (other sources)' in log.text
        assert not taken(log)


def test_other_code_and_another_folder(
    sources: list, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    def check(what: str) -> None:
        log.clear()
        make(sources, file)
        assert f'is out of date (other {what})' in log.text
        log.clear()
        make(sources, file)
        assert taken(log)

    make(sources, file)
    monkeypatch.setattr(index_cache, '__version__', '0.0.1')
    check('version of the plugin')
    monkeypatch.setattr(index_cache, '_digest_code', lambda: 'other code')
    check('version of the plugin')
    monkeypatch.setattr(np, '__version__', '1.0')
    check('version of numpy')
    monkeypatch.setattr(index_cache.platform, 'python_version', lambda: '3.9.0')
    check('version of Python')
    monkeypatch.setenv('HOME', str(tmp_path))
    check('current folder')
    monkeypatch.chdir(tmp_path)
    check('current folder')
    monkeypatch.setattr(index_cache, '_VERSION', b'0\n')
    log.clear()
    make(sources, file)
    assert f'{file} is damaged, or of another version of the plugin: indexing anew' in log.text
    log.clear()
    make(sources, file)
    assert taken(log)


def test_all_code_that_indexes_counts(
    sources: list, tmp_path: Path, release_data: Path, torchreid_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Every domain is drawn, of a few people.
    few = Census(train=2, test=2, images=(2, 2), distractors=2, junk=1)
    monkeypatch.setitem(SIZES, 'small', replace(SIZES['small'], sources=few, targets=few))
    several = [
        sources[0],
        own_images(tmp_path, 'csv and captions'),
        {'type': 'IslandsSource', 'domain': 'harbor', 'root': str(tmp_path / 'islands')},
        {'type': 'HeldOutSource', 'source': sources[1]},
        {'type': 'BenchmarkSource', 'name': 'viper', 'data_root': str(release_data)},
        {'type': 'BenchmarkSource', 'name': 'market1501', 'data_root': str(torchreid_data)},
    ]
    ran = set()
    sys.setprofile(lambda frame, event, argument: ran.add(frame.f_code.co_filename))
    try:
        CaptionedReIDDataset(several, subsets='all', on_missing='empty')
    finally:
        sys.setprofile(None)
    package = Path(index_cache.__file__).parents[1]
    ours = {path for path in map(Path, ran) if path.is_relative_to(package)}
    assert package / 'islands' / 'building.py' in ours
    assert ours <= set(index_cache._code_files())


def test_relative_paths_are_those_of_the_current_folder(
    market_like: Callable[..., dict], tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    market_like('shop', [7, 3])
    shutil.copytree(tmp_path / 'shop', tmp_path / 'other/shop')
    shutil.copy(tmp_path / 'shop.json', tmp_path / 'other')
    edit(tmp_path / 'other/shop.json', 'A man', 'A cat')
    source = caption_source('shop', '.')
    found = []
    for place in (tmp_path, tmp_path / 'other', tmp_path):
        monkeypatch.chdir(place)
        found.append(make([source], file).captions[0][3])
        assert make([source], file).captions[0][3] == found[-1]
    assert [sentence[:5] for sentence in found] == ['A man', 'A cat', 'A man']


# ------------------------------------------------------------------ public datasets


@pytest.fixture
def benchmark(miniatures: ModuleType, tmp_path: Path) -> Callable[..., dict]:
    def write(name: str, kind: str = 'release', **options: Any) -> dict:
        miniatures.write_miniature(tmp_path / 'data', name, kind)
        return {'type': 'BenchmarkSource', 'name': name, 'data_root': str(tmp_path / 'data'), **options}

    return write


BENCHMARK_CHANGES: list[tuple[str, str, Callable[[Path], object]]] = [
    ('msmt17', 'release', lambda data: edit(data / 'MSMT17_V1/list_train.txt', '.jpg 0', '.jpg 1')),
    ('msmt17', 'torchreid', lambda data: next((data / 'msmt17').rglob('*.jpg')).unlink()),
    ('cuhk03', 'torchreid', lambda data: next((data / 'cuhk03').rglob('*.mat')).unlink()),
    ('market1501', 'release', lambda data: shutil.copy(data / 'captions/market1501.json', data / 'market1501.json')),
    ('market1501', 'torchreid', lambda data: (data / 'captions/market1501.json').unlink()),
    ('cuhksysu', 'release', lambda data: (data / 'CUHK-SYSU/cropped_images').rename(data / 'CUHK-SYSU/other')),
    ('viper', 'release', lambda data: (data / 'captions/viper.json').rename(data / 'viper.json')),
]


@pytest.mark.parametrize(('name', 'kind', 'change'), BENCHMARK_CHANGES)
def test_a_change_of_a_public_dataset(
    benchmark: Callable[..., dict], tmp_path: Path, file: Path, name: str, kind: str, change: Callable, log: Any
) -> None:
    source = benchmark(name, kind)
    if name == 'market1501' and kind == 'release':
        # Found in the second of the places, until there is one in the first.
        (tmp_path / 'data/captions/market1501.json').rename(tmp_path / 'data/market1501.json')
        (tmp_path / 'data/captions/market1501.json').with_suffix('').mkdir(parents=True)

        def change(data: Path) -> None:
            shutil.copy(data / 'market1501.json', data / 'captions/market1501.json')

    expected = outcome([source], on_missing='empty')
    assert not isinstance(expected, str), expected
    for _ in range(2):
        assert outcome([source], file, on_missing='empty') == expected
    assert taken(log)
    log.clear()
    change(tmp_path / 'data')
    assert outcome([source], file, on_missing='empty') == outcome([source], on_missing='empty')
    assert not taken(log)
    assert 'is out of date' in log.text


def test_a_layout_that_comes_first_appears(
    benchmark: Callable[..., dict], miniatures: ModuleType, tmp_path: Path, file: Path
) -> None:
    first, second = ('torchreid', 'release') if BENCHMARKS['grid'].layouts[0].kind == 'torchreid' else ('release',) * 2
    source = benchmark('grid', second)
    make([source], file)
    miniatures.write_miniature(tmp_path / 'data', 'grid', first)
    assert state(make([source], file)) == state(make([source]))


# ------------------------------------------------------------------ nothing is read unseen

_events: list[str] | None = None


def _audit(event: str, arguments: tuple) -> None:
    if _events is not None and event in ('open', 'os.scandir', 'os.listdir') and isinstance(arguments[0], str | Path):
        _events.append(os.fspath(arguments[0]))


@pytest.fixture(scope='module')
def audit() -> None:
    """Hooks cannot be taken away again: one does, idle between."""
    sys.addaudithook(_audit)


@pytest.fixture
def unseen(audit: None) -> Callable[[dict, Path], set[str]]:
    """What indexing a source opens or lists below a folder without its being noted."""

    def find(source: Mapping[str, Any], root: Path) -> set[str]:
        global _events
        with collecting() as found:
            _events = []
            try:
                load_sources([source])
            finally:
                opened, _events = _events, None
        assert not found.strangers
        noted = {os.path.realpath(path) for path in found.record()['contents']}
        real = {os.path.realpath(path) for path in opened}
        below = {path for path in real if path.startswith(os.path.realpath(root))}
        assert below
        return {path for path in below - noted if os.path.splitext(path)[1] not in IMAGE_SUFFIXES}

    return find


@pytest.mark.parametrize('name', BENCHMARKS)
@pytest.mark.parametrize('kind', ['release', 'torchreid'])
def test_public_datasets_note_what_they_read(
    name: str, kind: str, release_data: Path, torchreid_data: Path, unseen: Callable
) -> None:
    data = {'release': release_data, 'torchreid': torchreid_data}[kind]
    for index in ('auto', 'captions') if name not in ('viper', 'ilids') else ('auto',):
        assert unseen({'type': 'BenchmarkSource', 'name': name, 'data_root': str(data), 'index': index}, data) == set()


def test_text_search_and_islands_note_what_they_read(
    miniatures: ModuleType, tmp_path: Path, sources: list, unseen: Callable
) -> None:
    for name in miniatures.TEXT_DATASETS:
        miniatures.write_text_miniature(tmp_path, name)
        assert unseen({'type': 'BenchmarkSource', 'name': name, 'data_root': str(tmp_path)}, tmp_path) == set()
    assert unseen({'type': 'HeldOutSource', 'source': sources[1]}, tmp_path) == set()


@pytest.mark.parametrize('kind', ['folder', 'csv', 'jsonl', 'csv and captions'])
def test_own_images_note_what_they_read(tmp_path: Path, kind: str, unseen: Callable) -> None:
    assert unseen(own_images(tmp_path, kind), tmp_path) == set()


# ------------------------------------------------------------------ what is not kept


class MyCaptionFileSource(CaptionFileSource):
    """Somebody's own source."""


class ChangingSource(CaptionFileSource):
    """A source whose data change while they are read."""

    index_version = 1

    def load(self) -> SourceIndex:
        index = super().load()
        time.sleep(0.02)
        edit(self.caption_file, 'A man', 'A cat')
        return index


class SpeakingSource(CaptionFileSource):
    """A source that notes what it reads."""

    index_version = 7

    def load(self) -> SourceIndex:
        remark = Path(self.root) / 'remark.txt'
        note(remark)
        warn(f'{self.name}: {remark.read_text() if remark.exists() else "nothing to say"}')
        return super().load()


def test_a_source_of_ones_own_is_indexed_anew(sources: list, file: Path, log: pytest.LogCaptureFixture) -> None:
    own = {**sources[0], 'type': MyCaptionFileSource}
    for source in (own, {'type': 'HeldOutSource', 'source': own}, CaptionFileSource(**_without_type(sources[0]))):
        log.clear()
        make([source], file, subsets='all')
        assert log.text.count('The index is not kept in') == 1
        assert 'nobody knows which files shop (MyCaptionFileSource) reads' in log.text or 'is an object' in log.text
        assert not file.exists()


def _without_type(source: dict) -> dict:
    return {name: value for name, value in source.items() if name != 'type'}


def test_a_source_of_ones_own_that_notes_what_it_reads(
    sources: list, file: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    own = [{**sources[0], 'type': SpeakingSource}]
    for _ in range(2):
        make(own, file)
    assert taken(log)
    assert log.text.count('shop: nothing to say') == 2
    (Path(sources[0]['root']) / 'remark.txt').write_text('something')
    log.clear()
    make(own, file)
    assert not taken(log)
    assert 'shop: something' in log.text
    monkeypatch.setattr(SpeakingSource, 'index_version', 8)
    make(own, file)
    assert not taken(log)


def test_a_dataset_of_ones_own_is_indexed_anew(sources: list, file: Path, log: pytest.LogCaptureFixture) -> None:
    class Mine(CaptionedReIDDataset):
        pass

    make(sources, file)
    assert state(Mine(sources, index_cache=str(file))) == state(make(sources))
    assert 'index_cache is left aside: Mine may read' in log.text
    assert not taken(log)


def test_data_that_change_meanwhile(sources: list, file: Path, log: pytest.LogCaptureFixture) -> None:
    make([{**sources[0], 'type': ChangingSource}], file)
    assert f'{sources[0]["caption_file"]} has changed since indexing began; the next start keeps it' in log.text
    assert not file.exists()


def test_data_that_changed_a_moment_ago(
    sources: list, file: Path, monkeypatch: pytest.MonkeyPatch, log: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(witness, 'SETTLED', 3.0)
    make(sources, file)
    assert 'changed less than 3 s before, or has a time of change in the future; the next start keeps it' in log.text
    assert not file.exists()


def test_a_folder_that_the_images_are_looked_for_in(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    source = own_images(tmp_path, 'folder')
    make([source], Path(source['path']) / 'index.kept', on_missing='empty')
    assert f'the images are looked for in {source["path"]}, which it would change; name a file elsewhere' in log.text
    assert not list(Path(source['path']).glob('index*'))


def test_a_folder_that_links_of_images_lead_to(tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    source = own_images(tmp_path, 'folder')
    store = tmp_path / 'store'
    (Path(source['path']) / 'train').rename(store)
    (Path(source['path']) / 'train').mkdir()
    for path in store.iterdir():
        (Path(source['path']) / 'train' / path.name).symlink_to(path)
    make([source], store / 'index.kept', on_missing='empty')
    assert f'the images are looked for in {store}, which it would change; name a file elsewhere' in log.text
    assert not list(store.glob('index*'))


# ------------------------------------------------------------------ files


def test_a_path_without_file_is_no_cache(sources: list) -> None:
    assert make(sources, '').index_cache is None


@pytest.mark.parametrize('content', [b'', b'x' * 1000, b'CMDG pixels 1\n', b'CMDG index'])
def test_something_else_is_refused_and_left_alone(sources: list, file: Path, content: bytes) -> None:
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r'index\.kept is not an index cache, and is left alone: name another file'):
        make(sources, file)
    assert file.read_bytes() == content
    with pytest.raises(ValueError, match='is not an index cache'):
        make(sources, file.parent)


def test_a_pipe_is_not_waited_for(sources: list, file: Path) -> None:
    def wake(*_: object) -> None:
        raise TimeoutError

    file.parent.mkdir()
    os.mkfifo(file)
    before = signal.signal(signal.SIGALRM, wake)
    signal.alarm(20)
    try:
        with pytest.raises(ValueError, match='is not an index cache'):
            make(sources, file)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_link_to_nothing_and_a_link_to_a_cache(sources: list, file: Path, log: pytest.LogCaptureFixture) -> None:
    link = file.parent / 'link'
    link.parent.mkdir()
    link.symlink_to(file)
    expected = state(make(sources))
    assert state(make(sources, link)) == expected
    assert f'The index is not kept in {link}: [Errno 2] No such file' in log.text
    make(sources, file)
    assert state(make(sources, link)) == expected
    assert taken(log)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_made_anew(
    sources: list, file: Path, log: pytest.LogCaptureFixture, data: st.DataObject
) -> None:
    if not file.exists():
        make(sources, file)
        (file.parent / 'whole').write_bytes(file.read_bytes())
    content = bytearray((file.parent / 'whole').read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(11, len(content) - 1)) :]
    else:
        for place in data.draw(st.lists(st.integers(11, len(content) - 1), min_size=1, max_size=4)):
            content[place] = (content[place] + data.draw(st.integers(1, 63))) % 256
    file.write_bytes(content)
    log.clear()
    assert state(CaptionedReIDDataset(sources, index_cache=str(file))) == state(CaptionedReIDDataset(sources))
    assert 'is damaged' in log.text
    assert file.read_bytes() == (file.parent / 'whole').read_bytes()


class Explosive:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return Path.touch, (self.mark,)


def test_nothing_in_it_runs(sources: list, file: Path, tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    make(sources, file)
    header, index = index_cache._unpack(file.read_bytes())
    charge = pickle.dumps(Explosive(tmp_path / 'exploded'))
    ends = np.append(np.zeros(10, np.int64), len(charge))
    packed = index_cache._pack(header, {**index.arrays, 'rows': np.frombuffer(charge, np.uint8), 'ends': ends})
    file.write_bytes(b''.join(packed))
    make(sources, file).get_data_info(10)
    assert not taken(log)
    assert not (tmp_path / 'exploded').exists()
    np.save(file.with_suffix('.npy'), np.array([Explosive(tmp_path / 'exploded')], dtype=object))
    file.write_bytes(index_cache._MAGIC + file.with_suffix('.npy').read_bytes())
    make(sources, file)
    assert not (tmp_path / 'exploded').exists()


def moved(name: str, by: int) -> Callable[[dict, dict], None]:
    """Put other numbers into an array, and what the rows say along with it."""

    def apply(header: dict, arrays: dict) -> None:
        rows = arrays['rows'].copy()
        starts = arrays['ends'] - np.diff(arrays['ends'], prepend=0)
        place = 8 * ['identities', 'cameras', 'domains'].index(name)
        arrays[name] = arrays[name] + by
        for start, number in zip(starts, arrays[name], strict=True):
            rows[start + place : start + place + 8] = np.frombuffer(np.int64(number).tobytes(), np.uint8)
        arrays['rows'] = rows

    return apply


CRAFTED: dict[str, Callable[[dict, dict], object]] = {
    'no settings': lambda header, arrays: header.pop('settings'),
    'settings that are none': lambda header, arrays: header.update(settings=3),
    'no witness': lambda header, arrays: header.pop('witness'),
    'a witness that is none': lambda header, arrays: header.update(witness={'contents': [1]}),
    'said what cannot be said': lambda header, arrays: header.update(said=[['line', 'level']]),
    'said by nobody': lambda header, arrays: header.update(said=[3]),
    'no facts': lambda header, arrays: header.pop('facts'),
    'facts of fewer images': lambda header, arrays: header['facts']['source_numbers'].pop(),
    'numbers without cameras': lambda header, arrays: header['facts'].update(source_numbers=[[1]] * 11),
    'another count': lambda header, arrays: header['facts']['metainfo'].update(num_images=12),
    'another source': lambda header, arrays: header['facts']['metainfo'].update(sources=['shop', 'yart']),
    'no fingerprints': lambda header, arrays: header['facts']['metainfo'].pop('fingerprints'),
    'one source more': lambda header, arrays: header['facts']['metainfo'].update(
        sources=['shop', 'yard', 'x'], fingerprints={'shop': '', 'yard': '', 'x': ''}
    ),
    'more people than images': moved('identities', 2**40),
    'cameras below 0': moved('cameras', -1),
    'domains from 1': moved('domains', 1),
    'identities of other rows': lambda header, arrays: arrays.update(identities=arrays['identities'][::-1]),
    'one camera less': lambda header, arrays: arrays.update(cameras=arrays['cameras'][1:]),
    'negative ends': lambda header, arrays: arrays.update(ends=-arrays['ends']),
    'no images': lambda header, arrays: arrays.update({name: array[:0] for name, array in arrays.items()}),
    'no UTF-8': lambda header, arrays: arrays.update(rows=np.where(arrays['rows'] == ord('A'), 255, arrays['rows'])),
}


@pytest.mark.parametrize('craft', CRAFTED.values(), ids=list(CRAFTED))
def test_what_has_a_checksum_and_is_wrong_is_made_anew(
    sources: list, file: Path, craft: Callable[[dict, dict], object], log: pytest.LogCaptureFixture
) -> None:
    make(sources, file)
    whole = file.read_bytes()
    header, index = index_cache._unpack(whole)
    craft(header, index.arrays)
    file.write_bytes(b''.join(index_cache._pack(header, index.arrays)))
    assert file.read_bytes() != whole
    check_made_anew(sources, file, log)


LINES = {
    'no end of the header': b'{}',
    'no header': b'\n',
    'no JSON': b'\xff{\n',
    'no object': b'[]\n',
    'nested too deep': b'[' * 100_000 + b'\n',
    'no lengths': b'{}\n',
    'too few': b'{"lengths": [1]}\n',
    'negative lengths': b'{"lengths": [-1, -1, -1, -1, -1]}\n12345678',
    'huge lengths': b'{"lengths": [1e300, 1, 1, 1, 1]}\n',
    'larger than an address': b'{"lengths": [%d, 1, 1, 1, 1]}\n' % 10**40,
    'more than there is': b'{"lengths": [%d, 1, 1, 1, 1]}\n' % 2**50,
}


@pytest.mark.parametrize('line', LINES.values(), ids=list(LINES))
def test_a_header_with_a_checksum_that_is_wrong(
    sources: list, file: Path, line: bytes, log: pytest.LogCaptureFixture
) -> None:
    file.parent.mkdir()
    file.write_bytes(index_cache._MAGIC + index_cache._VERSION + b'%08x\n' % zlib.crc32(line) + line)
    check_made_anew(sources, file, log)


def test_what_follows_the_end(sources: list, file: Path, log: pytest.LogCaptureFixture) -> None:
    make(sources, file)
    content = file.read_bytes()
    begin = content.index(b'{')
    more = content[begin:] + b'more'
    file.write_bytes(content[: begin - 9] + b'%08x\n' % zlib.crc32(more) + more)
    check_made_anew(sources, file, log)


def check_made_anew(sources: list, file: Path, log: pytest.LogCaptureFixture) -> None:
    log.clear()
    assert state(make(sources, file)) == state(make(sources))
    assert f'The index cache {file} is damaged, or of another version of the plugin: indexing anew.' in log.text
    assert not taken(log)
    make(sources, file)
    assert taken(log)


def test_a_name_that_no_file_can_have(sources: list, file: Path, log: pytest.LogCaptureFixture) -> None:
    assert len(make(sources, file.parent / ('x' * 300))) == 11
    assert 'The index cannot be kept in' in log.text


@pytest.mark.parametrize('place', ['occupied/a/index.kept', 'occupied/index.kept'])
def test_where_nothing_can_be_written(sources: list, tmp_path: Path, place: str, log: pytest.LogCaptureFixture) -> None:
    (tmp_path / 'occupied').touch()
    expected = state(make(sources))
    log.clear()
    assert state(make(sources, tmp_path / place)) == expected
    last = log.records[-1]
    assert last.levelname == 'WARNING'
    assert last.getMessage().startswith(f'The index cannot be kept in {tmp_path}/{place} ([Errno ')
    assert last.getMessage().endswith('or set index_cache=None.')


def test_a_disk_that_fills_up(sources: list, file: Path, log: pytest.LogCaptureFixture) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, before[1]))
    try:
        make(sources, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert f'cannot be kept in {file} (' in log.text
    assert os.listdir(file.parent) == ['index.kept.lock']
    make(sources, file)
    make(sources, file)
    assert taken(log)


def test_leftovers_of_a_killed_process_are_cleared(sources: list, file: Path) -> None:
    file.parent.mkdir()
    (file.parent / 'index.kept.123.unfinished').touch()
    make(sources, file)
    assert sorted(os.listdir(file.parent)) == ['index.kept', 'index.kept.lock']


def test_several_processes_at_once(sources: list, file: Path) -> None:
    expected = state(make(sources))

    def work() -> None:
        for _ in range(3):
            assert state(CaptionedReIDDataset(sources, index_cache=str(file))) == expected

    processes = [multiprocessing.get_context('fork').Process(target=work) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    assert sorted(os.listdir(file.parent)) == ['index.kept', 'index.kept.lock']


@pytest.fixture(autouse=True)
def nothing_kept_in_memory() -> Iterator[None]:
    """Caption files that are read say how many of their records repeat others; those in memory do not."""
    from cmdg_plugin.datasets import captions

    captions._read.cache_clear()
    yield
    captions._read.cache_clear()
