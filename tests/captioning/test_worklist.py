from collections.abc import Callable
from pathlib import Path

import pytest

from cmdg_plugin.captioning.shards import Shard
from cmdg_plugin.captioning.worklist import WorkList, list_images
from cmdg_plugin.datasets import CaptionRecord

ITEMS = [CaptionRecord(f'{name}.jpg', None, number, 1, 'train') for number, name in enumerate('cab')]
REGIONS = ('global', 'upper', 'middle', 'lower')


def test_missing_comes_in_the_order_of_the_images() -> None:
    with WorkList() as worklist:
        assert worklist.add(ITEMS) == 0
        assert len(worklist) == 3
        assert worklist.count_missing() == 12
        assert list(worklist.missing()) == [(item, region) for item in ITEMS for region in REGIONS]
        assert worklist.set_answer({'path': 'a.jpg', 'region': 'upper', 'caption': 'A red coat.'})
        assert worklist.set_answer({'path': 'c.jpg', 'region': 'global', 'failure': 'é', 'problems': ['empty']})
        assert not worklist.set_answer({'path': 'unknown.jpg', 'region': 'upper', 'caption': 'A red coat.'})
        assert worklist.count_missing() == 10
        assert worklist.get_answer('c.jpg', 'global') == {'failure': 'é', 'problems': ['empty']}
        assert worklist.get_answer('c.jpg', 'upper') is None
        assert worklist.first_missing(2) == ['c.jpg (upper)', 'c.jpg (middle)']


def test_states_come_by_path() -> None:
    with WorkList() as worklist:
        worklist.add(ITEMS)
        worklist.set_answer({'path': 'a.jpg', 'region': 'upper', 'caption': 'A red coat.'})
        states = list(worklist.states())
        assert [state.item for state in states] == sorted(ITEMS, key=lambda item: item.file_path)
        assert states[0].answers == (None, {'caption': 'A red coat.'}, None, None)


def test_answers_may_come_while_missing_ones_are_read() -> None:
    with WorkList() as worklist:
        items = [CaptionRecord(f'{number:05d}.jpg') for number in range(2500)]
        worklist.add(items)
        seen = []
        for item, region in worklist.missing():
            worklist.set_answer({'path': item.file_path, 'region': region, 'caption': 'A red coat.'})
            seen.append((item.file_path, region))
        assert seen == [(item.file_path, region) for item in items for region in REGIONS]
        assert worklist.count_missing() == 0


def test_images_named_twice() -> None:
    with WorkList() as worklist:
        assert worklist.add([*ITEMS, ITEMS[0]]) == 1
        assert len(worklist) == 3
        with pytest.raises(
            ValueError, match=r'c\.jpg is named twice, once as identity 0, camera 1 and once as identity 9'
        ):
            worklist.add([CaptionRecord('c.jpg', None, 9, 1)])


def test_list_images_of_shards(make_images: Callable[..., Path]) -> None:
    root = make_images(40)
    parts = []
    for index in (1, 2, 3):
        with WorkList() as worklist:
            list_images(worklist, root, Shard(index, 3))
            parts.append({state.item.file_path for state in worklist.states()})
    with WorkList() as worklist:
        list_images(worklist, root, None)
        everything = [state.item.file_path for state in worklist.states()]
    assert sorted(path for part in parts for path in part) == everything
    assert all(len(part) > 5 for part in parts)


def test_no_images(tmp_path: Path) -> None:
    with WorkList() as worklist, pytest.raises(ValueError, match='no images to caption'):
        list_images(worklist, tmp_path, None)


def test_no_room_for_the_list_is_said_in_words() -> None:
    def fill() -> None:
        with WorkList() as worklist:
            # SQLite says the same when the disk is full.
            worklist._database.execute('PRAGMA max_page_count = 5')
            worklist.add(CaptionRecord(f'{number}.jpg') for number in range(10_000))

    with pytest.raises(OSError, match=r'disk is full.*SQLITE_TMPDIR'):
        fill()


def test_the_largest_values() -> None:
    with WorkList() as worklist:
        item = CaptionRecord('a\0b.jpg', None, 2**63 - 1, -(2**63))
        worklist.add([item])
        assert next(worklist.states()).item == item
