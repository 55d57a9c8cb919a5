"""Training images as the pipeline hands them to the model, with what is known of them."""

from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from mmengine.runner import set_random_seed

from cmdg_plugin.datasets.reid_dataset import CaptionedReIDDataset


@dataclass(frozen=True, eq=False)
class TrainingPicture:
    """One augmented training image.

    Attributes:
        image: RGB pixels, uint8, (H, W, 3).
        title: Source, identity and camera as the source numbers them, and the label that stands for the identity.
        file: Name of the file it comes from.
        captions: Four sentences in region order.
    """

    image: np.ndarray
    title: str
    file: str
    captions: tuple[str, ...]


def take_training_pictures(
    dataset: CaptionedReIDDataset, num: int, *, seed: int = 0, bgr: bool = True
) -> list[TrainingPicture]:
    """Draw random images of a training set through its pipeline, from each source in turn.

    Seeds Python, NumPy and torch, so that the same images come with the same augmentations.

    Args:
        dataset: Its pipeline ends with `PackInputs`.
        num: How many; all of them if there are fewer.
        seed: Which images, and how they are augmented.
        bgr: Whether the pipeline gives BGR, as mmcv reads images.

    Raises:
        ValueError: If `num` is below 1.
    """
    if num < 1:
        raise ValueError(f'expected at least 1 image to show, got {num}.')
    dataset.full_init()
    set_random_seed(seed)
    return [_take(dataset, position, bgr) for position in _choose(dataset.domains, num, seed)]


def _choose(domains: np.ndarray, num: int, seed: int) -> list[int]:
    """Positions of random images, those of every domain spread evenly."""
    shuffled = np.random.default_rng(seed).permutation(len(domains))
    turn = np.empty(len(domains), dtype=np.int64)
    for domain in np.unique(domains):
        own = shuffled[domains[shuffled] == domain]
        turn[own] = np.arange(len(own))
    return np.lexsort((domains, turn))[:num].tolist()


def _take(dataset: CaptionedReIDDataset, position: int, bgr: bool) -> TrainingPicture:
    info = dataset.get_data_info(position)
    pixels = dataset[position]['inputs'].numpy().transpose(1, 2, 0)
    source = dataset.metainfo['sources'][info['domain']]
    identity, camera = dataset.source_numbers[position]
    where = 'camera unknown' if camera is None else f'camera {camera}'
    return TrainingPicture(
        image=np.ascontiguousarray(pixels[..., ::-1] if bgr else pixels),
        title=f'{source}, identity {identity}, {where} (trained as label {info["gt_label"]})',
        file=PurePath(info['img_path']).name,
        captions=tuple(info['captions']),
    )
