import copy
from pathlib import Path

import numpy as np
import pytest
from helpers.damaged_images import DAMAGES, spoil
from mmengine.config import Config
from PIL import Image

from cmdg_plugin.datasets.checking import check_config, draw_config_check


def write_images(root: Path, names: list[str]) -> list[Path]:
    rng = np.random.default_rng(len(names))
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (32, 16, 3), dtype=np.uint8)).save(root / name)
    return [root / name for name in names]


@pytest.fixture
def shop(tmp_path: Path) -> list[Path]:
    """Own data: an index of ten training images, five people, all captioned."""
    paths = write_images(tmp_path / 'shop', [f'{person}_{shot}.png' for person in range(1, 6) for shot in range(2)])
    rows = [f'{path.name},{path.name[0]},1,train,A man.,A hat.,A belt.,Shoes.' for path in paths]
    header = 'path,identity,camera,role,global,upper,middle,lower'
    (tmp_path / 'shop' / 'index.csv').write_text('\n'.join([header, *rows]) + '\n')
    return paths


@pytest.fixture
def street(tmp_path: Path) -> list[Path]:
    """Own data: a folder of two people, to be evaluated on."""
    names = [
        f'{role}/{person:04d}_c{camera}.png' for camera, role in ((1, 'query'), (2, 'gallery')) for person in (7, 8)
    ]
    return write_images(tmp_path / 'street', names)


@pytest.fixture
def config(tmp_path: Path, shop: list[Path], street: list[Path]) -> Config:
    sources = [{'type': 'OwnSource', 'name': 'shop', 'path': str(tmp_path / 'shop' / 'index.csv')}]
    targets = [{'type': 'OwnSource', 'name': 'street', 'path': str(tmp_path / 'street')}]
    evaluation = {'dataset': {'type': 'ReIDEvaluationSet', 'targets': targets}}
    return Config(
        {
            'train_dataloader': {'dataset': {'type': 'CaptionedReIDDataset', 'sources': sources}},
            'val_dataloader': evaluation,
            'test_dataloader': evaluation,
        }
    )


def test_sound_data(config: Config) -> None:
    check = check_config(config)
    assert draw_config_check(check).splitlines() == [
        'train_dataloader: shop: 10 images of 5 identities to train on, 10 with captions',
        'val_dataloader, test_dataloader: street: 2 queries and 2 gallery images, 4 images',
        '14 images opened, captions of 10 images read: no problem found.',
    ]


def test_an_index_that_was_kept_is_not_looked_at(config: Config, tmp_path: Path) -> None:
    kept = tmp_path / 'kept.index'
    config.train_dataloader.dataset.index_cache = str(kept)
    config.train_dataloader.sampler = {'type': 'IdentitySampler', 'num_instances': 2}
    config.train_dataloader.batch_size = 64
    found = check_config(config).problems
    assert len(found) == 1  # too few people for a batch
    assert not kept.exists()
    plain = copy.deepcopy(config)
    del plain.train_dataloader.dataset.index_cache
    assert check_config(plain).problems == found


