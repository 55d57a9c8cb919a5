import pytest

from cmdg_plugin.image_size import parse_size


@pytest.mark.parametrize(('text', 'size'), [('256x128', [256, 128]), ('224', [224, 224]), (' 96 x 48 ', [96, 48])])
def test_height_and_width(text: str, size: list[int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    'text', ['', 'x', '256x', 'x128', '256x128x3', '-5', '1e2', '256*128', '224.0', '0', '96x0', '\u0663']
)
def test_what_is_no_size_is_shown(text: str) -> None:
    with pytest.raises(ValueError, match='such as 256x128') as caught:
        parse_size(text)
    assert repr(text) in str(caught.value)
