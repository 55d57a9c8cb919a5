"""What a camera makes of a picture of one color, worked out by hand: chance is left in where a factor has it."""

from typing import Any

import numpy as np
import pytest
from PIL import Image

from cmdg_plugin.islands.cameras import Camera, develop


def develop_color(color: tuple[int, int, int], seed: int = 0, **settings: Any) -> np.ndarray:
    camera = Camera('studio', **{'light': 0.0, 'blur': 0.0, 'noise': 0.0, 'size': (8, 16), **settings})
    developed = develop(Image.new('RGB', (80, 160), color), camera, np.random.default_rng(seed))
    assert developed.size == (8, 16)
    return np.asarray(developed, dtype=float)


def test_light_and_color_stay_near_what_they_were() -> None:
    """Gains vary by 6%, exposure by 15%."""
    for seed in range(20):
        pixels = develop_color((100, 100, 100), seed)
        assert 100 * 0.85 * 0.94 - 1 <= pixels.min() <= pixels.max() <= 100 * 1.15 * 1.06


def test_haze_and_darkness() -> None:
    assert (develop_color((90, 10, 200), haze=1.0) == 255).all()
    assert (develop_color((90, 10, 200), exposure=0.0) == 0).all()
    assert (develop_color((90, 10, 200), exposure=0.0, haze=0.5) == 127).all()
    # Half of a white, and half of a gray between 79 and 122.
    assert 165 < develop_color((100, 100, 100), haze=0.5).mean() < 190


def test_color_cast() -> None:
    gray = develop_color((240, 60, 0), saturation=0.0)[0, 0]
    assert gray.max() < 1.13 * gray.min()
    red, green, blue = develop_color((100, 100, 100), gains=(1.0, 1.0, 0.5))[0, 0]
    assert blue < 0.6 * min(red, green)
    # Red leaks into green, green into blue.
    red, green, blue = develop_color((200, 0, 0), mixing=0.25)[0, 0]
    assert green == pytest.approx(red / 3, rel=0.5)
    assert blue == 0


def test_light_from_one_side_and_the_sensors_noise() -> None:
    pixels = develop_color((100, 100, 100), light=0.6)
    assert (pixels[:, -1] > 1.2 * pixels[:, 0]).all()
    assert develop_color((100, 100, 100), noise=5.0).std() == pytest.approx(5, rel=0.4)
