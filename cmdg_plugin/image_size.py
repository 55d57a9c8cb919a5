"""Sizes of images as options say them."""

import re

_SIZE = re.compile(r'\s*(\d+)\s*(?:x\s*(\d+)\s*)?', re.ASCII)


def parse_size(text: str) -> list[int]:
    """Read height and width in pixels from `256x128`, or from `224` for a square.

    Raises:
        ValueError: If it is neither.
    """
    match = _SIZE.fullmatch(text)
    if match is None or 0 in (size := [int(match[1]), int(match[2] or match[1])]):
        raise ValueError(f'expected a size of images, height x width such as 256x128 or one number, got {text!r}.')
    return size
