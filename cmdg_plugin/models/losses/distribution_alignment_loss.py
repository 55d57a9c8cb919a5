"""Maximum mean discrepancy between image and caption features (L_mmd)."""

import torch
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.losses.base import LossTerm
from cmdg_plugin.models.losses.captioned import have_captions
from cmdg_plugin.models.utils import check_positive, check_sizes, full_precision, to_common_float
from cmdg_plugin.registry import MODELS

_OWNER = 'distribution_alignment_loss'


def _kernel(left: Tensor, right: Tensor, bandwidth: float) -> Tensor:
    # Both sides are unit vectors, so |a - b|^2 = 2 - 2 a.b, without cancellation between large norms.
    return torch.exp((left @ right.T - 1) / bandwidth**2)


def _mean(kernel: Tensor, pairs: Tensor) -> Tensor:
    return kernel.masked_fill(~pairs, 0).sum() / pairs.sum().clamp_min(1)


def distribution_alignment_loss(image: Tensor, text: Tensor, *, bandwidth: float = 0.65) -> Tensor:
    """Distance between the distributions of a batch's image and caption features.

    Squared maximum mean discrepancy with the kernel `exp(-|a - b|^2 / (2 bandwidth^2))` on L2-normalized features; the
    image-image and text-text means leave a sample's pair with itself out, the cross mean keeps it, so the value may
    fall slightly below 0. Captions are the fixed side: no gradient reaches `text`. Where a caption's feature is zero,
    there is none: its image is left out.

    Source: CMDG, distribution alignment between modalities (L_mmd).

    Args:
        image: (B, D) global image features, of any length; B of at least 2.
        text: (B, D) global caption features.
        bandwidth: Kernel width, above 0.

    Returns:
        Scalar loss, float32 or float64.

    Raises:
        ValueError: If shapes disagree, the batch holds fewer than two samples, or the bandwidth is not above 0.
    """
    size = check_sizes(_OWNER, image=(image, 'BD'), text=(text, 'BD'))['B']
    check_positive(_OWNER, bandwidth=bandwidth)
    if size < 2:
        raise ValueError(f'{_OWNER}: needs at least two samples in a batch to compare pairs, got {size}.')
    with full_precision(image.device):
        image, text = to_common_float(image, text.detach())
        image, text = functional.normalize(image, dim=1), functional.normalize(text, dim=1)
        captioned = have_captions(text)
        across = captioned[:, None] & captioned
        within = across & ~torch.eye(size, dtype=torch.bool, device=text.device)
        alike = _mean(_kernel(image, image, bandwidth), within) + _mean(_kernel(text, text, bandwidth), within)
        # A single caption has nothing to be compared with.
        return (alike - 2 * _mean(_kernel(image, text, bandwidth), across)) * within.any()


@MODELS.register_module()
class DistributionAlignmentLoss(LossTerm):
    """Module form of `distribution_alignment_loss`, whose settings it takes."""

    def __init__(self, bandwidth: float = 0.65) -> None:
        super().__init__()
        check_positive(type(self).__name__, bandwidth=bandwidth)
        self.bandwidth = bandwidth

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        """Return the loss of (B, D) image and (B, D) caption features."""
        return distribution_alignment_loss(image, text, bandwidth=self.bandwidth)
