from collections.abc import Callable

import pytest
import torch
from mmengine.runner import Runner

from cmdg_plugin.datasets import SampleIndices, collate_sample_indices
from cmdg_plugin.registry import DATASETS, FUNCTIONS


@pytest.fixture
def config(market_like: Callable[..., dict[str, str]]) -> dict:
    return {'type': 'CaptionedReIDDataset', 'sources': [market_like('shop', [3, 4, 5, 6])]}


def test_batches_are_positions(config: dict) -> None:
    indices = DATASETS.build({'type': 'cmdg_plugin.SampleIndices', 'dataset': config})
    assert len(indices) == 8
    assert indices[5] == 5
    assert indices.identities.tolist() == [0] * 4 + [1] * 4
    assert collate_sample_indices(indices.__getitems__([3, 1]))['image_index'].tolist() == [3, 1]
    assert collate_sample_indices([3, 1])['image_index'].dtype == torch.long


def test_through_mmengines_dataloader(config: dict) -> None:
    loader = Runner.build_dataloader(
        {
            'batch_size': 4,
            'num_workers': 0,
            'dataset': {'type': 'cmdg_plugin.SampleIndices', 'dataset': config},
            'sampler': {'type': 'DefaultSampler', 'shuffle': True},
            'collate_fn': {'type': 'cmdg_plugin.collate_sample_indices'},
        },
        seed=0,
    )
    found = torch.cat([batch['image_index'] for batch in loader])
    assert sorted(found.tolist()) == list(range(8))


def test_wraps_a_dataset_without_copying_it(config: dict) -> None:
    dataset = DATASETS.build(config)
    assert SampleIndices(dataset).dataset is dataset
    assert SampleIndices(dataset).metainfo == dataset.metainfo
    assert FUNCTIONS.get('collate_sample_indices') is collate_sample_indices
