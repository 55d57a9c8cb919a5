"""Moves images to the device as bytes and normalizes them there."""

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseDataPreprocessor
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.registry import MODELS, build_part

_CLIP_MEAN = (122.7709, 116.7460, 104.0937)
_CLIP_STD = (68.5005, 66.6322, 70.3232)


@MODELS.register_module()
class ReIDDataPreprocessor(BaseDataPreprocessor):
    """Stacks uint8 images, brings them to the device and normalizes them (CMDG: per image and channel).

    Batches without `inputs`, such as those of the prompt stage, only change device.

    Args:
        normalization: `instance` subtracts each image's own channel means and divides by its own channel deviations;
            `fixed` uses `mean` and `std`, as zero-shot CLIP and most baselines do.
        mean: RGB means on the scale 0-255, for `fixed`; CLIP's own by default.
        std: RGB deviations on the scale 0-255, for `fixed`.
        to_rgb: Whether images come as BGR, as mmcv reads them.
        eps: Added to the variance, on the scale 0-1, in `instance`.
        non_blocking: Whether copies to the device may overlap with computing.
        batch_augments: Must be None; mmpretrain's classifiers set it on every data preprocessor.
        augmentation: Config of what changes the images of training batches at random, such as `BatchAugmentation`.

    Raises:
        ValueError: If `normalization` is unknown, if batches shall be augmented, or if images of a batch differ in
            size or are not uint8.
    """

    def __init__(
        self,
        normalization: str = 'instance',
        mean: Sequence[float] = _CLIP_MEAN,
        std: Sequence[float] = _CLIP_STD,
        to_rgb: bool = True,
        eps: float = 1e-5,
        non_blocking: bool = True,
        batch_augments: None = None,
        augmentation: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(non_blocking=non_blocking)
        if normalization not in ('instance', 'fixed'):
            raise ValueError(f"normalization must be 'instance' or 'fixed', got {normalization!r}.")
        if batch_augments is not None:
            raise ValueError('ReIDDataPreprocessor mixes no images of a batch; leave train_cfg of the classifier out.')
        self.normalization = normalization
        self.to_rgb = to_rgb
        self.eps = eps
        self.augmentation: Any = None
        if augmentation is not None:
            self.set_augmentation(augmentation)
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1), persistent=False)

    def set_augmentation(self, config: dict[str, Any]) -> None:
        """Augment training batches from now on.

        Args:
            config: Of a registered augmentation.

        Raises:
            ValueError: If there is an augmentation already.
        """
        if self.augmentation is not None:
            raise ValueError('The data preprocessor augments batches already: take one of the two augmentations out.')
        self.augmentation = build_part(config)

    def start_epoch(self, seed: int, epoch: int) -> None:
        """Say which epoch of the run begins, and the run's seed: the augmentation draws from them."""
        if self.augmentation is not None:
            self.augmentation.start_epoch(seed, epoch)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Prepare a batch for the model.

        Args:
            data: `inputs`, (B, 3, H, W) uint8 or a list of (3, H, W); other fields only change device.
            training: Whether images are augmented, where there is an augmentation; all else is prepared alike.

        Returns:
            The batch, with `inputs` (B, 3, H, W) normalized float RGB images.
        """
        data = self.cast_data(data)
        if data.get('inputs') is not None:
            images = _stack(data['inputs'])
            images = images.flip(1) if self.to_rgb else images
            if training and self.augmentation is not None:
                images = self.augmentation(images, image_positions(data['data_samples']))
            data['inputs'] = self.normalize_rgb(images.float())
        return data

    def normalize_rgb(self, images: Tensor) -> Tensor:
        """Normalize (B, 3, H, W) floats on the scale 0-255 that are in RGB order."""
        if self.normalization == 'fixed':
            return (images - self.mean) / self.std
        return functional.instance_norm(images / 255, eps=self.eps)


def image_positions(data_samples: Sequence[Any]) -> list[int]:
    """Positions of a batch's images in the training set.

    Raises:
        ValueError: If the samples do not have them.
    """
    if any('image_index' not in sample for sample in data_samples):
        raise ValueError("Training takes the images' positions: add 'image_index' to PackInputs' algorithm_keys.")
    return [sample.image_index for sample in data_samples]


def _stack(images: Tensor | Sequence[Tensor]) -> Tensor:
    if not isinstance(images, Tensor):
        sizes = {tuple(image.shape) for image in images}
        if len(sizes) != 1:
            raise ValueError(f'Images of one batch must have one size, got {sorted(sizes)}; add a Resize transform.')
        images = torch.stack(list(images))
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(
            f'Expected uint8 images (B, 3, H, W), got {images.dtype} {tuple(images.shape)}; '
            'leave normalization to the data preprocessor.'
        )
    return images
