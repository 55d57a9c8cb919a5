"""The steps of an augmentation: what is drawn for an image, and how a batch is changed by what was drawn for each."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor
from torchvision import transforms
from torchvision.transforms.v2.functional import autocontrast, equalize

from cmdg_plugin.datasets.transforms import AugMix
from cmdg_plugin.datasets.transforms.aug_mix import OPERATIONS
from cmdg_plugin.models.augmentation import operations
from cmdg_plugin.models.utils import on_device


class AugmentationStep(Protocol):
    """One random change."""

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> Any:
        """Draw for one image of a height and width; None where it is left alone."""

    def apply(self, images: Tensor, drawn: Sequence[Any]) -> Tensor:
        """Change RGB images (B, 3, H, W) uint8 by what was drawn for each of the B."""


@dataclass(frozen=True)
class Grayscale:
    """Takes the color out, with probability `prob`."""

    prob: float

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> bool | None:
        """Draw whether."""
        return rng.random() < self.prob or None

    def apply(self, images: Tensor, drawn: Sequence[bool | None]) -> Tensor:
        """Change them."""
        return _change(images, drawn, lambda chosen, _: operations.to_gray(chosen))


@dataclass(frozen=True)
class Crop:
    """Cuts `size` (height, width; the image's own by default) out of the image with `padding` black pixels around."""

    padding: int = 0
    size: tuple[int, int] | None = None

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> tuple[int, int]:
        """Draw where the window begins."""
        room = [whole + 2 * self.padding - part for whole, part in zip(size, self.size or size, strict=True)]
        if min(room) < 0:
            raise ValueError(f'A crop of {self.size} with padding {self.padding} does not fit into images of {size}.')
        return int(rng.integers(room[0] + 1)), int(rng.integers(room[1] + 1))

    def apply(self, images: Tensor, drawn: Sequence[tuple[int, int]]) -> Tensor:
        """Change them."""
        top, left = on_device(drawn, images.device).unbind(1)
        height, width = self.size or images.shape[-2:]
        return operations.crop(images, top, left, (height, width), self.padding)


@dataclass(frozen=True)
class Flip:
    """Mirrors left and right, with probability `prob`."""

    prob: float

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> bool | None:
        """Draw whether."""
        return rng.random() < self.prob or None

    def apply(self, images: Tensor, drawn: Sequence[bool | None]) -> Tensor:
        """Change them."""
        return _change(images, drawn, lambda chosen, _: chosen.flip(-1))


class ColorJitter:
    """Changes brightness, contrast, saturation and hue in random order, with probability `prob`.

    Args:
        prob: The probability.
        ranges: `brightness`, `contrast`, `saturation`, `hue` as torchvision's class of that name takes them.
    """

    _CHANGES: ClassVar = (operations.brightness, operations.contrast, operations.saturation, operations.hue)

    def __init__(self, prob: float = 1.0, **ranges: Any) -> None:
        jitter = transforms.ColorJitter(**{name: value or 0 for name, value in ranges.items()})
        self.prob = prob
        self.ranges = (jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> list[tuple[int, float]] | None:
        """Draw the changes in their order, each with its factor."""
        if rng.random() >= self.prob:
            return None
        order = rng.permutation(len(self.ranges))
        return [(int(number), rng.uniform(*self.ranges[number])) for number in order if self.ranges[number]]

    def apply(self, images: Tensor, drawn: Sequence[list[tuple[int, float]] | None]) -> Tensor:
        """Change them."""
        for turn in range(len(self.ranges)):
            for number, change in enumerate(self._CHANGES):
                now = [_factor(changes, turn, number) for changes in drawn]
                images = _change(images, now, partial(_with_factors, change))
        return images


class MixedCopies:
    """AugMix, with probability `prob`; the other settings are those of `cmdg_plugin.datasets.transforms.AugMix`."""

    _NAMES: ClassVar = tuple(OPERATIONS)

    def __init__(self, prob: float = 1.0, **settings: Any) -> None:
        self.prob = prob
        self.mix = AugMix(**settings)

    def draw(self, rng: np.random.Generator, size: tuple[int, int]) -> tuple[list[float], list[list[tuple]]] | None:
        """Draw the weights of image and copies, and the changes of each copy: name, level and sign."""
        if rng.random() >= self.prob:
            return None
        share = rng.beta(self.mix.coefficient, self.mix.coefficient)
        parts = rng.standard_gamma(self.mix.coefficient, self.mix.width)
        copies = []
        for _ in range(self.mix.width):
            depth = self.mix.depth if self.mix.depth > 0 else int(rng.integers(1, 4))
            levels, signs = rng.uniform(0.1, self.mix.severity, depth) / 10, rng.random(depth)
            names = [self._NAMES[number] for number in rng.integers(len(self._NAMES), size=depth)]
            copies.append([(n, lvl, -1.0 if s < 0.5 else 1.0) for n, lvl, s in zip(names, levels, signs, strict=True)])
        return [1 - share, *(share * parts / parts.sum()).tolist()], copies

    def apply(self, images: Tensor, drawn: Sequence[tuple[list[float], list[list[tuple]]] | None]) -> Tensor:
        """Change them."""
        return _change(images, drawn, self._mix)

    def _mix(self, images: Tensor, drawn: Sequence[tuple[list[float], list[list[tuple]]]]) -> Tensor:
        weights = _floats([weights for weights, _ in drawn], images.device)[:, :, None, None, None]
        mixture = weights[:, 0] * images
        for copy in range(self.mix.width):
            changed, chains = images, [copies[copy] for _, copies in drawn]
            for turn in range(max(map(len, chains))):
                changed = _change_copies(changed, [chain[turn] if turn < len(chain) else None for chain in chains])
            mixture += weights[:, copy + 1] * changed
        return mixture.round_().clamp_(0, 255).to(torch.uint8)


STEPS: dict[str, Callable[..., AugmentationStep]] = {
    'grayscale': Grayscale,
    'crop': Crop,
    'flip': Flip,
    'color_jitter': ColorJitter,
    'aug_mix': MixedCopies,
}
"""Steps by the names that configs use."""


def _with_factors(change: Callable[[Tensor, Tensor], Tensor], images: Tensor, factors: list[float]) -> Tensor:
    return change(images, _floats(factors, images.device))


def _floats(values: Sequence, device: torch.device) -> Tensor:
    return on_device(torch.tensor(values, dtype=torch.float32), device)


def _factor(changes: list[tuple[int, float]] | None, turn: int, number: int) -> float | None:
    """What an image's change of this turn is given, if it is the one of that number."""
    return changes[turn][1] if changes is not None and turn < len(changes) and changes[turn][0] == number else None


def _change(images: Tensor, drawn: Sequence[Any], change: Callable[[Tensor, list], Tensor]) -> Tensor:
    """Change those images for which something was drawn."""
    rows = [row for row, what in enumerate(drawn) if what is not None]
    if not rows:
        return images
    index = on_device(rows, images.device)
    return images.index_copy(0, index, change(images[index], [drawn[row] for row in rows]))


def _change_copies(images: Tensor, drawn: Sequence[tuple[str, float, float] | None]) -> Tensor:
    """Apply to each image one of AugMix's changes: those that move pixels together, each of the others by itself."""
    kinds: dict[str, list[Any]] = {}
    height, width = images.shape[-2:]
    for row, change in enumerate(drawn):
        if change is not None:
            kind, parameters = _parameters(*change, height, width)
            kinds.setdefault(kind, [None] * len(drawn))[row] = parameters
    for kind, parameters in kinds.items():
        images = _change(images, parameters, _COPY_CHANGES[kind])
    return images


def _parameters(name: str, level: float, sign: float, height: int, width: int) -> tuple[str, Any]:
    """What a change of AugMix's at a level comes to."""
    if name in ('auto contrast', 'equalize'):
        return name, 0
    if name == 'posterize':
        return name, max(4 - int(level * 4), 1)
    if name == 'solarize':
        return name, 256 - int(level * 256)
    return 'move', _matrix(name, level, sign, height, width)


def _matrix(name: str, level: float, sign: float, height: int, width: int) -> list[float]:
    if name == 'rotate':
        angle = -math.radians(sign * int(level * 30))
        cos, sin, x, y = math.cos(angle), math.sin(angle), width / 2, height / 2
        return [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]
    if name == 'shear x':
        return [1, sign * level * 0.3, 0, 0, 1, 0]
    if name == 'shear y':
        return [1, 0, 0, sign * level * 0.3, 1, 0]
    across, down = int(level * width / 3), int(level * height / 3)
    return [1, 0, sign * across, 0, 1, 0] if name == 'translate x' else [1, 0, 0, 0, 1, sign * down]


_COPY_CHANGES: dict[str, Callable[[Tensor, list], Tensor]] = {
    'auto contrast': lambda images, _: autocontrast(images),
    'equalize': lambda images, _: equalize(images),
    'posterize': lambda images, bits: operations.posterize(images, _floats(bits, images.device)),
    'solarize': lambda images, thresholds: operations.solarize(images, _floats(thresholds, images.device)),
    'move': lambda images, entries: operations.affine(images, _floats(entries, images.device).view(-1, 2, 3)),
}
