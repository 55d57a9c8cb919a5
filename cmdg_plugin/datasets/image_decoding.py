"""Decodes many image files, and tells beforehand how large they will be."""

import os
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing.pool import ThreadPool
from typing import Any

import numpy as np
from mmengine.dataset import Compose
from PIL import Image

from cmdg_plugin.files.images import UnreadableImage, check_regular
from cmdg_plugin.progress import track
from cmdg_plugin.saying import warn

_CHUNK = 256
_THREADS = min(8, os.cpu_count() or 1)
_NOTE_BYTES = 400  # an image's path, stamps and sizes, amply


def decode_images(paths: Sequence[str], steps: Sequence[Any]) -> Iterator[tuple[np.ndarray, tuple[int, int]] | None]:
    """Read image files through the first steps of a pipeline, on several threads.

    Args:
        paths: The N files.
        steps: Transforms without randomness, the first of which reads.

    Yields:
        Pixels (H, W, 3) of each with height and width of its file, in order; None for one that cannot be read.
    """
    unreadable = 0
    with ThreadPool(_THREADS) as pool:
        for chunk in _chunks(paths, 'Decoding images once'):
            for image in pool.map(partial(_read, steps), chunk):
                unreadable += image is None
                yield image
    if unreadable:
        warn(f'{unreadable:,} of {len(paths):,} images cannot be read and are not in the image cache.')


def _read(steps: Sequence[Any], path: str) -> tuple[np.ndarray, tuple[int, int]] | None:
    try:
        results = Compose(steps)({'img_path': path})
    except UnreadableImage:
        return None
    return None if results is None else (results['img'], results['ori_shape'])


def bytes_needed(paths: Sequence[str], steps: Sequence[Any]) -> int:
    """Bytes that the pixels of image files take at most, with what is noted about them."""
    if len(steps) > 1:
        width, height = steps[1].scale
        return len(paths) * (3 * width * height + _NOTE_BYTES)
    with ThreadPool(_THREADS) as pool:
        areas = sum(sum(pool.map(_area, chunk)) for chunk in _chunks(paths, 'Measuring images'))
    return 3 * areas + len(paths) * _NOTE_BYTES


def _area(path: str) -> int:
    try:
        check_regular(path)
        with Image.open(path) as image:
            return image.width * image.height
    except Exception:
        # Whatever is wrong with it, it is found when the image is decoded.
        return 0


def _chunks(paths: Sequence[str], what: str) -> Iterator[Sequence[str]]:
    starts = range(0, len(paths), _CHUNK)
    for start in track(starts, what, unit=f'{_CHUNK} images', on_every_rank=True):
        yield paths[start : start + _CHUNK]
