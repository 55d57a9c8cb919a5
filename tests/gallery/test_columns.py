import pytest

from cmdg_plugin.gallery.columns import (
    column_name,
    common_kind,
    convert,
    kind_of,
    merge_kinds,
    read_kinds,
    read_time,
)


@pytest.mark.parametrize(
    ('value', 'kind'),
    [
        (3, int),
        (2.5, float),
        ('red', str),
        ('3', int),
        (' -12 ', int),
        ('0', int),
        ('007', str),
        ('2.5', float),
        ('1e3', float),
        ('-.5', float),
        ('nan', str),
        ('inf', str),
        ('1_000', str),
        ('.', str),
        ('', str),
        ('99999999999999999999', float),
        ('1e999', str),
    ],
)
def test_kind_of_a_cell(value: object, kind: type) -> None:
    assert kind_of(value) is kind


@pytest.mark.parametrize('value', [True, None, [1], float('nan'), 2**63, 10**400, 'half \ud800'])
def test_what_no_cell_may_hold(value: object) -> None:
    with pytest.raises(ValueError, match=r'got|64 bits|half a character'):
        kind_of(value)


def test_types_of_columns_meet() -> None:
    assert (common_kind(int, int), common_kind(int, float), common_kind(float, str)) == (int, float, str)
    assert merge_kinds({'a': int, 'b': str}, {'a': float, 'b': int, 'c': int}) == {'a': float, 'b': str, 'c': int}
    with pytest.raises(ValueError, match='The column a holds whole numbers in this gallery, but text'):
        merge_kinds({'a': int}, {'a': str})
    with pytest.raises(ValueError, match='at most 200 further columns'):
        merge_kinds({}, {f'c{number}': int for number in range(201)})


def test_columns_come_back_as_they_were_stored() -> None:
    assert read_kinds([('floor', 'int'), ('shop_2', 'text')]) == {'floor': int, 'shop_2': str}


@pytest.mark.parametrize(
    ('name', 'kind'),
    [('<img src=x>', 'text'), ('a = 1, path', 'text'), ('Floor', 'text'), (b'floor', 'text'), ('floor', 'blob')],
)
def test_columns_that_this_program_does_not_store_are_damage(name: object, kind: object) -> None:
    with pytest.raises(ValueError, match='The gallery is damaged: it has a column'):
        read_kinds([('shop', 'text'), (name, kind)])


def test_values_take_the_type_of_their_column() -> None:
    assert [convert('3', int), convert('3', float), convert(3, str), convert('2.5', float)] == [3, 3.0, '3', 2.5]


def test_names_that_filters_can_hold() -> None:
    assert column_name(' Shirt color ') == 'shirt_color'
    for name in ('1st', 'class', '---', 'größe'):
        with pytest.raises(ValueError, match='cannot be named in filters'):
            column_name(name)


def test_times_sort_as_texts() -> None:
    texts = ['2026-05-01T10:00+02:00', '2026-05-01T08:00:00.5Z', '2026-05-01 08:01', '2026-05-02']
    times = [read_time(text) for text in texts]
    assert times[0] == '2026-05-01T08:00:00'
    assert times == sorted(times)
    for text in ('0001-01-01T00:00+10:00', '9999-12-31T23:00-10:00'):
        with pytest.raises(ValueError, match='expected a time in ISO 8601'):
            read_time(text)
    for wrong in ('May', 5, None, ''):
        with pytest.raises(ValueError, match='ISO 8601'):
            read_time(wrong)
