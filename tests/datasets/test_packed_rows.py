import pytest

from cmdg_plugin.datasets.packed_rows import pack_row, unpack_row

TEXTS = ['', 'plain', 'Zoë 人 😀', 'with \0 and \n', 'half \ud83d', 'both \ud83d\ude00 halves', 'no UTF-8 \udcff']


@pytest.mark.parametrize('text', TEXTS)
@pytest.mark.parametrize('number', [0, 1, 2**63 - 1, -(2**63)])
def test_a_row_comes_back_as_it_was(text: str, number: int) -> None:
    row = {
        'img_path': f'/data/{text}',
        'gt_label': number,
        'camera': 0,
        'domain': number,
        'image_index': 7,
        'captions': (text, 'b', text * 300, ''),
    }
    packed = pack_row(row)
    assert unpack_row(packed) == row
    assert list(unpack_row(packed)) == list(row)
    assert isinstance(packed, bytes)
