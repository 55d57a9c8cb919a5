"""Reading images: one list of suffixes, one way from any file to 8-bit RGB."""

import base64
import errno
import io
import os
import stat
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

READING_VERSION = 1
"""Goes up with a change of the pixels that `read_image` gives for any file: caches of them are then made anew."""

IMAGE_SUFFIXES = frozenset(
    {'.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.bmp', '.dib', '.gif', '.webp', '.tif', '.tiff'}
    | {'.ppm', '.pgm', '.pbm', '.pnm', '.jp2', '.j2k', '.tga', '.avif'}
)
"""Endings, in lower case, of the files that count as images in a folder."""

# What Pillow raises on damaged files, found by damaging a quarter of a million of them in 27 formats.
_NOT_AN_IMAGE: tuple[type[Exception], ...] = (
    *(OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError),
    *(RuntimeError, TypeError, LookupError, ArithmeticError, AttributeError),
)
_MACHINE_AT_FAULT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ENOTCONN)

# Formats in which Pillow's 16-bit modes, and its mode I from Netpbm and from PNG before version 11, span 0 to 65,535.
_SIXTEEN_BITS = {'I;16': (None, 'PNG', 'TIFF', 'JPEG2000', 'PPM'), 'I': ('PNG', 'PPM')}
# Pillow hands these to Ghostscript or Windows, whatever the file is called.
_PROGRAMS = ('EPS', 'WMF')
_BITS_PER_SAMPLE, _PHOTOMETRIC, _SAMPLE_FORMAT = 258, 262, 339  # TIFF tags
_WHITE_IS_ZERO, _UNSIGNED = 0, 1


class UnreadableImage(ValueError):
    """A file that is not an image, or only a part of one, or one whose values do not say how bright they are."""


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """Read a file as an upright 8-bit RGB image.

    16 bits become 8 by value (divided by 257 and rounded; color channels, which Pillow cuts to 8 bits itself, within
    one level of that), 12-bit TIFFs likewise. Transparency is dropped. Of several frames the first one is taken.

    Args:
        path: The image file.

    Returns:
        The image, decoded completely. Its `format` is the file's if the file holds just these pixels, and None if they
        were turned or converted.

    Raises:
        UnreadableImage: If the file is missing, truncated, not an image, larger than Pillow's limit, or holds values of
            unknown range (32-bit integers, floats, signed numbers); names it.
        OSError: If the machine is to blame: too many open files, no memory, a lost mount.
    """
    with blaming(path):
        check_regular(path)
        # By name, Pillow maps gray TIFFs into memory, and scrambles those that lie on their side.
        with open(path, 'rb') as file:
            return _decode(file, path)


def decode_image(content: bytes, name: str) -> Image.Image:
    """Do what `read_image` does, with the bytes of a file.

    Raises:
        UnreadableImage: As `read_image`.
    """
    return _decode(io.BytesIO(content), name)


def to_rgb(image: Image.Image, name: str | os.PathLike[str] = 'in memory') -> Image.Image:
    """Turn an image upright and into 8-bit RGB by value, see `read_image`.

    Raises:
        UnreadableImage: As `read_image`.
    """
    if not all(image.size):
        raise UnreadableImage(f'The image {os.fspath(name)} has no pixels: its size is {image.width}x{image.height}.')
    with blaming(name):
        image.load()
        upright = ImageOps.exif_transpose(image)
        turned = image.getexif().get(ExifTags.Base.Orientation, 1) != 1
        _check_range(image, name)
        if image.mode[:4] in _SIXTEEN_BITS:
            upright = Image.fromarray(_gray_levels(image, np.asarray(upright)))
        elif image.mode == 'La':  # which Pillow converts to nothing else
            upright = upright.convert('LA')
        result = upright if upright.mode == 'RGB' else upright.convert('RGB')
        result.format = None if turned or image.mode != 'RGB' else image.format
        return result


