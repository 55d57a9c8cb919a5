from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
import torch
from helpers.damaged_images import DAMAGES, spoil
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

from cmdg_plugin.datasets import CaptionedReIDDataset
from cmdg_plugin.datasets.sources import SourceIndex, SourceRecord, SourceSplit
from cmdg_plugin.registry import DATASETS


class ListedSource:
    """A source given by its images."""

    def __init__(self, name: str, root: Path | str, records: Any) -> None:
        self.name = name
        self.index = SourceIndex(name, str(root), (SourceSplit(train=tuple(records)),))

    def load(self) -> SourceIndex:
        return self.index


@pytest.fixture
def two_sources(market_like: Callable[..., dict[str, str]]) -> list[dict]:
    return [market_like('shop', [7, 3, 11, 5]), market_like('yard', [3, 4], cameras=3, images=1)]


def test_numbers_run_over_all_sources(two_sources: list[dict]) -> None:
    dataset = CaptionedReIDDataset(two_sources)
    # shop trains on people 7 and 3 (2 cameras x 2 images), yard on 3 (3 cameras x 1 image).
    assert len(dataset) == 8 + 3
    assert dataset.identities.tolist() == [0] * 4 + [1] * 4 + [2] * 3
    assert dataset.cameras.tolist() == [0, 0, 1, 1] * 2 + [2, 3, 4]
    assert dataset.domains.tolist() == [0] * 8 + [1] * 3
    assert (dataset.num_identities, dataset.num_cameras, dataset.num_domains) == (3, 5, 2)


def test_samples_are_named_fields(two_sources: list[dict], tmp_path: Path) -> None:
    dataset = CaptionedReIDDataset(two_sources)
    sample = dataset[8]
    path = 'bounding_box_train/0003_c1s1_000000_00.jpg'
    assert sample['img_path'] == str(tmp_path / 'yard' / path)
    assert (sample['gt_label'], sample['camera'], sample['domain'], sample['image_index']) == (2, 2, 1, 8)
    assert sample['captions'] == (
        f'A red shirt, {path}.',
        f'A brown belt, {path}.',
        f'Blue jeans, {path}.',
        f'A man walks, {path}.',
    )
    assert dataset.captions[8] == sample['captions']
    assert len(dataset.captions) == 11
    assert [dataset[position]['image_index'] for position in range(11)] == list(range(11))


def test_captions_can_be_made_worse(two_sources: list[dict]) -> None:
    plain = CaptionedReIDDataset(two_sources[:1])
    worse = CaptionedReIDDataset(two_sources[:1], swapped_captions=1.0, one_caption=True)
    whole = [sentences[3] for sentences in plain.captions]
    for position, sentences in enumerate(worse.captions):
        assert sentences == (sentences[3],) * 4
        assert plain.identities[whole.index(sentences[3])] != plain.identities[position]
    with pytest.raises(ValueError, match=r'swapped_captions is a share of the images, in \[0, 1\], got 1\.5'):
        CaptionedReIDDataset(two_sources, swapped_captions=1.5)


def test_subsets(two_sources: list[dict]) -> None:
    assert len(CaptionedReIDDataset(two_sources, subsets=['train', 'query'])) == 11 + 4 + 3
    every = CaptionedReIDDataset(two_sources, subsets='all')
    # Query and gallery people join; the distractor and the junk image of each gallery do not.
    assert len(every) == 11 + (4 + 8) + (3 + 3)
    assert every.num_identities == 4 + 2
    with pytest.raises(ValueError, match='expected subsets out of train'):
        CaptionedReIDDataset(two_sources, subsets=['test'])
    with pytest.raises(ValueError, match='shop: no image in val'):
        CaptionedReIDDataset(two_sources, subsets=['val'])


