"""Cameras: how the same person looks elsewhere, by light, color cast, blur, noise and resolution."""

from dataclasses import dataclass, replace

import numpy as np
from PIL import Image, ImageFilter


@dataclass(frozen=True)
class Camera:
    """One camera: the place it watches, from where, and what its lens, sensor and encoder do.

    Attributes:
        place: What it looks at (a name of `backdrops`).
        tilt: How steeply it looks down, 0 (level) to about 0.6.
        gains: Multiplies red, green and blue: the color cast.
        mixing: How far each channel leaks into the next one (r -> g -> b -> r), 0 to about 0.4. Unlike `gains`, no
            normalization per channel undoes it.
        saturation: 0 (gray) to 1 (full color) and above.
        exposure: Multiplies the light; below 1 is dark.
        gamma: Exponent of the tone curve; below 1 lifts shadows.
        haze: Share of white that is mixed in, 0 to 1.
        light: Strength of the light from one side, 0 to 1; its sign is the side.
        blur: Standard deviation of the blur in pixels of the written file.
        noise: Standard deviation of the sensor noise, in 0..255.
        size: Width and height of the written files, in pixels.
        quality: JPEG quality.
        facings: Odds of seeing people from the front, back, left and right.
        crowding: Probability that something or somebody stands before the person.
    """

    place: str
    tilt: float = 0.1
    gains: tuple[float, float, float] = (1.0, 1.0, 1.0)
    mixing: float = 0.0
    saturation: float = 1.0
    exposure: float = 1.0
    gamma: float = 1.0
    haze: float = 0.0
    light: float = 0.2
    blur: float = 0.3
    noise: float = 3.0
    size: tuple[int, int] = (48, 96)
    quality: int = 88
    facings: tuple[float, float, float, float] = (1.0, 1.0, 1.0, 1.0)
    crowding: float = 0.35


def develop(picture: Image.Image, camera: Camera, rng: np.random.Generator) -> Image.Image:
    """Turn a clean picture into what a camera writes at some moment.

    Args:
        picture: The scene, RGB, of any size.
        camera: The camera.
        rng: The day's light and the sensor's noise.

    Returns:
        RGB picture of `camera.size`.
    """
    return expose(picture, at_a_moment(camera, rng), rng)


def at_a_moment(camera: Camera, rng: np.random.Generator) -> Camera:
    """Return the camera under one moment's light and focus."""
    # In the order in which the benchmark's pictures have always drawn them.
    blur = camera.blur * rng.uniform(0.6, 1.5) if camera.blur > 0 else camera.blur
    light = camera.light * rng.uniform(0.5, 1.5)
    r, g, b = (np.array(camera.gains) * rng.uniform(0.94, 1.06, size=3)).tolist()
    mixing = camera.mixing * rng.uniform(0.8, 1.2)
    exposure = camera.exposure * rng.uniform(0.85, 1.15)
    return replace(camera, blur=blur, light=light, gains=(r, g, b), mixing=mixing, exposure=exposure)


def expose(picture: Image.Image, camera: Camera, rng: np.random.Generator) -> Image.Image:
    """Turn a clean picture into what a camera writes under the light that it has.

    Args:
        picture: The scene, RGB, of any size.
        camera: The camera.
        rng: The sensor's noise.

    Returns:
        RGB picture of `camera.size`.
    """
    small = picture.resize(camera.size, Image.Resampling.BOX)
    if camera.blur > 0:
        small = small.filter(ImageFilter.GaussianBlur(camera.blur))
    pixels = np.asarray(small, dtype=np.float32) / 255
    pixels = _tone(_cast(pixels * _side_light(camera), camera), camera)
    pixels = pixels * 255 + rng.normal(0, camera.noise, size=pixels.shape)
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def _side_light(camera: Camera) -> np.ndarray:
    """Light falling off from one side to the other, (1, width, 1)."""
    return (1 + camera.light * np.linspace(-0.5, 0.5, camera.size[0]))[None, :, None]


def _cast(pixels: np.ndarray, camera: Camera) -> np.ndarray:
    pixels = (1 - camera.mixing) * pixels + camera.mixing * np.roll(pixels, 1, axis=2)
    gray = pixels.mean(axis=2, keepdims=True)
    return (gray + camera.saturation * (pixels - gray)) * np.array(camera.gains)


def _tone(pixels: np.ndarray, camera: Camera) -> np.ndarray:
    lit = (pixels * camera.exposure).clip(0, 1) ** camera.gamma
    return (1 - camera.haze) * lit + camera.haze
