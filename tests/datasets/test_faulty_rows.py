import pytest

from cmdg_plugin.datasets.faulty_rows import FaultyRows, read_all


def test_the_first_fault_is_told_and_all_are_known() -> None:
    with pytest.raises(FaultyRows) as caught:
        read_all(['1', 'x', '2', 'y', 'z'], int, lambda number: f'{number}.jpg')
    assert str(caught.value).splitlines() == [
        "invalid literal for int() with base 10: 'x'",
        '(2 other rows are faulty, too; tools/check_data.py --config CONFIG lists them all)',
    ]
    assert len(caught.value.faults) == 3
    assert caught.value.paths == ('1.jpg', '2.jpg')


def test_sound_rows_are_read() -> None:
    assert read_all(['1', '2'], int) == [1, 2]
    assert str(FaultyRows(['bad'])) == 'bad'
    assert 'another row is faulty' in str(FaultyRows(['bad', 'worse']))
