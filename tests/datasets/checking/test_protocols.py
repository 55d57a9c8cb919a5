import dataclasses
from pathlib import Path

import pytest
from mmengine.config import Config

from cmdg_plugin.datasets.checking import PROTOCOLS, check_datasets, find_obstacles
from cmdg_plugin.datasets.checking.dataset_check import DEFAULT_VERSIONS, DatasetCheck
from cmdg_plugin.datasets.sources import SourceIndex, SourceSplit
from cmdg_plugin.datasets.sources.index import check_subsets


@pytest.fixture(scope='module')
def checks(release_data: Path) -> dict[str, DatasetCheck]:
    return {check.name: check for check in check_datasets(release_data)}


def test_what_they_consist_of() -> None:
    assert set(PROTOCOLS) == {'p1', *(f'p{n}_{name}' for n in (2, 3) for name in ('market1501', 'msmt17', 'cuhk03'))}
    assert PROTOCOLS['p1'].sources == ('market1501', 'cuhksysu', 'cuhk02', 'cuhk03')
    assert PROTOCOLS['p1'].targets == ('prid', 'grid', 'viper', 'ilids')
    assert PROTOCOLS['p2_msmt17'].sources == PROTOCOLS['p3_msmt17'].sources == ('market1501', 'cuhksysu', 'cuhk03')
    assert PROTOCOLS['p2_cuhk03'].sources == ('market1501', 'msmt17', 'cuhksysu')
    assert PROTOCOLS['p2_cuhk03'].targets == ('cuhk03',)
    assert [PROTOCOLS[name].subsets for name in ('p1', 'p2_msmt17', 'p3_msmt17')] == ['all', 'train', 'all']


@pytest.mark.parametrize('name', list(PROTOCOLS))
def test_the_configs_say_the_same(name: str) -> None:
    config = Config.fromfile(Path(__file__).parents[3] / f'configs/_base_/protocols/{name}.py')
    train, test = config.train_dataloader.dataset, config.test_dataloader.dataset
    assert {source.name for source in train.sources} == set(PROTOCOLS[name].sources)
    assert check_subsets(train.subsets) == check_subsets(PROTOCOLS[name].subsets)
    assert tuple(target.name for target in test.targets) == PROTOCOLS[name].targets
    versions = {source.name: source.version for source in [*train.sources, *test.targets] if 'version' in source}
    assert versions.items() <= DEFAULT_VERSIONS.items()


@pytest.mark.parametrize('name', list(PROTOCOLS))
def test_complete_data_are_ready(checks: dict[str, DatasetCheck], name: str) -> None:
    """Although none of the miniatures has the expected numbers."""
    assert find_obstacles(PROTOCOLS[name], checks) == []


def without_captions(check: DatasetCheck, role: str) -> DatasetCheck:
    split = check.index.split()
    bare = tuple(dataclasses.replace(record, captions=None) for record in getattr(split, role))
    index = dataclasses.replace(check.index, splits=(dataclasses.replace(split, **{role: bare}),))
    return dataclasses.replace(check, index=index)


def test_captions_count_where_images_are_trained_on(checks: dict[str, DatasetCheck]) -> None:
    altered = checks | {'cuhk03': without_captions(checks['cuhk03'], 'query')}
    assert find_obstacles(PROTOCOLS['p2_msmt17'], altered) == []
    assert find_obstacles(PROTOCOLS['p2_cuhk03'], altered) == []
    obstacle = 'cuhk03: 6 of 28 images to train on have no captions'
    assert find_obstacles(PROTOCOLS['p3_msmt17'], altered) == [obstacle]
    assert find_obstacles(PROTOCOLS['p1'], altered) == [obstacle]


def test_faults_and_empty_roles(checks: dict[str, DatasetCheck]) -> None:
    fault = 'prid: 1 of 949 images do not exist. Complete it. Expected layout:\nprid_2011/'
    empty = SourceIndex('grid', '.', (SourceSplit(query=checks['grid'].index.split().query),))
    altered = checks | {
        'prid': dataclasses.replace(checks['prid'], fault=fault),
        'grid': dataclasses.replace(checks['grid'], index=empty),
        'cuhk02': dataclasses.replace(checks['cuhk02'], index=SourceIndex('cuhk02', '.', (SourceSplit(),))),
        'cuhksysu': dataclasses.replace(checks['cuhksysu'], index=None, fault='not found'),
    }
    assert find_obstacles(PROTOCOLS['p1'], altered) == [
        'cuhksysu: not found',
        'cuhk02: no images to train on',
        'prid: 1 of 949 images do not exist. Complete it.',
        'grid: no gallery images',
    ]
    assert find_obstacles(PROTOCOLS['p2_cuhk03'], altered) == ['cuhksysu: not found']
