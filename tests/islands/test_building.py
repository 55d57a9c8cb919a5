import json
import multiprocessing
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from cmdg_plugin.islands import build_islands
from cmdg_plugin.islands.building import MANIFEST
from cmdg_plugin.islands.planning import SIZES, Census, plan_domain


@pytest.fixture(scope='module', autouse=True)
def few_people() -> Iterator[None]:
    """The small benchmark, made smaller: what is written and read again is the same, drawn in a second."""
    census = Census(train=3, test=4, images=(4, 5), distractors=2, junk=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, 'small', replace(SIZES['small'], sources=census, targets=census))
        yield


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One source and one target."""
    return build_islands(tmp_path_factory.mktemp('islands') / 'new', domains=('harbor', 'alpine'))


def _contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob('*')) if path.is_file()}


def test_pictures_and_captions_are_what_was_planned(root: Path) -> None:
    for name in ('harbor', 'alpine'):
        plan = plan_domain(name, 0)
        records = json.loads((root / f'{name}.json').read_text())
        there = sorted(path.relative_to(root / name).as_posix() for path in (root / name).rglob('*.jpg'))
        assert [record['file_path'] for record in records] == [shot.file_path for shot in plan] == there
        for record, shot in zip(records, plan, strict=True):
            assert (record['id'], record['cmid']) == (shot.identity, shot.camera)
            assert len(record['captions']) == 4
            assert all(isinstance(caption, str) and caption for caption in record['captions'])
    with Image.open(root / 'harbor' / plan_domain('harbor', 0)[0].file_path) as image:
        assert image.format == 'JPEG'
        assert image.size == (56, 112)
    assert not list(root.glob('.making-*'))


def test_torchreid_reads_every_domain_as_market1501(root: Path, tmp_path: Path) -> None:
    market = pytest.importorskip('torchreid.reid.data.datasets.image.market1501')
    for name in ('harbor', 'alpine'):
        home = tmp_path / name / 'market1501' / 'Market-1501-v15.09.15'
        shutil.copytree(root / name, home)
        dataset = market.Market1501(root=str(tmp_path / name), verbose=False)
        assert dataset.num_train_pids == 3
        assert len(dataset.query) == 2 * 4
        junk = sum(shot.identity == -1 for shot in plan_domain(name, 0))
        total = len(plan_domain(name, 0))
        assert len(dataset.train) + len(dataset.query) + len(dataset.gallery) == total - junk


def test_a_complete_benchmark_is_left_alone(root: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in root.rglob('*') if path.name != '.lock'}
    build_islands(root, domains=('harbor', 'alpine'))
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_what_is_missing_is_made_again_and_the_same(root: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(root, tmp_path / 'copy')
    before = _contents(copy)
    for shot in plan_domain('harbor', 0)[:3]:
        (copy / 'harbor' / shot.file_path).unlink()
    shutil.rmtree(copy / '.making-of-a-killed-process', ignore_errors=True)
    (copy / '.making-of-a-killed-process').mkdir()
    build_islands(copy, domains=('harbor', 'alpine'))
    assert _contents(copy) == before
    assert not list(copy.glob('.making-*')) or sys.platform == 'win32'


def test_two_processes_at_once_make_one_benchmark(root: Path, tmp_path: Path) -> None:
    forks = multiprocessing.get_context('fork')
    arguments = {'args': (tmp_path / 'both',), 'kwargs': {'domains': ('harbor',)}}
    processes = [forks.Process(target=build_islands, **arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0]
    made, wanted = _contents(tmp_path / 'both'), _contents(root)
    assert made == {path: wanted[path] for path in wanted if 'alpine' not in path}


def test_a_folder_of_another_seed_is_an_error(root: Path) -> None:
    with pytest.raises(ValueError, match=r"'seed': 0\}, but .*'seed': 1\}.*another folder"):
        build_islands(root, seed=1)


def test_a_folder_of_another_size_is_an_error(root: Path) -> None:
    with pytest.raises(ValueError, match=r"'seed': 0\}, but .*'size': 'large'\}.*another folder"):
        build_islands(root, size='large')


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / 'market').mkdir()
    with pytest.raises(FileExistsError, match='not made by Islands'):
        build_islands(tmp_path)
    assert not (tmp_path / MANIFEST).exists()


def test_wrong_names_and_seeds_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no domain 'moon'"):
        build_islands(tmp_path, domains=('moon',))
    with pytest.raises(ValueError, match="'small' has no domain 'arcade'"):
        build_islands(tmp_path, domains=('arcade',))
    with pytest.raises(ValueError, match='-1'):
        build_islands(tmp_path, seed=-1)
    assert not any(tmp_path.iterdir())
