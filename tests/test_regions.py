import pytest

from cmdg_plugin.regions import to_region_order


def test_captions_move_from_file_order_to_region_order() -> None:
    assert to_region_order(['g', 'u', 'm', 'l']) == ('u', 'm', 'l', 'g')


def test_three_captions_are_refused() -> None:
    with pytest.raises(ValueError, match='zip'):
        to_region_order(['g', 'u', 'm'])
