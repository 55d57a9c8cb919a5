from collections.abc import Callable

import pytest
from mmengine.logging import MMLogger
from mmengine.registry import DefaultScope

from cmdg_plugin.datasets.sources import HeldOutSource, SourceIndex, SourceRecord, SourceSplit
from cmdg_plugin.registry import SOURCES


class FixedSource:
    """A source that was indexed by hand."""

    name = 'shop'

    def __init__(
        self, *records: SourceRecord, has_cameras: bool = True, gallery: tuple[SourceRecord, ...] = ()
    ) -> None:
        self.index = SourceIndex(
            'shop', '/data', (SourceSplit(train=records, gallery=gallery),), has_cameras=has_cameras
        )

    def load(self) -> SourceIndex:
        return self.index


def record(path: str, identity: int, camera: int, scope: str = 'train', distractor: bool = False) -> SourceRecord:
    return SourceRecord(path, identity, camera, None, scope, distractor)


def test_every_person_is_asked_for_once_per_camera() -> None:
    source = FixedSource(
        *(record(f'7_{camera}_{shot}', 7, camera) for camera in (0, 1) for shot in range(3)),
        record('8_0_0', 8, 0),
        gallery=(record('9_1_0', 7, 1, 'test'), record('9_1_1', 7, 1, 'test'), record('x', 2, 0, 'test', True)),
    )
    index = HeldOutSource(source).load()
    (split,) = index.splits
    assert (index.name, split.train, split.val) == ('shop', (), ())
    # Person 7 of the test images is somebody else than person 7 of the training images.
    assert [(r.path, r.identity) for r in split.query] == [('7_0_0', 2), ('7_1_0', 2), ('9_1_0', 1)]
    assert [(r.path, r.identity, r.distractor) for r in split.gallery] == [
        ('7_0_1', 2, False),
        ('7_0_2', 2, False),
        ('7_1_1', 2, False),
        ('7_1_2', 2, False),
        ('8_0_0', 3, False),
        ('9_1_1', 1, False),
        ('x', 0, True),
    ]


def test_no_query_across_cameras_is_an_error() -> None:
    with pytest.raises(ValueError, match='shop: its cameras are unknown'):
        HeldOutSource(FixedSource(record('a', 1, 0), has_cameras=False)).load()
    with pytest.raises(ValueError, match='shop: nobody was seen twice'):
        HeldOutSource(FixedSource(record('a', 1, 0), record('b', 1, 0), record('c', 2, 1))).load()


def test_builds_its_source_from_a_config(market_like: Callable[..., dict[str, str]]) -> None:
    held_out = SOURCES.build(dict(type='HeldOutSource', source=market_like('shop', range(2, 6), images=2)))
    plain = SOURCES.build(market_like('shop', range(2, 6), images=2)).load()
    (split,) = held_out.load().splits
    assert {r.path for r in (*split.query, *split.gallery)} == {
        r.path for r in plain.split().gallery if r.distractor
    } | {r.path for r in plain.select(['all'])}


def test_builds_its_source_in_another_scope_without_a_warning(
    market_like: Callable[..., dict[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    MMLogger.get_current_instance().addHandler(caplog.handler)
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        assert HeldOutSource(market_like('shop', range(2, 6), images=2)).name == 'shop'
    assert 'Failed to search registry' not in caplog.text