def to_bytes(values: np.ndarray, top: int = 65535) -> np.ndarray:
    """Bring unsigned whole numbers to 8 bits by value.

    Args:
        values: From 0 to `top`, of any shape.
        top: The value that means white.

    Returns:
        Values from 0 to 255, rounded, uint8.
    """
    return ((values.astype(np.uint32) * 510 + top) // (2 * top)).astype(np.uint8)


def check_regular(path: str | os.PathLike[str]) -> None:
    """Refuse folders, and pipes and devices, which would be waited for without end.

    Raises:
        UnreadableImage: If it is one.
        OSError: If there is nothing of that name.
    """
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        what = 'a folder' if stat.S_ISDIR(mode) else 'a pipe or a device'
        raise UnreadableImage(f'The image {os.fspath(path)} cannot be read: it is {what}, not a file.')


@contextmanager
def blaming(name: str | os.PathLike[str], *more: type[Exception]) -> Iterator[None]:
    """Context in which what decoders raise, and `more`, becomes an `UnreadableImage` that names the image.

    Raises:
        UnreadableImage: In place of what was raised.
        OSError: If the machine is to blame.
    """
    faults = (*_NOT_AN_IMAGE, *more)
    try:
        yield
    except UnreadableImage:
        raise
    except faults as error:
        # Too many open files or a lost mount would make any image look broken.
        if isinstance(error, OSError) and error.errno in _MACHINE_AT_FAULT:
            raise
        raise UnreadableImage(f'The image {os.fspath(name)} cannot be read ({_reason(error)}).') from error


def jpeg_url(image: Image.Image, quality: int) -> str:
    """Encode an image as a data URL of a JPEG; quality from 0 to 95."""
    buffer = io.BytesIO()
    image.save(buffer, 'JPEG', quality=quality)
    return data_url('image/jpeg', buffer.getvalue())


def data_url(kind: str, content: bytes) -> str:
    """Write a file into its own address."""
    return f'data:{kind};base64,{base64.b64encode(content).decode()}'


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return 'not an image in a format that Pillow knows'
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error).rstrip('.')
    return f'{type(error).__name__}: {text}'


def _decode(file: BinaryIO, name: str | os.PathLike[str]) -> Image.Image:
    with blaming(name), Image.open(file) as image:
        if image.format in _PROGRAMS:
            raise UnreadableImage(
                f'The image {os.fspath(name)} cannot be read: it is {image.format}, a program that draws.'
            )
        # Decoding all of it is what finds truncated files.
        return to_rgb(image, name)


def _check_range(image: Image.Image, name: str | os.PathLike[str]) -> None:
    """Refuse values that do not say how bright they are."""
    formats = _SIXTEEN_BITS.get(image.mode[:4])
    number = _tag(image, _SAMPLE_FORMAT, _UNSIGNED)
    known = image.format in formats if formats else image.mode != 'F'
    if not known or number != _UNSIGNED:
        what = 'floating-point' if image.mode == 'F' else 'integer'
        if image.mode != 'F' and number != _UNSIGNED:
            what = 'signed'
        raise UnreadableImage(
            f'The image {os.fspath(name)} holds {what} values ({image.format or "no"} file, mode {image.mode}), whose '
            'range is not known: scale them to 0 to 255 (8 bits) or 0 to 65,535 (16 bits, unsigned) and save them as '
            'PNG or TIFF.'
        )


def _gray_levels(image: Image.Image, values: np.ndarray) -> np.ndarray:
    levels = to_bytes(values, 4095 if _tag(image, _BITS_PER_SAMPLE, 16) == 12 else 65535)
    # Pillow inverts these in 8 bits and fewer, and not in 16.
    return 255 - levels if _tag(image, _PHOTOMETRIC, 1) == _WHITE_IS_ZERO else levels


def _tag(image: Image.Image, tag: int, default: int) -> int:
    """Value of a TIFF tag, of its first sample; the default for other formats."""
    value = getattr(image, 'tag_v2', {}).get(tag, default)
    return value[0] if isinstance(value, tuple) else value
