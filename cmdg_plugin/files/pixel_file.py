"""One file with the pixels of many images, there whole or not at all, mapped into memory."""

import io
import json
import os
import stat
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np

from cmdg_plugin.files.writing import open_whole_bytes

# Pixels of all images, an index in NumPy's own format, and this: where the index begins, its checksum, what it is.
_FOOTER = struct.Struct('<QQ16s')
_MAGIC = b'CMDG pixels 2\n'.ljust(16, b'\0')


@dataclass(frozen=True)
class PixelIndex:
    """What a file of pixels holds.

    Attributes:
        settings: How the pixels were made, as JSON keeps it.
        paths: The N image files.
        stamps: Size in bytes and time of change in nanoseconds of each of them, (N, 2).
        starts: Where the pixels of each begin, (N,).
        shapes: Height and width, (N, 2); zeros for an image that is not there.
        originals: Height and width of the image file, (N, 2).
        checksums: CRC-32 of the pixels of each, (N,).
    """

    settings: dict[str, Any]
    paths: list[str]
    stamps: np.ndarray
    starts: np.ndarray
    shapes: np.ndarray
    originals: np.ndarray
    checksums: np.ndarray


def write_pixels(
    path: str | os.PathLike[str],
    settings: dict[str, Any],
    paths: Sequence[str],
    stamps: np.ndarray,
    images: Iterable[tuple[np.ndarray, tuple[int, int]] | None],
) -> None:
    """Write a file of pixels, whole or not at all.

    Args:
        path: The file.
        settings: How the pixels are made.
        paths: The N image files.
        stamps: Size in bytes and time of change of each, (N, 2).
        images: Pixels (H, W, 3) uint8 of each, with height and width of its file; None leaves it out.

    Raises:
        OSError: If it cannot be written.
    """
    starts, checksums = np.zeros((2, len(paths)), np.int64)
    shapes, originals = np.zeros((2, len(paths), 2), np.int32)
    position = 0
    with open_whole_bytes(path) as file:
        for row, image in enumerate(images):
            starts[row] = position
            if image is not None:
                shapes[row], originals[row] = image[0].shape[:2], image[1]
                pixels = np.ascontiguousarray(image[0])
                checksums[row] = zlib.crc32(pixels.data)
                position += file.write(pixels.data)
        index = io.BytesIO()
        arrays = {'stamps': stamps, 'starts': starts, 'shapes': shapes, 'originals': originals, 'checksums': checksums}
        arrays['settings'], arrays['paths'] = _to_bytes(json.dumps(settings)), _to_bytes('\0'.join(paths))
        np.savez(index, allow_pickle=False, **arrays)
        file.write(index.getbuffer())
        file.write(_FOOTER.pack(position, zlib.crc32(index.getbuffer()), _MAGIC))


class PixelFile:
    """A file of pixels, mapped: whoever reads it shares the memory of the system's page cache.

    Args:
        path: The file.

    Attributes:
        index: What it holds.

    Raises:
        ValueError: If it is not a file of pixels, or not a whole one.
        OSError: If it cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(path)
        if not stat.S_ISREG(os.stat(self.path).st_mode):
            # A pipe would never begin.
            raise ValueError(_fault(self.path))
        with open(self.path, 'rb') as file:
            self.index = _read_index(file)
            self._pixels = np.memmap(file, np.uint8, 'r')
        self._footer = _footer(self._pixels)

    def read(self, row: int) -> np.ndarray | None:
        """Copy the pixels (H, W, 3) of an image; None if it is not there.

        Raises:
            ValueError: If they are not those that were written.
        """
        height, width = (int(side) for side in self.index.shapes[row])
        if not height:
            return None
        start = int(self.index.starts[row])
        pixels = np.array(self._pixels[start : start + 3 * height * width])
        if zlib.crc32(pixels.data) != self.index.checksums[row]:
            raise ValueError(
                f'{self.path} is damaged: the pixels of {self.index.paths[row]} are not those that were written. '
                'Delete it to have it made anew.'
            )
        return pixels.reshape(height, width, 3)

    def __getstate__(self) -> dict[str, Any]:
        """Leave the pixels where they are: a process that this is sent to maps the file itself, if it is the same."""
        return {**vars(self), '_pixels': None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _pixels=np.memmap(state['path'], np.uint8, 'r'))
        # Of another file, the index that came along would give other pixels.
        if _footer(self._pixels) != self._footer:
            raise ValueError(f'{self.path} is another file than when this run began: start it again.')


def _fault(path: str) -> str:
    return (
        f'{path} is not a file of decoded images of this version, or not a whole one: name another file, or delete it '
        'if it was an image cache.'
    )


def _footer(pixels: np.ndarray) -> bytes:
    return pixels[-_FOOTER.size :].tobytes()


def _to_bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode('utf-8', 'surrogateescape'), np.uint8)


def _read_index(file: BinaryIO) -> PixelIndex:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _FOOTER.size))
    footer = file.read()
    begin, checksum, magic = _FOOTER.unpack(footer) if len(footer) == _FOOTER.size else (size, 0, b'')
    file.seek(min(begin, size))
    packed = file.read()[: -_FOOTER.size]
    if magic != _MAGIC or zlib.crc32(packed) != checksum:
        raise ValueError(_fault(file.name))
    try:
        index = _unpack(packed)
        _check(index, begin)
    except Exception as error:
        # Its checksum is right, but it may hold anything, and readers of archives and arrays raise all kinds.
        raise ValueError(_fault(file.name)) from error
    return index


def _unpack(packed: bytes) -> PixelIndex:
    with np.load(io.BytesIO(packed), allow_pickle=False) as index:
        # Ours are not compressed: of others, a few bytes could unpack to more than memory holds.
        if sum(entry.file_size for entry in index.zip.infolist()) > len(packed):
            raise ValueError('compressed')
        arrays = {name: index[name] for name in ('stamps', 'starts', 'shapes', 'originals', 'checksums')}
        settings, paths = (index[name].tobytes().decode('utf-8', 'surrogateescape') for name in ('settings', 'paths'))
    return PixelIndex(json.loads(settings), paths.split('\0'), **arrays)


def _check(index: PixelIndex, end: int) -> None:
    """Refuse what would be stumbled over, or read in the wrong place, only when an image is taken."""
    pairs = {'stamps': index.stamps, 'shapes': index.shapes, 'originals': index.originals}
    count = len(index.paths)
    single = [index.starts, index.checksums]
    if any(array.shape != (count, 2) for array in pairs.values()) or any(array.shape != (count,) for array in single):
        raise ValueError('numbers are of other images')
    if not isinstance(index.settings, dict) or any(a.dtype.kind != 'i' for a in (*single, *pairs.values())):
        raise TypeError('no numbers, or no settings')
    # In floating point, products do not overflow.
    ends = index.starts + 3.0 * index.shapes[:, 0] * index.shapes[:, 1]
    if min(index.starts.min(), index.shapes.min(), end - ends.max()) < 0:
        raise ValueError('pixels lie elsewhere')
    if ((index.shapes > 0) != (index.originals > 0)).any() or ((index.shapes == 0).sum(axis=1) == 1).any():
        raise ValueError('images without a size')
