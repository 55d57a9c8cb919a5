"""Pull of the image tower to the weights that it was pretrained with (L2-SP)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cmdg_plugin.models.cached_tensors import CachesTensors
from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.utils import full_precision
from cmdg_plugin.registry import MODELS

if TYPE_CHECKING:
    from cmdg_plugin.models.backbones import TextAwareCLIP


def l2_sp_loss(weights: Sequence[Tensor], start: Tensor) -> Tensor:
    """Half the squared distance of weights from where they started; its gradient is `w - w0`.

    Source: Li et al., Explicit Inductive Bias for Transfer Learning with Convolutional Networks, L2-SP (the part of the
    pretrained weights; that of new ones is weight decay).

    Args:
        weights: Tensors of any shapes.
        start: What they were, flat and one after the other, (sum of sizes,).

    Returns:
        Scalar loss.

    Raises:
        ValueError: If there are no weights, or their number is another one.
    """
    sizes = [weight.numel() for weight in weights]
    if not sizes or start.shape != (sum(sizes),):
        raise ValueError(f'l2_sp_loss: expected start of shape ({sum(sizes)},), above 0, got {tuple(start.shape)}.')
    with full_precision(start.device):
        moved = [
            (weight.flatten() - first).square().sum() for weight, first in zip(weights, start.split(sizes), strict=True)
        ]
        return torch.stack(moved).sum() / 2


@MODELS.register_module()
class L2SPLoss(LossTerm, CachesTensors):
    """Module form of `l2_sp_loss` for the image tower: reads no field; `weight` is alpha, the strength of the pull.

    The pretrained weights are those that the backbone was built with, before a checkpoint was loaded. They are in no
    checkpoint: a resumed run builds its backbone from the same file before it loads, and so has the same bits; a
    checkpoint would be larger by the image tower. What was not pretrained, such as part tokens and the norms of the
    features, is left alone.
    """

    start: Tensor | None = None

    def bind_backbone(self, backbone: 'TextAwareCLIP') -> None:
        """Keep the pretrained weights; see the base class.

        Raises:
            ValueError: If the backbone has none.
        """
        names = set(backbone.pretrained_names())
        # In a list: the parameters are the backbone's, and must not be saved a second time.
        self.weights = [weight for name, weight in backbone.named_parameters() if name in names]
        self.start = torch.cat([weight.detach().flatten() for weight in self.weights])

    def forward(self) -> Tensor:
        """Return the loss.

        Raises:
            RuntimeError: If the term was not told of the backbone.
        """
        if self.start is None:
            raise RuntimeError('L2SPLoss knows no pretrained weights yet: call bind_backbone(backbone) first.')
        return l2_sp_loss(self.weights, self.start)
