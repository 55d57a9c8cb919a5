"""Image files that cannot be read, each for a reason of its own."""

import io
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def damaged_exif() -> bytes:
    """A PNG whose pixels are whole and whose eXIf chunk holds no EXIF data."""
    content = encode(Image.new('RGB', (16, 32)), 'PNG')
    return content[:33] + chunk(b'eXIf', b'Exif of nobody') + content[33:]


def bomb() -> bytes:
    """A PNG that says it has 40,000 x 40,000 pixels."""
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', 40_000, 40_000, 8, 2, 0, 0, 0))
    return b'\x89PNG\r\n\x1a\n' + header + chunk(b'IDAT', b'')


def encode(image: Image.Image, kind: str, **settings: Any) -> bytes:
    """The bytes of an image file."""
    with io.BytesIO() as file:
        image.save(file, kind, **settings)
        return file.getvalue()


DAMAGES = ('empty', 'garbage', 'truncated', 'gone', 'exif', 'bomb', 'float', 'pipe', 'folder')


def spoil(path: str | Path, damage: str) -> None:
    """Damage an image file in one of the ways."""
    file = Path(path)
    content = file.read_bytes()
    file.unlink()
    if damage == 'pipe':
        os.mkfifo(file)
    elif damage == 'folder':
        file.mkdir()
    elif damage != 'gone':
        contents = {
            'empty': b'',
            'garbage': b'no image',
            'truncated': content[: len(content) // 2],
            'exif': damaged_exif(),
            'bomb': bomb(),
            'float': encode(Image.fromarray(np.zeros((32, 16), np.float32)), 'TIFF'),
        }
        file.write_bytes(contents[damage])
