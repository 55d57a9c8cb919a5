"""Options of the protocol configs: given once, they reach every place that depends on them."""

import re
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from cmdg_plugin.cli.command_line import read_config

CONFIGS = Path(__file__).parents[2] / 'configs'


def read(protocol: str, **options: Any) -> Config:
    return read_config(str(CONFIGS / f'cmdg/cmdg_vit-base-p16_{protocol}.py'), options)


@pytest.mark.parametrize('protocol', ['p1', 'p2_cuhk03', 'p3_cuhk03'])
def test_sizes_workers_and_data_root(protocol: str) -> None:
    config = read(protocol, data_root='/d', image_size='256x128', num_workers=3)
    assert config.model.backbone.image_size == [256, 128]
    loaders = [config.train_dataloader, config.val_dataloader, config.test_dataloader]
    pipelines = [loader.dataset.pipeline for loader in loaders] + [hook.pipeline for hook in config.custom_hooks]
    assert [pipeline[1].scale for pipeline in pipelines] == [(128, 256)] * 6
    assert pipelines[0][4].size == (256, 128)
    assert [user.num_workers for user in (*loaders, *config.custom_hooks)] == [3] * 6
    sources = [*loaders[0].dataset.sources, *loaders[1].dataset.targets, *loaders[2].dataset.targets]
    assert {source.data_root for source in sources} == {'/d'}
    # Nothing of the defaults is left.
    assert not re.search(r'\b(224|8)\b', f'{config.model.backbone} {loaders} {config.custom_hooks}')


def versions(config: Config, name: str) -> list[str]:
    """Versions of a dataset wherever a config trains or evaluates on it."""
    loaders = (config.train_dataloader, config.val_dataloader, config.test_dataloader)
    sources = [source for loader in loaders for source in loader.dataset.get('sources') or loader.dataset.targets]
    return [source.version for source in sources if source.name == name]


@pytest.mark.parametrize(('protocol', 'places'), [('p2_market1501', 1), ('p3_cuhk03', 1), ('p2_msmt17', 2)])
def test_version_of_msmt17(protocol: str, places: int) -> None:
    assert versions(read(protocol, msmt17_version='MSMT17_V2'), 'msmt17') == ['MSMT17_V2'] * places


@pytest.mark.parametrize(('protocol', 'places'), [('p1', 1), ('p3_market1501', 1), ('p2_cuhk03', 2)])
def test_boxes_of_cuhk03(protocol: str, places: int) -> None:
    assert versions(read(protocol, cuhk03_version='detected'), 'cuhk03') == ['detected'] * places


def test_the_split_reaches_both_loaders() -> None:
    config = read('p1', split='released')
    assert config.val_dataloader.dataset.split == config.test_dataloader.dataset.split == 'released'


def test_each_protocol_keeps_an_index_of_its_own() -> None:
    names = [path.stem for path in (CONFIGS / '_base_/protocols').glob('p[123]*.py')]
    files = {name: read(name).train_dataloader.dataset.index_cache for name in names}
    assert files == {name: f'work_dirs/index/{name}.index' for name in names}
    assert len(files) == 7
