"""One feature of every training identity, as memories of identities start from."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from cmdg_plugin.models.stages.base import Preparation
from cmdg_plugin.models.stages.prompt import encode_prompts
from cmdg_plugin.regions import GLOBAL

if TYPE_CHECKING:
    from cmdg_plugin.models.cmdg_reid import CMDGReID


@torch.no_grad()
def identity_features(model: 'CMDGReID', preparation: Preparation, source: str) -> Tensor:
    """Compute one feature of every identity.

    Args:
        model: The model, bound to training data.
        preparation: What encodes the training set.
        source: `images` or `captions` for the mean of an identity's L2-normalized global features, `prompts` for the
            features of the identity prompts.

    Returns:
        (C, D), the same on every rank.

    Raises:
        ValueError: If the source is unknown.
    """
    identities = model.images.identities
    if source == 'prompts':
        return encode_prompts(model, torch.arange(model.prompts.num_identities, device=identities.device))[0]
    if source == 'captions':
        features = preparation.caption_features(None)
    elif source == 'images':
        kept = model.image_features if model.kept_rows is None else None
        features = preparation.image_features(None) if kept is None else kept
    else:
        raise ValueError(f"source must be 'images', 'captions' or 'prompts', got {source!r}.")
    return mean_of_identities(features[:, GLOBAL], identities.to(features.device))


def mean_of_identities(features: Tensor, identities: Tensor) -> Tensor:
    """Mean of the L2-normalized features (N, D) of each identity (N,), numbered without gaps: (C, D)."""
    # In float64, where the order of the additions does not show once the sum is rounded.
    unit = functional.normalize(features.double(), dim=1)
    sums = unit.new_zeros(int(identities.max()) + 1, unit.shape[1]).index_add_(0, identities, unit)
    return (sums / identities.bincount()[:, None]).to(torch.promote_types(features.dtype, torch.float32))
