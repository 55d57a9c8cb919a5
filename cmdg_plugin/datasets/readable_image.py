"""Tell an image that cannot be read from a pipeline that cannot handle it."""

import struct
import zlib

import cv2
from PIL import Image

READ_ERRORS: tuple[type[Exception], ...] = (
    AssertionError,  # mmcv's loader, when OpenCV returns nothing
    OSError,
    SyntaxError,  # Pillow on broken PNG chunks
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    cv2.error,
)
"""What loading transforms raise on a file that is missing, truncated or no image."""


def is_readable_image(path: str) -> bool:
    """Decode a file completely and say whether that worked."""
    try:
        with Image.open(path) as image:
            image.load()
    except READ_ERRORS:
        return False
    return True
