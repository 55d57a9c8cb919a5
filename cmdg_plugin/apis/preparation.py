"""Turns files, arrays and PIL images into what a model takes, by the test pipeline of its config."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS, DefaultScope
from PIL import Image
from torch import Tensor

from cmdg_plugin.datasets.transforms import read_our_way
from cmdg_plugin.files.images import IMAGE_SUFFIXES, to_bytes, to_rgb
from cmdg_plugin.files.listing import FolderListing

ImageLike: TypeAlias = str | os.PathLike[str] | np.ndarray | Image.Image
"""A file, an array (H, W, 3) in BGR order or (H, W) as OpenCV and mmcv read it, uint8 or uint16, or a PIL image."""


class ImagePreparation:
    """The test pipeline of a config, for images from anywhere.

    Files go through the pipeline's own loading transform; arrays and PIL images enter after it.

    Args:
        config: Has `test_dataloader.dataset.pipeline`.

    Raises:
        ValueError: If it has none, or the pipeline loads no image.
    """

    def __init__(self, config: Config) -> None:
        transforms = config.get('test_dataloader', {}).get('dataset', {}).get('pipeline')
        if not transforms:
            raise ValueError('The config has no test_dataloader.dataset.pipeline, which says how images are prepared.')
        loads = [str(transform['type']).endswith('LoadImageFromFile') for transform in transforms]
        if not any(loads):
            raise ValueError('test_dataloader.dataset.pipeline has no LoadImageFromFile; images must enter somewhere.')
        # Our own registry names mmcv's transforms on import, whoever's scope the config is in.
        with DefaultScope.overwrite_default_scope(config.get('default_scope') or 'cmdg_plugin'):
            built = [TRANSFORMS.build(transform) for transform in read_our_way(transforms)]
        self._from_file = Compose(built)
        self._from_array = Compose(built[loads.index(True) + 1 :])

    def batch(self, images: Sequence[ImageLike]) -> Tensor:
        """Prepare several images, (B, 3, H, W)."""
        return torch.stack([self(image) for image in images])

    def __call__(self, image: ImageLike) -> Tensor:
        """Prepare one image.

        Args:
            image: The image.

        Returns:
            The pipeline's `inputs`, (3, H, W) bytes as the data preprocessor takes them.

        Raises:
            FileNotFoundError: If there is no such file.
            TypeError: If it is not of the three kinds.
            ValueError: If the image cannot be read (an `UnreadableImage`) or the array has another type or shape.
        """
        if isinstance(image, (str, os.PathLike)):
            if not os.path.exists(image):
                raise FileNotFoundError(f'There is no image at {image}.')
            return self._from_file({'img_path': str(image)})['inputs']
        array = _to_array(image)
        size = array.shape[:2]
        return self._from_array({'img': array, 'img_shape': size, 'ori_shape': size})['inputs']


def list_images(folder: str | os.PathLike[str]) -> list[str]:
    """List the image files below a folder, sorted by path; the order in which `extract_features` takes a folder.

    Args:
        folder: The folder, searched with all its subfolders.

    Returns:
        Paths of the files.

    Raises:
        FileNotFoundError: If there is no such folder, or no image in it.
    """
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise FileNotFoundError(f'There is no folder at {root}.')
    listing = FolderListing(root)
    paths = [str(root / path) for path in sorted(listing)]
    if not paths:
        raise FileNotFoundError(f'There is no image: {listing}. An image ends in {", ".join(sorted(IMAGE_SUFFIXES))}.')
    listing.log()
    return paths


def as_image_list(images: ImageLike | Iterable[ImageLike]) -> list[ImageLike]:
    """Make a list of what a caller gave: one image, several (also as an array of paths or of pixels), or a folder.

    Raises:
        TypeError: If it is nothing of that kind.
        ValueError: If there is nothing.
    """
    if isinstance(images, (str, os.PathLike)) and Path(images).is_dir():
        return list(list_images(images))
    if isinstance(images, np.ndarray) and (images.dtype.kind in 'UO' or images.ndim == 4):
        images = [*images.ravel()] if images.dtype.kind in 'UO' else [*images]
    if isinstance(images, (str, os.PathLike, np.ndarray, Image.Image)):
        return [images]
    if not isinstance(images, Iterable):
        raise TypeError(f'Images are paths, arrays or PIL images, one or several, not a {type(images).__name__}.')
    listed = list(images)
    if not listed:
        raise ValueError('There are no images to extract features of.')
    return listed


def _to_array(image: Any) -> np.ndarray:
    """Bring an image in memory into mmcv's form, (H, W, 3) bytes in BGR order."""
    if isinstance(image, Image.Image):
        return np.ascontiguousarray(np.asarray(to_rgb(image))[..., ::-1])
    if not isinstance(image, np.ndarray):
        raise TypeError(f'An image is a path, an array or a PIL image, not a {type(image).__name__}.')
    known = image.dtype in (np.uint8, np.uint16)
    if not known or not image.size or not (image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 3))):
        raise ValueError(
            'Expected an array (H, W, 3) in BGR order or (H, W), uint8 or uint16 (white is 255 or 65,535), got '
            f'{image.dtype} of shape {image.shape}.'
        )
    levels = to_bytes(image) if image.dtype == np.uint16 else image
    return levels if levels.shape[2:] == (3,) else np.repeat(levels.reshape(*levels.shape[:2], 1), 3, axis=2)
