"""What a picture's caption says beside its person: the place, the ground, the light."""

import numpy as np
from PIL import Image

from cmdg_plugin.islands.people import COLORS

_FRAMES = (
    'A {light} picture of a {wall} place with {ground} ground.',
    'The background is {wall}, the floor is {ground}, the light is {light}.',
    'In front of something {wall}, on {ground} ground, in {light} light.',
    'A scene in {wall} and {ground}, {light}.',
)


def describe_scene(image: Image.Image, rng: np.random.Generator) -> str:
    """Describe the surroundings of a person by the colors of the picture's corners.

    Args:
        image: The picture, RGB.
        rng: Choice of words.

    Returns:
        One sentence.
    """
    pixels = np.asarray(image, dtype=float)
    height, width, _ = pixels.shape
    sides = np.concatenate([pixels[:, : width // 5], pixels[:, -(width // 5) :]], axis=1)
    wall, ground = sides[: height // 2].mean(axis=(0, 1)), sides[-height // 4 :].mean(axis=(0, 1))
    frame = _FRAMES[int(rng.integers(len(_FRAMES)))]
    return frame.format(wall=_nearest_color(wall), ground=_nearest_color(ground), light=_light(pixels))


def _nearest_color(color: np.ndarray) -> str:
    return min(COLORS, key=lambda name: float(np.square(color - np.array(COLORS[name])).sum()))


def _light(pixels: np.ndarray) -> str:
    red, _, blue = pixels.mean(axis=(0, 1))
    level = pixels.mean()
    brightness = 'dark' if level < 90 else 'bright' if level > 150 else 'even'
    tint = 'warm' if red > 1.12 * blue else 'cold' if blue > 1.12 * red else 'neutral'
    return f'{brightness} {tint}'
