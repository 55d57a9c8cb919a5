"""Rows of a training set as bytes that hold numbers and text alone, so that they may come from a file."""

import struct
from typing import Any

_KEYS = ('gt_label', 'camera', 'domain', 'image_index')
# Those, and how many bytes each text has: the path and four sentences.
_NUMBERS = struct.Struct('<4q5I')
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
