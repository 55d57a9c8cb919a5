"""Training images decoded once, in one file whose memory loader workers, ranks and runs share."""

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL
from mmcv.transforms import Resize
from mmengine.dataset import Compose
from PIL import features
from tqdm import tqdm

from cmdg_plugin.control_groups import free_memory
from cmdg_plugin.datasets.image_decoding import bytes_needed, decode_images
from cmdg_plugin.datasets.transforms import LoadImageFromFile
from cmdg_plugin.files.hashing import size_and_time
from cmdg_plugin.files.images import READING_VERSION
from cmdg_plugin.files.locking import hold
from cmdg_plugin.files.pixel_file import PixelFile, PixelIndex, write_pixels
from cmdg_plugin.files.writing import remove_unfinished
from cmdg_plugin.saying import say, warn

_OTHER_SIZE = " Where files are small, image_cache.resolution='source' needs less; where they are large, 'input' does."


@dataclass(frozen=True)
class ImageCacheSettings:
    """What a dataset's `image_cache` says.

    Args:
        file: The cache; made when it is not there.
        resolution: `input` keeps images as the pipeline's first two steps leave them, read and resized; `source` as the
            files hold them.
        larger_than_memory: Whether a cache may be larger than the memory that is free; parts of it are then read from
            the disk again and again.

    Raises:
        ValueError: If the resolution is unknown.
    """

    file: str
    resolution: str = 'input'
    larger_than_memory: bool = False

    def __post_init__(self) -> None:
        if self.resolution not in ('input', 'source'):
            raise ValueError(f"image_cache.resolution must be 'input' or 'source', got {self.resolution!r}.")


class ImageCache:
    """The decoded images of a dataset.

    Opening it makes the file if there is none: one process does, others that come meanwhile wait. A file that is there
    must hold these images (by path, size and time of change), read and resized the same way by the same versions; it
    may hold others beside them. The pixels are those that the pipeline gives without it.

    Args:
        settings: Where, and at which size.
        pipeline: The transforms of the dataset, the first of which read (and resize).
        paths: The dataset's image files, in its order.

    Raises:
        ValueError: If the pipeline begins otherwise, if there is too little disk or memory (before any work), or if the
            file holds other images or is none of ours.
        OSError: If it cannot be written.
    """

    def __init__(self, settings: ImageCacheSettings, pipeline: Compose, paths: Sequence[str]) -> None:
        self._steps = _leading_steps(pipeline, settings, paths)
        self._wanted = _describe(self._steps)
        places = [os.path.abspath(path) for path in paths]
        stamps = np.array([_stamp(place) for place in places], np.int64).reshape(-1, 2)
        file = Path(settings.file).expanduser()
        if not file.exists():
            self._make(file, settings, dict(zip(places, stamps, strict=True)))
        _check_memory(file, file.stat().st_size, settings)
        self._pixels = PixelFile(file)
        self._rows = _find_rows(file, self._pixels.index, self._wanted, places, stamps)

    def serve(self, pipeline: Compose) -> Compose:
        """Return transforms that take from the cache what its own first steps would make of the file.

        Args:
            pipeline: Transforms of this dataset's images; ones that begin otherwise stay as they are, and say so.
        """
        number = len(self._steps)
        if _describe(pipeline.transforms[:number]) == self._wanted:
            return Compose([partial(self._take, pipeline.transforms[:number]), *pipeline.transforms[number:]])
        warn(
            f'Transforms that begin with {_names(pipeline.transforms[:number])} read the files: the image cache '
            f'{self._pixels.path} keeps what {_names(self._steps)} with its own settings give.'
        )
        return pipeline

    def _take(self, steps: Sequence[Callable], results: dict[str, Any]) -> dict[str, Any] | None:
        row = int(self._rows[results['image_index']])
        pixels = self._pixels.read(row)
        if pixels is None:
            # It could not be read when the cache was made, and fails, or is replaced, as it would without.
            return Compose(steps)(results)
        original = tuple(int(side) for side in self._pixels.index.originals[row])
        results.update(img=pixels, img_shape=pixels.shape[:2], ori_shape=original)
        if len(steps) > 1:
            resize: Any = steps[1]
            factors = (pixels.shape[1] / original[1], pixels.shape[0] / original[0])
            results.update(scale=resize.scale, scale_factor=factors, keep_ratio=resize.keep_ratio)
        return results

    def _make(self, file: Path, settings: ImageCacheSettings, stamps: dict[str, np.ndarray]) -> None:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with hold(f'{file}.lock', f'Another process is making the image cache {file}: waiting for it.', wait=True):
                # Asked again: while this process waited for the lock, another one may have made it.
                if not file.exists():
                    remove_unfinished(file)
                    _check_room(file, bytes_needed(list(stamps), self._steps), settings)
                    images = decode_images(list(stamps), self._steps)
                    write_pixels(file, self._wanted, list(stamps), np.array(list(stamps.values())), images)
                    say(f'Image cache {file}: {len(stamps):,} images, {_size(file.stat().st_size)}.')
        except OSError as error:
            raise OSError(
                f'The image cache {file} cannot be made ({error}). Name a file on a disk with room, in a folder that '
                'you may write to, or train without image_cache.'
            ) from error


