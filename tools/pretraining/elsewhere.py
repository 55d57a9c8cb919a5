"""Pictures and captions of other people in other places, to pretrain on without a look at the benchmark."""

from typing import NamedTuple

import numpy as np
from PIL import Image

from cmdg_plugin.islands.describing import describe
from cmdg_plugin.islands.describing_scenes import describe_scene
from cmdg_plugin.islands.domains import sample_domain
from cmdg_plugin.islands.people import sample_person
from cmdg_plugin.islands.pictures import draw
from cmdg_plugin.progress import track

_STREAM = 1_000
"""Keeps these people apart from the benchmark's: its seeds are (seed, 0..6, ...)."""


class Pairs(NamedTuple):
    """Pictures, and what a captioner says about them.

    Attributes:
        images: RGB, uint8, (N, height, width, 3).
        captions: Four texts a picture, in the order of caption files: global, upper, middle, lower. As captions on
            the web do, and unlike the benchmark's, the global one speaks of the place and the light, too.
    """

    images: np.ndarray
    captions: list[tuple[str, str, str, str]]


def sample_pairs(count: int, size: tuple[int, int], seed: int = 0) -> Pairs:
    """Photograph and describe people who live on none of the islands.

    Every picture shows another person, before another camera.

    Args:
        count: Number of pictures.
        size: Height and width to which pictures are resized.
        seed: Seed of everything.
    """
    images = np.empty((count, *size, 3), dtype=np.uint8)
    captions = []
    for number in track(range(count), 'drawing people elsewhere', total=count, unit='picture'):
        rng = np.random.default_rng([seed, _STREAM, number])
        person, domain = sample_person(rng), sample_domain(rng, num_cameras=1)
        # A few hundred places are enough, and their paintings are kept.
        picture = draw(person, domain, 1, rng, place_seed=_STREAM + int(rng.integers(12)))
        images[number] = np.asarray(picture.image.resize(size[::-1], Image.Resampling.BICUBIC))
        whole, upper, middle, lower = describe(person, picture, rng)
        captions.append((f'{describe_scene(picture.image, rng)} {whole}', upper, middle, lower))
    return Pairs(images, captions)
