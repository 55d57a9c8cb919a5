"""A trained image tower between its pretrained weights and its fine-tuned ones (WiSE-FT)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cmdg_plugin.registry import build_part

if TYPE_CHECKING:
    from cmdg_plugin.models.backbones import TextAwareCLIP

_PREFIX = 'backbone.'
# All else is of the training run, which cannot be gone on with other weights.
_KEPT = ('meta', 'state_dict')
INTERPOLATION = 'interpolation'
"""What a checkpoint's `meta` tells of weights that were moved back: their alpha."""


def interpolate_weights(
    pretrained: Mapping[str, Tensor], finetuned: Mapping[str, Tensor], alpha: float
) -> dict[str, Tensor]:
    """Mix weights: `(1 - alpha) * pretrained + alpha * finetuned` for those that have a pretrained value.

    The others, and integers, stay fine-tuned. With `alpha` 0 and 1 the result is one of the two bit by bit. Running
    statistics of batch norms are mixed, too.

    Source: Wortsman et al., Robust Fine-Tuning of Zero-Shot Models (WiSE-FT).

    Args:
        pretrained: Tensors by name.
        finetuned: Tensors by name.
        alpha: Share of the fine-tuned weights, in [0, 1].

    Returns:
        A tensor for each of `finetuned`, in its type.

    Raises:
        ValueError: If alpha is out of range, or a pretrained tensor has no fine-tuned one of its shape.
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f'alpha must lie between 0 (pretrained) and 1 (fine-tuned), got {alpha}.')
    for name, first in pretrained.items():
        shape = tuple(finetuned[name].shape) if name in finetuned else 'not there'
        if shape != tuple(first.shape):
            raise ValueError(
                f'{name} is {tuple(first.shape)} in the pretrained weights and {shape} in the checkpoint: give the '
                'pretrained weights and the image size of its training.'
            )
    mixed = dict(finetuned)
    for name, first in pretrained.items():
        if first.is_floating_point():
            last = finetuned[name]
            wide = torch.promote_types(last.dtype, torch.float32)
            mixed[name] = torch.lerp(first.to(wide), last.to(first.device, wide), alpha).to(last.dtype)
    return mixed


def pretrained_image_weights(backbone: Mapping[str, Any], quick_gelu: bool | None = None) -> dict[str, Tensor]:
    """Read the weights that training began with, by their names in a checkpoint: those of the image tower.

    Args:
        backbone: Config of the backbone, with its `pretrained`.
        quick_gelu: Activation that the training ran with, where that is known.

    Raises:
        FileNotFoundError: If the pretrained weights are not there.
        ValueError: If the config names none, or they do not fit.
    """
    # What speeds training up is of no use here.
    settings = {key: value for key, value in backbone.items() if key != 'compile'}
    if isinstance(quick_gelu, bool):
        settings['quick_gelu'] = quick_gelu
    return pretrained_weights(build_part(settings))


def pretrained_weights(backbone: 'TextAwareCLIP') -> dict[str, Tensor]:
    """Copy what a backbone was pretrained with, by the names in a checkpoint; it must not have been trained yet.

    Raises:
        ValueError: If the backbone has no pretrained weights.
    """
    state = backbone.state_dict()
    return {f'{_PREFIX}{name}': state[name].detach().clone() for name in backbone.pretrained_names()}


def check_as_trained(checkpoint: Mapping[str, Any]) -> None:
    """Refuse weights that were moved back before: the two shares would be multiplied, and only the last be told.

    Args:
        checkpoint: A checkpoint of a training run, or a published one.

    Raises:
        ValueError: If they were.
    """
    moved = checkpoint.get('meta', {}).get(INTERPOLATION)
    if moved:
        raise ValueError(
            f'The image tower of this checkpoint was moved back to its pretrained weights before (alpha '
            f'{moved["alpha"]:g}): give the one that it was made from, or train with alpha=1 in WeightAveragingHook.'
        )


def interpolate_checkpoint(
    checkpoint: Mapping[str, Any], pretrained: Mapping[str, Tensor], alpha: float
) -> dict[str, Any]:
    """Mix a checkpoint's image tower with the pretrained one; norms, heads and texts stay as they are.

    Args:
        checkpoint: A checkpoint of a training run, or a published one.
        pretrained: From `pretrained_image_weights`.
        alpha: Share of the fine-tuned weights, in [0, 1].

    Returns:
        A checkpoint for testing, inference, publishing and `load_from`; `meta.interpolation` says what it is. A run
        cannot be resumed from it.

    Raises:
        ValueError: As `interpolate_weights` and `check_as_trained` do.
    """
    check_as_trained(checkpoint)
    kept = {key: value for key, value in checkpoint.items() if key in _KEPT}
    meta = {**kept.get('meta', {}), INTERPOLATION: {'alpha': alpha}}
    return {**kept, 'meta': meta, 'state_dict': interpolate_weights(pretrained, kept.get('state_dict', {}), alpha)}