def test_pipeline_packs_an_image_and_its_fields(two_sources: list[dict], load_pipeline: list[dict]) -> None:
    dataset = DATASETS.build({'type': 'CaptionedReIDDataset', 'sources': two_sources, 'pipeline': load_pipeline})
    packed = dataset[9]
    assert packed['inputs'].shape == (3, 32, 16)
    assert packed['inputs'].dtype == torch.uint8
    sample = packed['data_samples']
    assert sample.gt_label.tolist() == [2]
    assert (sample.camera, sample.domain, sample.image_index) == (3, 1, 9)
    assert sample.captions == dataset.captions[9]
    assert sample.img_path.endswith('yard/bounding_box_train/0003_c2s1_000000_00.jpg')


def test_with_pipeline_shares_the_index(two_sources: list[dict], load_pipeline: list[dict]) -> None:
    dataset = CaptionedReIDDataset(two_sources, lazy_init=True)
    other = dataset.with_pipeline(load_pipeline)
    assert other.identities is dataset.identities
    assert 'inputs' in other[0]
    assert 'inputs' not in dataset[0]


def test_images_without_captions(tmp_path: Path) -> None:
    records = [SourceRecord('a.jpg', 1, captions=tuple('guml')), SourceRecord('b.jpg', 1), SourceRecord('c.jpg', 2)]
    sources = [ListedSource('half', tmp_path, records)]
    with pytest.raises(ValueError, match='half: 2 of 3 images have no captions') as caught:
        CaptionedReIDDataset(sources)
    assert str(tmp_path / 'b.jpg') in str(caught.value)
    assert CaptionedReIDDataset(sources, on_missing='skip').identities.tolist() == [0]
    assert CaptionedReIDDataset(sources, on_missing='empty').captions == [tuple('umlg'), ('',) * 4, ('',) * 4]
    bare = ListedSource('bare', tmp_path, [SourceRecord('d.jpg', 1)])
    with pytest.raises(ValueError, match=r'bare: 1 of 1 images have no captions: nothing of it is left\. Give it'):
        CaptionedReIDDataset([bare, *sources], on_missing='skip')
    with pytest.raises(ValueError, match='on_missing'):
        CaptionedReIDDataset(sources, on_missing='guess')


def test_a_file_of_two_sources(tmp_path: Path) -> None:
    records = [SourceRecord('a.jpg', 1, captions=tuple('guml'))]
    with pytest.raises(ValueError, match=r'a.jpg belongs to two sources, one and two'):
        CaptionedReIDDataset([ListedSource('one', tmp_path, records), ListedSource('two', tmp_path, records)])


def test_a_file_of_two_sources_by_two_names(tmp_path: Path) -> None:
    (tmp_path / 'one').mkdir()
    (tmp_path / 'one' / 'a.jpg').touch()
    (tmp_path / 'two').symlink_to('one')
    (tmp_path / 'three').mkdir()
    (tmp_path / 'three' / 'b.jpg').symlink_to('../one/a.jpg')
    one = ListedSource('one', tmp_path / 'one', [SourceRecord('a.jpg', 1, captions=tuple('guml'))])
    for name, image in (('two', 'a.jpg'), ('three', 'b.jpg')):
        other = ListedSource(name, tmp_path / name, [SourceRecord(image, 1, captions=tuple('guml'))])
        with pytest.raises(ValueError, match=rf'{image} belongs to two sources, one and {name}'):
            CaptionedReIDDataset([one, other])


def test_scopes_separate_people(tmp_path: Path) -> None:
    records = [SourceRecord(f'{scope}.jpg', 0, captions=tuple('guml'), scope=scope) for scope in ('train', 'test')]
    assert CaptionedReIDDataset([ListedSource('one', tmp_path, records)]).num_identities == 2


@pytest.mark.parametrize('sources', [[], None, {'type': 'CaptionFileSource'}])
def test_no_sources(sources: dict[str, str] | list | None) -> None:
    with pytest.raises(ValueError, match='at least one source'):
        CaptionedReIDDataset(sources)


def test_sources_of_wrong_kind(two_sources: list[dict]) -> None:
    with pytest.raises(TypeError, match='config of a source'):
        CaptionedReIDDataset(['shop'])
    with pytest.raises(ValueError, match="called 'shop'"):
        CaptionedReIDDataset([two_sources[0], two_sources[0]])
    with pytest.raises(ValueError, match='evaluation'):
        CaptionedReIDDataset(two_sources, split='all')