def test_everything_is_found_at_once(config: Config, tmp_path: Path, shop: list[Path], street: list[Path]) -> None:
    index = tmp_path / 'shop' / 'index.csv'
    lines = index.read_text().splitlines()
    lines[9] = f'{shop[8].name},5,1,train,,,,'
    index.write_text('\n'.join([*lines, 'gone.png,5,1,train,A man.,A hat.,A belt.,Shoes.']))
    unreadable = [*shop[:7], street[3]]
    for path, damage in zip(unreadable, (kind for kind in DAMAGES if kind not in ('gone', 'folder')), strict=False):
        spoil(path, damage)
    spoil(street[3], 'garbage')
    config.train_dataloader.dataset.sources.append(
        {'type': 'OwnSource', 'name': 'yard', 'path': str(tmp_path / 'yard')}
    )
    config.train_dataloader.dataset.sources.append({'type': 'OwnSauce', 'name': 'kitchen'})
    broken = {'type': 'OwnSource', 'name': 'broken', 'path': str(tmp_path / 'broken.json')}
    (tmp_path / 'broken.json').write_text('[{"path": ')
    config.val_dataloader.dataset.targets = [*config.val_dataloader.dataset.targets, broken]
    problems = {problem.what.splitlines()[0]: problem.where for problem in check_config(config).problems}
    names = sorted(what.split(':')[0] for what in problems)
    assert names == ['broken', 'kitchen', 'shop', 'shop', 'shop', 'street', 'yard']
    words = (
        'OwnSauce',
        'yard: nothing at',
        'broken.json',
        '1 of 11 images listed',
        'have no captions',
        '7 of 10',
        '1 of 4',
    )
    by_word = {word: next(where for what, where in problems.items() if word in what) for word in words}
    assert by_word['1 of 11 images listed'] == (str(tmp_path / 'shop' / 'gone.png'),)
    assert by_word['have no captions'] == (str(shop[8]),)
    for word, paths in (('7 of 10', shop[:7]), ('1 of 4', street[3:])):
        assert len(by_word[word]) == len(paths)
        assert all(str(path) in line for path, line in zip(paths, by_word[word], strict=True))


def test_all_faulty_rows_and_the_images_of_the_others(config: Config, tmp_path: Path, shop: list[Path]) -> None:
    index = tmp_path / 'shop' / 'index.csv'
    lines = index.read_text().splitlines()
    lines[2], lines[5] = lines[2].replace(',1,1,', ',anna,1,'), lines[5].replace('train', 'test')
    index.write_text('\n'.join(lines))
    spoil(shop[8], 'garbage')
    rows, images = check_config(config).problems
    assert rows.what == 'shop: 2 faulty rows'
    assert ["line 3, column 'identity'" in rows.where[0], "line 6, column 'role'" in rows.where[1]] == [True, True]
    assert images.what == 'shop: 1 of 8 images cannot be read'


def test_too_few_people_for_a_batch(config: Config) -> None:
    config.train_dataloader.update(batch_size=16, sampler={'type': 'IdentitySampler', 'num_instances': 2})
    (problem,) = check_config(config).problems
    assert problem.what.startswith('train_dataloader: the dataset has 5 identities, but a batch of 16')
    config.train_dataloader.batch_size = 8
    assert check_config(config).problems == []


def test_faults_between_sources(config: Config, tmp_path: Path) -> None:
    (source,) = config.train_dataloader.dataset.sources
    config.train_dataloader.dataset.sources = [source, {**source, 'name': 'twin'}]
    config.val_dataloader.dataset.split = config.test_dataloader.dataset.split = 'first'
    config.val_dataloader.dataset.type = 'NoSuchSet'
    whats = [problem.what for problem in check_config(config).problems]
    assert any('belongs to two sources, shop and twin' in what for what in whats)
    assert any("street: expected split 'released'" in what for what in whats)


def test_what_a_dataset_allows_is_no_problem(config: Config, tmp_path: Path) -> None:
    index = tmp_path / 'shop' / 'index.csv'
    lines = index.read_text().splitlines()
    lines[9] = '5_0.png,5,1,train,,,,'
    index.write_text('\n'.join([*lines, 'gone.png,5,1,train,A man.,A hat.,A belt.,Shoes.']))
    config.train_dataloader.dataset.on_missing = 'empty'
    config.train_dataloader.dataset.sources[0].on_missing_image = 'skip'
    assert check_config(config).problems == []


def test_datasets_inside_others_and_none_at_all(config: Config) -> None:
    inner = config.train_dataloader.dataset
    config.train_dataloader.dataset = {
        'type': 'ConcatDataset',
        'datasets': [{'type': 'RepeatDataset', 'dataset': inner}],
    }
    assert check_config(config).seen[0].startswith('train_dataloader: shop: 10 images')
    (problem,) = check_config(Config({'model': {}})).problems
    assert 'nothing to check' in problem.what
