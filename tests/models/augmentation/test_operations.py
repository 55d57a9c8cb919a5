"""Each operation against Pillow, image by image, with the parameters of that image."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torchvision.transforms import functional as torchvision
from torchvision.transforms.v2.functional import autocontrast, equalize

from cmdg_plugin.models.augmentation import operations

RNG = np.random.default_rng(0)


def pictures() -> list[Image.Image]:
    """Noise, a photograph's smoothness, gray, black and a few levels alone."""
    noise = RNG.integers(0, 256, (6, 44, 31, 3), dtype=np.uint8)
    noise[1] = np.asarray(Image.fromarray(noise[1, :6, :5]).resize((31, 44), Image.Resampling.BICUBIC))
    noise[2, ..., 1:] = noise[2, ..., :1]
    noise[3] = 0
    noise[4] = noise[4] % 5 + 100
    noise[5] = noise[5] // 3 + 40
    return [Image.fromarray(pixels) for pixels in noise]


PICTURES = pictures()
BATCH = torch.stack([torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1) for picture in PICTURES])


def difference(found: torch.Tensor, expected: list[Image.Image]) -> np.ndarray:
    """In levels, for every image and pixel."""
    assert found.dtype == torch.uint8
    pixels = np.stack([np.asarray(image) for image in expected]).astype(int)
    return np.abs(found.permute(0, 2, 3, 1).numpy().astype(int) - pixels)


EXACT: dict[str, tuple[Callable, Callable, list]] = {
    'brightness': (
        operations.brightness,
        lambda image, factor: ImageEnhance.Brightness(image).enhance(factor),
        [0.85, 0.9, 1.0, 1.1, 1.15, 1.0713],
    ),
    'contrast': (
        operations.contrast,
        lambda image, factor: ImageEnhance.Contrast(image).enhance(factor),
        [0.9, 0.95, 1.0, 1.03, 1.1, 1.0713],
    ),
    'saturation': (
        operations.saturation,
        lambda image, factor: ImageEnhance.Color(image).enhance(factor),
        [0.95, 0.97, 1.0, 1.03, 1.05, 1.0713],
    ),
    'hue': (operations.hue, torchvision.adjust_hue, [-0.05, -0.013, 0.0, 0.02, 0.05, 0.041]),
    'posterize': (operations.posterize, ImageOps.posterize, [4, 3, 2, 1, 4, 3]),
    'solarize': (operations.solarize, ImageOps.solarize, [256, 231, 230, 128, 104, 0]),
}


@pytest.mark.parametrize('name', EXACT)
def test_same_as_pillow_to_the_bit(name: str) -> None:
    batched, single, parameters = EXACT[name]
    for shift in range(len(parameters)):
        mine = parameters[shift:] + parameters[:shift]
        found = batched(BATCH, torch.tensor(mine, dtype=torch.float32))
        expected = [single(image, parameter) for image, parameter in zip(PICTURES, mine, strict=True)]
        assert difference(found, expected).max() == 0


def test_hue_of_every_kind_of_color() -> None:
    colors = RNG.integers(0, 256, (1, 300, 300, 3), dtype=np.uint8)
    found = operations.hue(torch.from_numpy(colors).permute(0, 3, 1, 2), torch.tensor([0.031]))
    assert difference(found, [torchvision.adjust_hue(Image.fromarray(colors[0]), 0.031)]).max() == 0


def test_gray_and_equalized_to_the_bit_and_autocontrast_within_a_level() -> None:
    grays = [image.convert('L').convert('RGB') for image in PICTURES]
    assert difference(operations.to_gray(BATCH), grays).max() == 0
    assert difference(equalize(BATCH), [ImageOps.equalize(image) for image in PICTURES]).max() == 0
    assert difference(autocontrast(BATCH), [ImageOps.autocontrast(image) for image in PICTURES]).max() <= 1


def test_crops_are_those_of_a_padded_picture() -> None:
    top, left = [0, 20, 3, 7, 11, 10], [20, 0, 4, 9, 10, 1]
    expected = [
        ImageOps.expand(image, 10).crop((x, y, x + 31, y + 44)) for image, y, x in zip(PICTURES, top, left, strict=True)
    ]
    found = operations.crop(BATCH, torch.tensor(top), torch.tensor(left), (44, 31), 10)
    assert difference(found, expected).max() == 0
    smaller = operations.crop(BATCH, torch.tensor(top), torch.tensor(left), (5, 4), 0)
    assert torch.equal(smaller[2], BATCH[2, :, 3:8, 4:8])


def test_moves_are_those_of_pillow_within_a_level() -> None:
    matrices = [
        *([1, 0, 3, 0, 1, 0], [1, 0, 0, 0, 1, -5], [1, 0.03, 0, 0, 1, 0]),
        *([1, -0.3, 0, 0, 1, 0], [1, 0, 0, 0.021, 1, 0], [0.9986, 0.0523, -1.1, -0.0523, 0.9986, 0.8]),
    ]
    found = operations.affine(BATCH, torch.tensor(matrices).view(-1, 2, 3))
    expected = [
        image.transform(image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR)
        for image, matrix in zip(PICTURES, matrices, strict=True)
    ]
    off = difference(found, expected)
    assert off.max() <= 1
    assert (off > 0).mean() < 0.02
    assert off[:2].max() == 0  # whole pixels
