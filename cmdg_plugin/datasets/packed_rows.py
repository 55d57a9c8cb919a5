"""Rows of a training set as bytes that hold numbers and text alone, so that they may come from a file."""

import struct
from typing import Any

import numpy as np

_KEYS = ('gt_label', 'camera', 'domain', 'image_index')
# Those, and how many bytes each text has: the path and four sentences.
_NUMBERS = struct.Struct('<4q5I')
_AS_ARRAY = np.dtype([('numbers', '<i8', 4), ('lengths', '<u4', 5)])
# As it is: what is half a character, or no UTF-8 in a path, comes back the same.
_CODEC = ('utf-8', 'surrogatepass')


def pack_row(row: dict[str, Any]) -> bytes:
    """Write a row: `img_path`, `gt_label`, `camera`, `domain`, `image_index` and four `captions`."""
    texts = [text.encode(*_CODEC) for text in (row['img_path'], *row['captions'])]
    return _NUMBERS.pack(*(row[key] for key in _KEYS), *map(len, texts)) + b''.join(texts)


def unpack_row(packed: bytes) -> dict[str, Any]:
    """Read a row that `pack_row` wrote."""
    numbers = _NUMBERS.unpack_from(packed)
    texts = []
    end = _NUMBERS.size
    for length in numbers[len(_KEYS) :]:
        texts.append(packed[end : end + length].decode(*_CODEC))
        end += length
    path, *captions = texts
    return {'img_path': path, **dict(zip(_KEYS, numbers, strict=False)), 'captions': tuple(captions)}


def check_rows(rows: np.ndarray, ends: np.ndarray, numbers: np.ndarray) -> None:
    """Refuse bytes of which `unpack_row` could not read every row, or would read other numbers.

    Args:
        rows: Bytes of all rows one after another.
        ends: Where each ends, (N,).
        numbers: Label, camera, domain and position of each, (N, 4).

    Raises:
        ValueError: If they are not N rows with these numbers, a path in each, and text in UTF-8.
    """
    sizes = np.diff(ends, prepend=0)
    # Of positive ends, no difference overflows.
    if not len(ends) or (ends <= 0).any() or (sizes <= _NUMBERS.size).any() or ends[-1] != len(rows):
        raise ValueError('rows do not end where they should')
    starts = ends - sizes
    heads = np.lib.stride_tricks.sliding_window_view(rows, _NUMBERS.size)[starts].view(_AS_ARRAY)[:, 0]
    lengths = heads['lengths'].astype(np.int64)
    if (lengths[:, 0] == 0).any() or (lengths.sum(axis=1) != sizes - _NUMBERS.size).any():
        raise ValueError('texts do not end where they should')
    if not np.array_equal(heads['numbers'], numbers):
        raise ValueError('rows have other numbers')
    # Plain ASCII, as captions mostly are, need not be decoded for that.
    bounds = np.stack([starts, starts + _NUMBERS.size], axis=1).ravel()
    for position in np.flatnonzero(np.maximum.reduceat(rows, bounds)[1::2] > 127):
        unpack_row(rows[starts[position] : ends[position]].tobytes())
