"""AugMix: several lightly changed copies of an image, mixed with each other and with the image."""

import random
from collections.abc import Callable

import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image, ImageOps

from cmdg_plugin.registry import TRANSFORMS

_FULL_SEVERITY = 10


OPERATIONS: dict[str, Callable[[Image.Image, float], Image.Image]] = {
    'auto contrast': lambda image, level: ImageOps.autocontrast(image),
    'equalize': lambda image, level: ImageOps.equalize(image),
    'posterize': lambda image, level: ImageOps.posterize(image, max(4 - int(level * 4), 1)),
    'rotate': lambda image, level: image.rotate(_signed(int(level * 30)), resample=Image.Resampling.BILINEAR),
    'solarize': lambda image, level: ImageOps.solarize(image, 256 - int(level * 256)),
    'shear x': lambda image, level: _affine(image, (1, _signed(level * 0.3), 0, 0, 1, 0)),
    'shear y': lambda image, level: _affine(image, (1, 0, 0, _signed(level * 0.3), 1, 0)),
    'translate x': lambda image, level: _shift(image, _signed(int(level * image.width / 3)), 0),
    'translate y': lambda image, level: _shift(image, 0, _signed(int(level * image.height / 3))),
}
"""What may happen to a copy; the level is a fraction of the full strength, from 0 to 1."""


@TRANSFORMS.register_module()
class AugMix(BaseTransform):
    """Mix an image with changed copies of itself ("AugMix", Hendrycks et al., ICLR 2020).

    Torchvision's transform of the same name draws one of `severity` steps of which the first is "no change", so that at
    severity 1, which CMDG uses, it neither rotates nor shears nor shifts. Here the strength is drawn between 0.1 and
    `severity`, of 10, as in the paper's code.

    Args:
        width: Number of changed copies.
        depth: Number of changes of a copy; 0 or less draws one to three.
        severity: Largest strength of a change, from 1 to 10.
        coefficient: Concentration of the weights: small values make one copy, or the image itself, prevail.

    Raises:
        ValueError: If a setting is out of its range.
    """

    def __init__(self, width: int = 3, depth: int = -1, severity: float = 3, coefficient: float = 1.0) -> None:
        if width < 1 or not 1 <= severity <= _FULL_SEVERITY or coefficient <= 0:
            raise ValueError(
                f'expected width >= 1, severity from 1 to {_FULL_SEVERITY} and coefficient > 0; '
                f'got {width}, {severity}, {coefficient}.'
            )
        self.width = width
        self.depth = depth
        self.severity = severity
        self.coefficient = coefficient

    def transform(self, results: dict) -> dict:
        """Replace `results['img']`, uint8 of shape (H, W, 3), by the mixture."""
        image = results['img']
        original = Image.fromarray(image)
        share = random.betavariate(self.coefficient, self.coefficient)
        mixture = (1 - share) * image.astype(np.float32)
        for weight in self._draw_weights():
            mixture += np.float32(share * weight) * np.asarray(self._change(original))
        results['img'] = np.clip(np.rint(mixture), 0, 255).astype(np.uint8)
        return results

    def _draw_weights(self) -> list[float]:
        """Draw from a symmetric Dirichlet distribution, (width,)."""
        draws = [random.gammavariate(self.coefficient, 1) for _ in range(self.width)]
        return [draw / sum(draws) for draw in draws]

    def _change(self, image: Image.Image) -> Image.Image:
        for _ in range(self.depth if self.depth > 0 else random.randint(1, 3)):
            level = random.uniform(0.1, self.severity) / _FULL_SEVERITY
            image = random.choice(list(OPERATIONS.values()))(image, level)
        return image

    def __repr__(self) -> str:
        """Name the settings, as MMEngine logs pipelines."""
        settings = f'width={self.width}, depth={self.depth}, severity={self.severity}, coefficient={self.coefficient}'
        return f'{type(self).__name__}({settings})'


def _signed(value: float) -> float:
    return -value if random.random() < 0.5 else value


def _shift(image: Image.Image, across: float, down: float) -> Image.Image:
    # By whole pixels, where interpolating changes nothing and takes many times as long.
    matrix = (1, 0, across, 0, 1, down)
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.NEAREST)


def _affine(image: Image.Image, matrix: tuple[float, ...]) -> Image.Image:
    return image.transform(image.size, Image.Transform.AFFINE, matrix, resample=Image.Resampling.BILINEAR)
