"""The example config for own data trains and evaluates what its docs promise, in each form."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.fresh import call_in_fork
from helpers.tiny_runs import on_tiny_data, set_epochs, train
from mmengine.config import Config
from mmengine.runner import Runner
from PIL import Image

REPOSITORY = Path(__file__).parents[2]
SENTENCES = ('A man walks.', 'A red shirt.', 'A brown belt.', 'Blue jeans.')


def write_site(root: Path, name: str, form: str, *, cameras: bool, captions: bool = True) -> dict:
    """Write the images of six people and list them in one of the forms; returns the config of the source."""
    rng = np.random.default_rng(0)
    rows = []
    for person in range(1, 7):
        color = rng.integers(0, 256, 3)
        for shot in range(4):
            role = 'train' if person <= 4 else 'query' if shot == 0 else 'gallery'
            file = f'{role}/{person:04d}{f"_c{shot % 2 + 1}" if cameras else ""}_{shot}.png'
            path = file if form == 'folder' else f'{person}-{shot}.png'
            (root / name / path).parent.mkdir(parents=True, exist_ok=True)
            pixels = np.tile(color, (24, 16, 1)) + rng.integers(0, 20, (24, 16, 1))
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(root / name / path)
            row = {'path': path, 'identity': person, 'role': role}
            rows.append(row | ({'camera': shot % 2 + 1} if cameras else {}))
    source = {'type': 'OwnSource', 'name': name, 'path': str(root / f'{name}.{form}'), 'root': str(root / name)}
    if form == 'folder':
        records = [{'file_path': row['path'], 'captions': SENTENCES} for row in rows]
        (root / f'{name}.json').write_text(json.dumps(records))
        source = {'type': 'OwnSource', 'name': name, 'path': str(root / name)}
        return source | ({'caption_file': str(root / f'{name}.json')} if captions else {})
    if form == 'json':
        rows = [row | ({'captions': SENTENCES} if captions else {}) for row in rows]
        (root / f'{name}.json').write_text(json.dumps(rows))
        return source
    regions = dict(zip(('global', 'upper', 'middle', 'lower'), SENTENCES, strict=True))
    rows = [row | (regions if captions else {}) for row in rows]
    with (root / f'{name}.csv').open('w', newline='') as table:
        writer = csv.DictWriter(table, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return source


@pytest.fixture
def config(tiny_config: Config, tmp_path: Path) -> Config:
    """The example config, as small as the tiny run: one epoch a stage."""
    config = Config.fromfile(REPOSITORY / 'configs/cmdg/cmdg_toy-vit_own-data.py')
    tiny = tiny_config
    small = {'num_workers': 0, 'dataset': {'pipeline': tiny.val_dataloader.dataset.pipeline}}
    config.merge_from_dict(
        {
            'work_dir': str(tmp_path / 'work'),
            'model.backbone': tiny.model.backbone.to_dict(),
            'train_dataloader': small | {'batch_size': 8, 'sampler': {'num_instances': 2}},
            'val_dataloader': small | {'batch_size': 8},
            'test_dataloader': small | {'batch_size': 8},
            'val_evaluator.num_ranked_queries': 0,
            'custom_hooks': tiny.custom_hooks,
            'visualizer.name': f'own_{tmp_path.name}',
            'experiment_name': f'own_{tmp_path.name}',
            'env_cfg.dist_cfg.backend': 'gloo',
            'train_cfg.val_before_training': False,
        }
    )
    set_epochs(config, 1, 1, 1)
    # Making its text pretty for every checkpoint takes longer than the training.
    return Config(config.to_dict(), format_python_code=False)


@pytest.mark.parametrize(('form', 'cameras'), [('folder', True), ('csv', False), ('json', True)])
def test_trains_and_evaluates(config: Config, tmp_path: Path, form: str, cameras: bool) -> None:
    config.train_dataloader.dataset.sources = [write_site(tmp_path, name, form, cameras=cameras) for name in 'ab']
    # Targets need no captions.
    config.val_dataloader.dataset.targets = [
        write_site(tmp_path, 'street', form, cameras=cameras, captions=False),
        write_site(tmp_path, 'garage', form, cameras=cameras, captions=False),
    ]
    runner = Runner.from_cfg(config)
    runner.train()
    assert runner.epoch == 3
    scores = json.loads((tmp_path / 'work/results.json').read_text())['after']
    for target in ('street', 'garage', 'average'):
        assert 0 < scores[f'{target}/mAP'] <= 100
    (log,) = (tmp_path / 'work').rglob(f'{runner.timestamp}.log')
    note = 'No camera ids: images of the same camera are not left out.'
    # Without cameras a query is compared with all three other images of its person, with cameras with two.
    assert log.read_text().count(f'2 queries, 6 gallery images. {note}') == (0 if cameras else 2)


def test_recipe_strong_trains_where_no_image_has_a_caption(tiny_config: Config, tmp_path: Path) -> None:
    """With the two options that docs/method.md names."""
    config = on_tiny_data(Config.fromfile(REPOSITORY / 'configs/cmdg/cmdg-strong_toy-vit_islands.py'), tiny_config)
    sites = [write_site(tmp_path, name, 'csv', cameras=True, captions=False) for name in 'ab']
    config.train_dataloader.dataset.update(sources=sites, on_missing='empty')
    config.train_dataloader.sampler.type = 'HardIdentitySampler'
    (caption,) = [term for term in config.model.losses.bridging if term.name == 'caption']
    caption.weight = 0
    losses = train(config).message_hub.log_scalars
    assert np.isfinite(losses['train/loss_id_width'].current())
    assert 'train/loss_caption' not in losses


def test_paths_follow_the_data_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('CMDG_DATA_ROOT', '/somewhere')
    config = Config.fromfile(REPOSITORY / 'configs/cmdg/cmdg_toy-vit_own-data.py')
    sources = [*config.train_dataloader.dataset.sources, *config.val_dataloader.dataset.targets]
    assert [source.path for source in sources] == [
        '/somewhere/shop',
        '/somewhere/office.csv',
        '/somewhere/street',
        '/somewhere/garage.json',
    ]
    assert config.test_dataloader.dataset.targets == config.val_dataloader.dataset.targets


def read_copy() -> None:
    config = Config.fromfile('my_cameras.py')
    print(config.train_dataloader.dataset.sources[0].name, len(config.train_cfg.stages))


@pytest.mark.parametrize('installed', ['clone', 'wheel'])
def test_a_copy_anywhere_finds_its_base(installed: str, tmp_path: Path) -> None:
    """Without the repository in sight: the package alone says where its configs are."""
    site = REPOSITORY
    if installed == 'wheel':  # holds as files what a clone holds as links
        site = tmp_path / 'site'
        shutil.copytree(REPOSITORY / 'cmdg_plugin', site / 'cmdg_plugin', ignore=shutil.ignore_patterns('__pycache__'))
    elsewhere = tmp_path / 'my people'
    elsewhere.mkdir()
    shutil.copy(REPOSITORY / 'configs/cmdg/cmdg_toy-vit_own-data.py', elsewhere / 'my_cameras.py')
    assert call_in_fork(read_copy, cwd=elsewhere, env={**os.environ, 'PYTHONPATH': str(site)}).split() == ['shop', '3']
