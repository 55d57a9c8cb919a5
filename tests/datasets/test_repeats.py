import pytest

from cmdg_plugin.datasets.repeats import Repeats

SAID = (1, 2, 'query', ('a', 'b', 'c', 'd'))


def test_repeats_are_counted():
    repeats = Repeats()
    assert repeats.is_new('a.jpg', 'a.jpg', SAID, 'row 1')
    assert repeats.is_new('b.jpg', 'b.jpg', SAID, 'row 2')
    assert not repeats.is_new('a.jpg', 'a.jpg', tuple(SAID), 'row 3')
    # Another object that says the same.
    assert not repeats.is_new('a.jpg', 'a.jpg', (1, 2, 'query', ('a', 'b', 'c', 'd')), 'row 4')
    assert repeats.count == 2


@pytest.mark.parametrize(
    ('position', 'value', 'message'),
    [
        (0, 3, "row 2, column 'identity': a.jpg has 3 here and 1 in row 1"),
        (1, None, "row 2, column 'camera': a.jpg has None here and 2 in row 1"),
        (2, 'gallery', "row 2, column 'role': a.jpg has 'gallery' here and 'query' in row 1"),
        (3, ('a', 'b', 'x', 'd'), "row 2, column 'captions': a.jpg has 'x' here and 'c' in row 1"),
        (3, None, "row 2, column 'captions': a.jpg has None here and 'a' in row 1"),
    ],
)
def test_contradictions_name_both_rows(position, value, message):
    repeats = Repeats('column')
    repeats.is_new('a.jpg', 'a.jpg', SAID, 'row 1')
    with pytest.raises(ValueError, match=message):
        repeats.is_new('a.jpg', 'a.jpg', (*SAID[:position], value, *SAID[position + 1 :]), 'row 2')
