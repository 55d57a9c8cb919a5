from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmdg_plugin.datasets import ReIDEvaluationSet
from cmdg_plugin.datasets.sources import SourceIndex, SourceRecord, SourceSplit
from cmdg_plugin.registry import DATASETS


class ListedSource:
    def __init__(self, name: str, root: Path | str, splits: Any, **settings: Any) -> None:
        self.name = name
        self.index = SourceIndex(name, str(root), tuple(splits), **settings)

    def load(self) -> SourceIndex:
        return self.index


def make_splits() -> list[SourceSplit]:
    a, b, c, d = (
        SourceRecord(f'{name}.jpg', person, camera=camera)
        for name, person, camera in [('a', 4, 1), ('b', 4, 2), ('c', 6, 1), ('d', 6, 2)]
    )
    return [SourceSplit(train=(a,), query=(c,), gallery=(d, b)), SourceSplit(query=(a, c), gallery=(b, d))]


def test_every_image_once_over_splits(tmp_path: Path) -> None:
    dataset = ReIDEvaluationSet([ListedSource('small', tmp_path, make_splits(), released=1)], split='all')
    (target,) = dataset.targets
    assert [path.rsplit('/', 1)[1] for path in target.paths] == ['c.jpg', 'd.jpg', 'b.jpg', 'a.jpg']
    assert target.identities.tolist() == [6, 6, 4, 4]
    assert target.cameras.tolist() == [1, 2, 2, 1]
    assert [(split.query.tolist(), split.gallery.tolist()) for split in target.splits] == [
        ([0], [1, 2]),
        ([3, 0], [2, 1]),
    ]
    assert len(dataset) == 4


def test_splits_that_number_people_anew(tmp_path: Path) -> None:
    first, second = make_splits()
    anew = SourceSplit(query=(replace(second.query[0], identity=6),), gallery=(replace(second.gallery[0], identity=6),))
    (target,) = ReIDEvaluationSet([ListedSource('small', tmp_path, [first, anew])], split='all').targets
    for split, identities in zip(target.splits, ([6, 6, 4], [6, 6]), strict=True):
        assert target.identities[np.concatenate([split.query, split.gallery])].tolist() == identities


def test_all_splits_have_the_released_one_beside_them(tmp_path: Path) -> None:
    """One of those that are averaged (GRID, iLIDS) or not (VIPeR, PRID); its images are not loaded twice."""
    for settings, count in (({'released': 1}, 2), ({'released': 1, 'num_listed': 1}, 1)):
        source = ListedSource('small', tmp_path, make_splits(), **settings)
        (target,) = ReIDEvaluationSet([source], split='all').targets
        assert len(target.splits) == count
        assert sorted(path.rsplit('/', 1)[1] for path in target.paths) == ['a.jpg', 'b.jpg', 'c.jpg', 'd.jpg']
        names = [
            [target.paths[row].rsplit('/', 1)[1] for row in rows]
            for rows in (target.released.query, target.released.gallery)
        ]
        assert names == [['a.jpg', 'c.jpg'], ['b.jpg', 'd.jpg']]
        (alone,) = ReIDEvaluationSet([source], split='released').targets
        assert alone.released is None
    # Where there is but one split, it is not scored twice.
    (single,) = ReIDEvaluationSet([ListedSource('one', tmp_path, make_splits()[1:])], split='all').targets
    assert single.released is None


@pytest.mark.parametrize(
    ('split', 'query'), [('released', ['a.jpg', 'c.jpg']), (0, ['c.jpg']), (1, ['a.jpg', 'c.jpg'])]
)
def test_one_split(tmp_path: Path, split: int | str, query: list[str]) -> None:
    (target,) = ReIDEvaluationSet([ListedSource('small', tmp_path, make_splits(), released=1)], split=split).targets
    (chosen,) = target.splits
    assert [target.paths[row].rsplit('/', 1)[1] for row in chosen.query] == query


def test_no_such_split(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='small: expected split'):
        ReIDEvaluationSet([ListedSource('small', tmp_path, make_splits())], split='first')
    with pytest.raises(ValueError, match="small: expected split 'released', 'all' or a number"):
        ReIDEvaluationSet([ListedSource('small', tmp_path, make_splits()[:1])], split='first')


def test_a_source_without_gallery(tmp_path: Path) -> None:
    splits = [SourceSplit(train=(SourceRecord('a.jpg', 1),), query=(SourceRecord('b.jpg', 1),))]
    with pytest.raises(ValueError, match='small: no gallery images'):
        ReIDEvaluationSet([ListedSource('small', tmp_path, splits)])


def test_several_targets_follow_each_other(
    market_like: Callable[..., dict[str, str]], load_pipeline: list[dict], tmp_path: Path
) -> None:
    targets = [market_like('shop', [3, 4], images=1), market_like('yard', [3, 4, 5, 6], images=1)]
    dataset = DATASETS.build({'type': 'ReIDEvaluationSet', 'targets': targets, 'pipeline': load_pipeline})
    shop, yard = dataset.metainfo['targets']
    assert (shop.name, yard.name) == ('shop', 'yard')
    assert (shop.offset, yard.offset) == (0, 5)
    assert len(dataset) == 5 + 9
    for target in (shop, yard):
        for row, path in enumerate(target.paths):
            sample = dataset[target.offset + row]['data_samples']
            assert sample.img_path == path
            assert sample.gt_label.item() == target.identities[row]
            assert (sample.camera, sample.image_index) == (target.cameras[row], target.offset + row)
    # Distractors stay in the gallery as person 0, junk is gone.
    assert sorted(np.unique(yard.identities)) == [0, 5, 6]
    assert dataset.metainfo['targets'] is dataset.targets


def test_captions_are_optional(tmp_path: Path) -> None:
    records = (SourceRecord('a.jpg', 1, captions=tuple('guml')), SourceRecord('b.jpg', 1))
    source = ListedSource('small', tmp_path, [SourceSplit(query=records[:1], gallery=records[1:])], has_cameras=False)
    dataset = ReIDEvaluationSet([source], lazy_init=True)
    (target,) = dataset.targets
    assert target.captions == [tuple('umlg'), None]
    assert not target.has_cameras
    assert dataset[1]['captions'] is None


def test_corrupt_images_are_never_replaced(
    market_like: Callable[..., dict[str, str]], load_pipeline: list[dict], tmp_path: Path
) -> None:
    dataset = ReIDEvaluationSet([market_like('shop', [3, 4])], load_pipeline)
    path = dataset.targets[0].paths[2]
    with open(path, 'wb') as file:
        file.write(b'no image')
    with pytest.raises(ValueError, match='cannot be read') as caught:
        dataset[2]
    assert path in str(caught.value)
