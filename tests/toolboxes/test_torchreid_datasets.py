import shutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torchreid.reid as torchreid
from helpers.tiny_runs import caption_source
from PIL import Image

from cmdg_plugin.datasets import CaptionedReIDDataset, ReIDEvaluationSet
from cmdg_plugin.files.images import UnreadableImage
from cmdg_plugin.regions import REGIONS
from cmdg_plugin.toolboxes import register_benchmarks, register_islands, register_source
from cmdg_plugin.toolboxes.torchreid_datasets import _registered

SOURCE = caption_source('alpha')


@pytest.fixture
def register(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Register under a name of this test's own: torchreid never forgets one."""

    def do(name: str, source: dict = SOURCE, **settings: Any) -> str:
        register_source(name, source, **settings)
        return name

    return do


def test_images_people_and_cameras_are_ours(register: Callable[..., str], tiny_data: Path) -> None:
    dataset = torchreid.data.datasets.init_image_dataset(register('tiny_alpha'), root=str(tiny_data), verbose=False)
    filled = caption_source('alpha', tiny_data)
    ours = CaptionedReIDDataset([filled])
    infos = [ours.get_data_info(row) for row in range(len(ours))]
    assert [item[:3] for item in dataset.train] == [(i['img_path'], i['gt_label'], i['camera']) for i in infos]
    assert dataset.num_train_pids == ours.num_identities == 6
    target = ReIDEvaluationSet([filled]).targets[0]
    for role in ('query', 'gallery'):
        rows = getattr(target.splits[0], role)
        expected = [(target.paths[row], target.identities[row], target.cameras[row]) for row in rows]
        assert [item[:3] for item in getattr(dataset, role)] == expected
    path = infos[0]['img_path']
    assert dataset.captions[path] == infos[0]['captions']
    assert dataset.captions[path][REGIONS.index('lower')].startswith('The lower third')
    assert len(dataset.captions) == len(ours) + len(target.paths)


def test_all_images_combined_and_several_sources(register: Callable[..., str], tiny_data: Path) -> None:
    manager = torchreid.data.ImageDataManager(
        root=str(tiny_data),
        sources=[register('combined_alpha'), register('combined_beta', caption_source('beta'))],
        targets='combined_alpha',
        height=24,
        width=16,
        combineall=True,
        workers=0,
        use_gpu=False,
        train_sampler='RandomIdentitySampler',
        batch_size_train=8,
    )
    # Six people to train on and six to be tested on, in each domain.
    assert manager.num_train_pids == 24
    assert next(iter(manager.train_loader))['img'].shape == (8, 3, 24, 16)


def test_torchreid_reads_images_our_way(register: Callable[..., str], tiny_data: Path, tmp_path: Path) -> None:
    """Its own reader clips 16 bits, and hangs on damaged files."""
    for domain in ('alpha', 'beta'):
        shutil.copytree(tiny_data / domain, tmp_path / domain)
        shutil.copy(tiny_data / f'{domain}.json', tmp_path)
    names = register('deep_alpha'), register('deep_beta', caption_source('beta'))
    both = sum(torchreid.data.datasets.init_image_dataset(name, root=str(tmp_path), verbose=False) for name in names)
    both.transform = None
    levels = np.arange(24 * 16, dtype=np.uint16).reshape(24, 16) % 256
    path = Path(both.train[-1][0])
    Image.fromarray(levels * 257).save(path, 'PNG')
    assert np.array_equal(np.asarray(both[len(both) - 1]['img'])[..., 0], levels)
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(UnreadableImage, match=path.name):
        both[len(both) - 1]


def test_what_training_refuses_is_refused(register: Callable[..., str], tmp_path: Path) -> None:
    for name in ('train/0012_c1.png', 'gallery/0013_c2.png'):
        (tmp_path / name).parent.mkdir()
        Image.new('RGB', (8, 16)).save(tmp_path / name)
    (tmp_path / 'query').mkdir()
    (tmp_path / 'query' / '0012_c1.png').symlink_to('../train/0012_c1.png')
    name = register('tiny_linked', {'type': 'OwnSource', 'name': 'linked', 'path': '{root}'})
    with pytest.raises(ValueError, match='is one file, but is trained on and tested on'):
        torchreid.data.datasets.init_image_dataset(name, root=str(tmp_path), verbose=False)


def test_registering_twice_changes_nothing(register: Callable[..., str]) -> None:
    register('twice')
    register('twice')
    with pytest.raises(ValueError, match='already exists'):
        register('twice', {**SOURCE, 'name': 'other'})
    with pytest.raises(ValueError, match='already exists'):
        register('market1501')


def test_training_only_data_can_be_loaded(miniatures: ModuleType, tmp_path: Path) -> None:
    register_benchmarks()
    miniatures.write_miniature(tmp_path, 'cuhksysu')
    dataset = torchreid.data.datasets.init_image_dataset(
        'cmdg_cuhksysu', root=str(tmp_path), verbose=False, combineall=True
    )
    assert (dataset.num_train_pids, len(dataset.train)) == (4, 16)


def test_distractors_are_no_people(miniatures: ModuleType, tmp_path: Path) -> None:
    register_benchmarks()
    miniatures.write_miniature(tmp_path, 'market1501')
    dataset = torchreid.data.datasets.init_image_dataset('cmdg_market1501', root=str(tmp_path), verbose=False)
    assert sorted({item[1] for item in dataset.gallery}) == [0, 1, 4, 6]
    combined = torchreid.data.datasets.init_image_dataset(
        'cmdg_market1501', root=str(tmp_path), verbose=False, combineall=True
    )
    assert combined.num_train_pids == 4 + 3


def test_domains_of_islands_are_known() -> None:
    register_islands()
    assert _registered['metro'][0] == {'type': 'IslandsSource', 'domain': 'metro', 'root': '{root}/islands'}
    assert {'harbor', 'market', 'campus', 'station', 'metro', 'alpine'} <= _registered.keys()
