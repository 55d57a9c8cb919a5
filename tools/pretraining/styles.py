"""Cameras in styles that are none of the benchmark's."""

import numpy as np

from cmdg_plugin.islands.backdrops import PRETRAINING_PLACES
from cmdg_plugin.islands.cameras import Camera


def sample_camera(rng: np.random.Generator) -> Camera:
    """Invent a camera to pretrain on.

    Its places are others than those of the benchmark's domains; light and lens vary as far as those of the four sources
    do, and so less far than the targets'.

    Args:
        rng: Source of all chance.
    """
    r, g, b = rng.uniform(0.8, 1.2, size=3).tolist()
    wide = int(rng.integers(44, 65))
    return Camera(
        place=PRETRAINING_PLACES[int(rng.integers(len(PRETRAINING_PLACES)))],
        tilt=rng.uniform(0, 0.5),
        gains=(r, g, b),
        mixing=rng.uniform(0, 0.1),
        saturation=rng.uniform(0.8, 1.15),
        exposure=rng.uniform(0.7, 1.2),
        gamma=rng.uniform(0.9, 1.15),
        haze=rng.uniform(0, 0.15),
        light=rng.uniform(-0.6, 0.6),
        blur=rng.uniform(0.2, 0.6),
        noise=rng.uniform(1, 9),
        size=(wide, 2 * wide),
        quality=int(rng.integers(70, 93)),
        crowding=0.3,
    )
