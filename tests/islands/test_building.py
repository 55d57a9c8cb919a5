import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from cmdg_plugin.islands import SOURCE_DOMAINS, TARGET_DOMAINS, build_islands
from cmdg_plugin.islands.building import MANIFEST
from cmdg_plugin.islands.planning import plan_domain


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
    for name, train, query in (('harbor', 48, 40), ('alpine', 16, 120)):
        home = tmp_path / name / 'market1501' / 'Market-1501-v15.09.15'
        shutil.copytree(root / name, home)
        dataset = market.Market1501(root=str(tmp_path / name), verbose=False)
        assert dataset.num_train_pids == train
        assert len(dataset.query) == query
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
    code = 'import sys; from cmdg_plugin import islands; islands.build_islands(sys.argv[1], domains=["harbor"])'
    command = [sys.executable, '-c', code, str(tmp_path / 'both')]
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
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


def test_four_sources_and_two_targets() -> None:
    assert len(SOURCE_DOMAINS) == 4
    assert len(TARGET_DOMAINS) == 2
    assert not set(SOURCE_DOMAINS) & set(TARGET_DOMAINS)