@pytest.mark.parametrize('damage', DAMAGES)
def test_corrupt_image_is_an_error_or_replaced(
    market_like: Callable[..., dict[str, str]], load_pipeline: list[dict], damage: str
) -> None:
    source = market_like('shop', [3, 4], images=2)
    dataset = CaptionedReIDDataset([source], load_pipeline)
    bad = dataset.get_data_info(1)['img_path']
    spoil(bad, damage)
    with pytest.raises(ValueError, match="on_corrupt='skip'") as caught:
        dataset[1]
    assert bad in str(caught.value)

    forgiving = dataset
    forgiving.on_corrupt = 'skip'
    for _ in range(2):
        sample = forgiving[1]['data_samples']
        assert sample.image_index == 2
        assert sample.captions == forgiving.captions[2]
    assert forgiving.num_corrupt == 1


def test_other_scopes_skip_them_too(market_like: Callable[..., dict[str, str]]) -> None:
    """mmpretrain finds mmcv's loader under that name, whose errors are of many kinds."""
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        pipeline = [{'type': 'LoadImageFromFile', 'imdecode_backend': 'cv2'}]
        dataset = CaptionedReIDDataset([market_like('shop', [3, 4], images=2)], pipeline, on_corrupt='skip')
    for position, damage in ((0, 'empty'), (1, 'float')):
        spoil(dataset.get_data_info(position)['img_path'], damage)
    assert dataset[0]['image_index'] == dataset[1]['image_index'] == 2
    assert dataset.num_corrupt == 2


def test_corrupt_images_are_counted_over_workers(
    market_like: Callable[..., dict[str, str]], load_pipeline: list[dict]
) -> None:
    dataset = CaptionedReIDDataset([market_like('shop', [3, 4], images=2)], load_pipeline, on_corrupt='skip')
    for position in (0, 3):
        spoil(dataset.get_data_info(position)['img_path'], 'garbage')
    view = dataset.with_pipeline(load_pipeline)
    loader = DataLoader(view, batch_size=1, num_workers=2, collate_fn=list)
    found = [batch[0]['data_samples'].image_index for batch in loader]
    assert found == [1, 1, 2, 1]
    assert dataset.num_corrupt == 2


def test_a_person_without_readable_image(market_like: Callable[..., dict[str, str]], load_pipeline: list[dict]) -> None:
    dataset = CaptionedReIDDataset([market_like('shop', [3, 4], images=1)], load_pipeline, on_corrupt='skip')
    for position in range(2):
        spoil(dataset.get_data_info(position)['img_path'], 'garbage')
    with pytest.raises(ValueError, match='none of the images of identity 0 can be read'):
        dataset[0]


def test_faults_of_the_pipeline_are_not_blamed_on_the_image(market_like: Callable[..., dict[str, str]]) -> None:
    def fail(results: dict) -> NoReturn:
        raise ValueError('no such augmentation')

    dataset = CaptionedReIDDataset([market_like('shop', [3, 4])], [fail], on_corrupt='skip')
    with pytest.raises(ValueError, match='no such augmentation'):
        dataset[0]
    assert dataset.num_corrupt == 0


def test_metainfo_fits_a_checkpoint(two_sources: list[dict]) -> None:
    dataset = CaptionedReIDDataset(two_sources)
    info = dataset.metainfo
    assert (info['sources'], info['num_images']) == (['shop', 'yard'], 11)
    assert list(info['fingerprints']) == ['shop', 'yard']
    assert isinstance(dataset.identities, np.ndarray)


def test_fingerprints_tell_other_people_and_other_images(two_sources: list[dict]) -> None:
    def fingerprints(sources: list[dict]) -> list:
        return CaptionedReIDDataset(sources).metainfo['fingerprints']

    first = fingerprints(two_sources)
    assert fingerprints(two_sources) == first
    # In the other order people have other numbers, so their classifier rows are others.
    turned = fingerprints(two_sources[::-1])
    assert turned['shop'] != first['shop']
    assert turned['yard'] != first['yard']
