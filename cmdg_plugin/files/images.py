"""Reading images: one list of suffixes, one way from any file to 8-bit RGB."""

import errno
import os
import struct
import zlib

from PIL import Image, ImageOps

IMAGE_SUFFIXES = frozenset({'.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff'})
"""Endings, in lower case, of the files that count as images in a folder."""

_NOT_AN_IMAGE = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
_MACHINE_AT_FAULT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ENOTCONN)


class UnreadableImage(ValueError):
    """A file that is no image, or only a part of one, or one whose values do not say how bright they are."""


def read_image(path: str | os.PathLike[str]) -> Image.Image:
    """Read a file as an upright 8-bit RGB image.

    Args:
        path: The image file.

    Returns:
        The image, decoded completely.

    Raises:
        UnreadableImage: If the file is truncated or no image; names it.
        OSError: If the machine is to blame: too many open files, no memory, a lost mount.
    """
    try:
        with Image.open(path) as image:
            # Decoding all of it is what finds truncated files.
            image.load()
            return ImageOps.exif_transpose(image).convert('RGB')
    except _NOT_AN_IMAGE as error:
        # Too many open files or a lost mount would make any image look broken.
        if isinstance(error, OSError) and error.errno in _MACHINE_AT_FAULT:
            raise
        raise UnreadableImage(
            f'The image {os.fspath(path)} cannot be read ({type(error).__name__}: {error}).'
        ) from error