def _leading_steps(pipeline: Compose, settings: ImageCacheSettings, paths: Sequence[str]) -> list[Any]:
    steps = pipeline.transforms[: 1 if settings.resolution == 'source' else 2]
    loader: Any = steps[0]
    if type(loader) is not LoadImageFromFile or loader.to_float32 or loader.color_type != 'color':
        raise ValueError(f'image_cache needs a pipeline that begins with {LoadImageFromFile.__name__} of color bytes.')
    if loader.backend_args or loader.file_client_args or any('://' in path for path in paths):
        raise ValueError('image_cache keeps files of this machine alone; images from elsewhere are read without it.')
    resize: Any = steps[-1]
    if settings.resolution == 'input' and (type(resize) is not Resize or resize.keep_ratio or not resize.scale):
        raise ValueError(
            f"image_cache.resolution='input' needs a Resize to one scale right after {LoadImageFromFile.__name__}, got "
            f"{_names(steps)}; 'source' keeps images as their files hold them."
        )
    return steps


def _describe(steps: Sequence[Any]) -> dict[str, Any]:
    """What decides about the pixels."""
    text = ' '.join(map(repr, steps))
    versions = {'pillow': f'{PIL.__version__}, libjpeg {features.version("jpg")}', 'cv2': cv2.__version__}
    used = {name: version for name, version in versions.items() if name in text}
    return {'steps': text, 'reading': READING_VERSION, **used}


def _names(steps: Sequence[Any]) -> str:
    return ' and '.join(type(step).__name__ for step in steps) or 'nothing'


def _stamp(path: str) -> tuple[int, int]:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        # It counts as unreadable, which the dataset has its own ways with.
        return -1, -1
    return size_and_time(status)


def _find_rows(
    file: Path, index: PixelIndex, wanted: dict[str, Any], places: Sequence[str], stamps: np.ndarray
) -> np.ndarray:
    """Find the row of each image, (N,)."""
    way_out = 'Delete it to have it made anew, or name another file.'
    there = index.settings
    if there != wanted:
        keys = [key for key in sorted({*there, *wanted}) if there.get(key) != wanted.get(key)]
        changed = [f'{key}: {there.get(key)} there, {wanted.get(key)} here' for key in keys]
        raise ValueError(f'The image cache {file} was made otherwise ({"; ".join(changed)}). {way_out}')
    number = {path: row for row, path in enumerate(index.paths)}
    lacking = [place for place in places if place not in number]
    if lacking:
        raise ValueError(
            f'The image cache {file} is of other images: {len(lacking):,} of {len(places):,} are not among its '
            f'{len(number):,}, the first is {lacking[0]}. {way_out}'
        )
    rows = np.array([number[place] for place in places], np.int64)
    altered = np.flatnonzero((index.stamps[rows] != stamps).any(axis=1))
    if len(altered):
        raise ValueError(
            f'Since the image cache {file} was made, {len(altered):,} of {len(places):,} images have changed (size or '
            f'time), the first is {places[altered[0]]}. {way_out}'
        )
    return rows


def _check_room(file: Path, needed: int, settings: ImageCacheSettings) -> None:
    _check_memory(file, needed, settings)
    free = shutil.disk_usage(file.parent).free
    say(f'Making the image cache {file}: {_size(needed)} are needed, {_size(free)} are free on its disk.')
    if needed > free:
        raise ValueError(
            f'The image cache {file} needs {_size(needed)}, and {_size(free)} are free on its disk. Name a file on '
            f'another one, make room, or train without image_cache.{_OTHER_SIZE}'
        )


def _check_memory(file: Path, needed: int, settings: ImageCacheSettings) -> None:
    free = free_memory()
    if free is not None and needed > free and not settings.larger_than_memory:
        raise ValueError(
            f'The image cache {file} needs {_size(needed)} of memory, and {_size(free)} are free. Train without '
            f'image_cache, or allow larger_than_memory=True, which reads parts of it from the disk again and again.'
            f'{_OTHER_SIZE}'
        )


def _size(number: int) -> str:
    return tqdm.format_sizeof(number, 'B')
