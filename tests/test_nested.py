import pytest

from cmdg_plugin.nested import flatten, has_prefix, walk


def test_everything_comes_with_its_place_and_what_holds_it_before_it() -> None:
    inner = {'c': 2}
    settings = {'a': [1, inner]}
    assert list(walk(settings)) == [('', settings), ('a', [1, inner]), ('a.0', 1), ('a.1', inner), ('a.1.c', 2)]
    assert list(walk(5, 'here')) == [('here', 5)]


def test_flattened_settings_keep_what_is_empty() -> None:
    assert flatten({'a': {'b': [1, {'c': ()}], 'd': {}}, 'e': None}) == {
        'a.b.0': 1,
        'a.b.1.c': (),
        'a.d': {},
        'e': None,
    }


@pytest.mark.parametrize(
    ('prefix', 'expected'), [('head', True), ('head.', True), ('head.neck', True), ('hea', False), ('head.nec', False)]
)
def test_a_prefix_ends_where_a_word_does(prefix: str, expected: bool) -> None:
    assert has_prefix('head.neck', prefix) is expected
