from dataclasses import replace

import pytest

from cmdg_plugin.datasets import CaptionRecord
from cmdg_plugin.datasets.repeats import Repeats

FIRST = CaptionRecord('a.jpg', ('a', 'b', 'c', 'd'), 1, 2, 'query', where='row 1')


def test_repeats_are_counted() -> None:
    repeats = Repeats()
    assert repeats.first(FIRST) is FIRST
    other = replace(FIRST, file_path='b.jpg')
    assert repeats.first(other) is other
    assert repeats.first(replace(FIRST, where='row 3')) is FIRST
    # Other captions that say the same.
    assert repeats.first(replace(FIRST, captions=tuple('abcd'), where='row 4')) is FIRST
    # Another split describes the image anew.
    assert repeats.first(replace(FIRST, identity=3, split_index=1)) is not FIRST
    assert repeats.count == 2


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('identity', 3, "row 2, column 'identity': a.jpg has 3 here and 1 in row 1"),
        ('camera', None, "row 2, column 'camera': a.jpg has None here and 2 in row 1"),
        ('split', 'gallery', "row 2, column 'role': a.jpg has 'gallery' here and 'query' in row 1"),
        ('captions', ('a', 'b', 'x', 'd'), "row 2, column 'captions': a.jpg has 'x' here and 'c' in row 1"),
        ('captions', None, "row 2, column 'captions': a.jpg has None here and 'a' in row 1"),
        ('captions', ('a', 'b'), "row 2, column 'captions': a.jpg has 2 sentences here and 4 sentences in row 1"),
    ],
)
def test_contradictions_name_both_rows(
    field: str, value: int | str | tuple[str, str, str, str] | None, message: str
) -> None:
    repeats = Repeats('column')
    repeats.first(FIRST)
    with pytest.raises(ValueError, match=message):
        repeats.first(replace(FIRST, where='row 2', **{field: value}))
