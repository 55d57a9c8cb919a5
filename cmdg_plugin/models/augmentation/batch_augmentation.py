"""Random changes of a whole batch on the device, drawn for each image from seed, epoch and position."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cmdg_plugin.models.augmentation.steps import STEPS, Crop
from cmdg_plugin.registry import MODELS


@MODELS.register_module()
class BatchAugmentation(nn.Module):
    """Augments batches where they are, a step of `ReIDDataPreprocessor` in training.

    What is drawn for an image depends on the run's seed, the epoch, the image's position in the training set and, where
    it stands in a batch several times, on which time it is: not on workers, ranks or what else is in the batch. With
    the same draws the images are those of the pipeline's transforms on the CPU, within one level of 255 (tested).

    Args:
        steps: The changes in their order, each with its settings: `grayscale` (prob), `crop` (padding, size), `flip`
            (prob), `color_jitter` (prob, brightness, contrast, saturation, hue), `aug_mix` (prob, width, depth,
            severity, coefficient).

    Raises:
        ValueError: If a step is unknown, or a probability is out of range.
    """

    def __init__(self, steps: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__()
        unknown = [name for name in steps if name not in STEPS]
        if unknown:
            raise ValueError(f'BatchAugmentation has the steps {", ".join(STEPS)}, not {", ".join(unknown)}.')
        for name, settings in steps.items():
            if not 0 <= settings.get('prob', 1) <= 1:
                raise ValueError(f'{name}.prob must be from 0 to 1, got {settings["prob"]!r}.')
        self.steps = {name: STEPS[name](**settings) for name, settings in steps.items()}
        self._key: np.ndarray | None = None

    def start_epoch(self, seed: int, epoch: int) -> None:
        """Say which epoch of the run begins, and the run's seed; what is drawn depends on both."""
        self._key = np.random.SeedSequence([seed, epoch]).generate_state(2, np.uint64)

    def draw(self, positions: Sequence[int], size: tuple[int, int]) -> dict[str, list[Any]]:
        """Draw for images what each step does to them.

        Args:
            positions: Of the B images in the training set.
            size: Height and width of the images.

        Returns:
            B draws for each step.

        Raises:
            RuntimeError: If no epoch was started.
        """
        if self._key is None:
            raise RuntimeError('No epoch was started: train with StagedTrainLoop, or call start_epoch before each.')
        seen: Counter[int] = Counter()
        drawn: dict[str, list[Any]] = {name: [] for name in self.steps}
        for position in positions:
            # A stream of its own for every image: a counter that no other image's draws reach.
            counter = [0, 0, seen[position], position]
            rng = np.random.Generator(np.random.Philox(key=self._key, counter=np.array(counter, np.uint64)))
            seen[position] += 1
            now = size
            for name, step in self.steps.items():
                drawn[name].append(step.draw(rng, now))
                if isinstance(step, Crop) and step.size is not None:
                    now = step.size
        return drawn

    @torch.no_grad()
    def forward(self, images: Tensor, positions: Sequence[int]) -> Tensor:
        """Augment RGB images (B, 3, H, W) uint8; returns as many.

        Args:
            images: The images.
            positions: Of the B images in the training set.
        """
        drawn = self.draw(positions, (images.shape[-2], images.shape[-1]))
        # Whole levels are computed, which half precision does not hold apart.
        with torch.autocast(images.device.type, enabled=False):
            for name, step in self.steps.items():
                images = step.apply(images, drawn[name])
        return images
