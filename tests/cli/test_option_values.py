from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cmdg_plugin.cli.option_names import Place
from cmdg_plugin.cli.option_values import read_value


@given(st.text())
def test_where_a_string_stands_the_text_is_the_string(text: str) -> None:
    assert read_value('a', text, Place(['a'], 'before')) == text


@pytest.mark.parametrize(
    ('text', 'before', 'value'),
    [
        ('3', 1, 3),
        ('0.5', 1, 0.5),
        ('3e-4', 6e-4, 3e-4),
        ('true', False, True),
        ('None', 5, None),
        ('None', {'a': 1}, None),
        ('False', {'a': 1}, False),
        ('[a,b]', ['x'], ['a', 'b']),
        ('a, b', ['x'], ['a', 'b']),
        ('[0012, "a,b"]', ['x'], ['0012', 'a,b']),
        ('[1,(2,3)]', [0], [1, (2, 3)]),
        ('(96,48)', (1, 2), (96, 48)),
        ('[]', ['x'], []),
        ('all', ['train'], 'all'),
        ('3', None, 3),
        ('0012', None, '0012'),
        ('1,2', None, [1, 2]),
        ('/x/a, b', None, '/x/a, b'),
        ('[a', None, '[a'),
    ],
)
def test_elsewhere_the_text_is_read_by_what_stands_there(text: str, before: Any, value: Any) -> None:
    assert read_value('model.a', text, Place(['model', 'a'], before)) == value


@pytest.mark.parametrize(
    ('text', 'before', 'message'),
    [
        ('abc', 64, r"^Option m\.a: expected a number \(it is 64\), got 'abc'\. .* m\.a:=VALUE\.$"),
        ('yes', True, r"expected true or false \(it is True\), got 'yes'"),
        ('5', {'type': 'Adam', 'lr': 1}, r'expected the name of one of its settings \(it is a dict of type, lr\)'),
        ('0012', 64, 'expected a number'),
    ],
)
def test_another_kind_of_value_is_refused(text: str, before: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_value('m.a', text, Place(['m', 'a'], before))


def test_a_literal_may_change_the_kind() -> None:
    assert read_value('m.a:', '512', Place(['m', 'a'], 'dynamic')) == 512
    assert read_value('m.a:', "{'b': [None, 'c']}", Place(['m', 'a'], 3)) == {'b': [None, 'c']}
    with pytest.raises(ValueError, match=r'Option m\.a:= takes a Python literal'):
        read_value('m.a:', 'dynamic', Place(['m', 'a'], 3))


@pytest.mark.parametrize('annotation', [str, str | None, 'str | None', 'str | os.PathLike[str] | None'])
def test_an_annotation_tells_where_a_string_belongs(annotation: Any) -> None:
    assert read_value('m.a', '0012', Place(['m', 'a'], None, annotation)) == '0012'
    assert read_value('m.a', 'None', Place(['m', 'a'], None, annotation)) is None


@pytest.mark.parametrize('annotation', [None, int, 'str | int'])
def test_other_annotations_leave_numbers_numbers(annotation: Any) -> None:
    assert read_value('m.a', '12', Place(['m', 'a'], None, annotation)) == 12
