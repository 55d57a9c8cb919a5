from collections.abc import Callable

import numpy as np
import pytest

from cmdg_plugin.datasets.packed_rows import check_rows, pack_row, unpack_row

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


NUMBERS = np.array([[3, 1, 0, 0], [2**62, 0, 1, 1], [0, 7, 1, 2]])
Packed = tuple[np.ndarray, np.ndarray]


def pack(*paths: str) -> Packed:
    rows = [
        pack_row(
            {
                'img_path': path,
                **dict(zip(('gt_label', 'camera', 'domain', 'image_index'), map(int, numbers), strict=True)),
                'captions': (path, '', 'plain', f'{path}{path}'),
            }
        )
        for path, numbers in zip(paths, NUMBERS, strict=False)
    ]
    return np.frombuffer(b''.join(rows), np.uint8).copy(), np.cumsum([len(row) for row in rows])


@pytest.mark.parametrize('text', TEXTS[1:])
def test_rows_that_were_packed_pass(text: str) -> None:
    check_rows(*pack(text, 'a', text), NUMBERS)


def change(place: int, by: int) -> Callable[[Packed], Packed]:
    def apply(packed: Packed) -> Packed:
        packed[0][place] = int(packed[0][place]) + by
        return packed

    return apply


# The first row has 52 bytes of numbers (the lengths from 32 on), then 'Zoë', '', 'plain' and 'ZoëZoë' behind 'Zoë'.
WRONG: dict[str, Callable[[Packed], Packed]] = {
    'none': lambda packed: (packed[0][:0], packed[1][:0]),
    'cut': lambda packed: (packed[0][:-1], packed[1]),
    'more': lambda packed: (np.append(packed[0], np.uint8(0)), packed[1]),
    'one end less': lambda packed: (packed[0], packed[1][:-1]),
    'negative end': lambda packed: (packed[0], np.array([packed[1][0], -1, packed[1][2]])),
    'ends that overflow': lambda packed: (packed[0], np.array([2**62, -(2**62), packed[1][2]])),
    'ends beyond': lambda packed: (packed[0], packed[1] + 2**40),
    'ends in another order': lambda packed: (packed[0], packed[1][[1, 0, 2]]),
    'a row without texts': lambda packed: (packed[0], np.array([52, *packed[1][1:]])),
    'a label': change(0, 1),
    'a position': change(24, 1),
    'a longer path': change(32, 1),
    'a huge path': change(35, 255),
    'no path': lambda packed: change(36, 4)(change(32, -4)(packed)),
    'half a character in a path': lambda packed: change(36, 1)(change(32, -1)(packed)),
    'no UTF-8': change(52, 128),
}


@pytest.mark.parametrize('wrong', WRONG.values(), ids=list(WRONG))
def test_other_rows_are_refused(wrong: Callable[[Packed], Packed]) -> None:
    with pytest.raises(ValueError, match=r'.'):
        check_rows(*wrong(pack('Zoë', 'a', '人')), NUMBERS)
