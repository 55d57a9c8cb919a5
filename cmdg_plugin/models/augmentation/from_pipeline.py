"""Takes the random transforms that `BatchAugmentation` can do out of a pipeline."""

from collections.abc import Sequence
from typing import Any

from mmcv.transforms import RandomApply, RandomFlip
from torchvision import transforms as torchvision

from cmdg_plugin.datasets.transforms import AugMix

_JITTER = ('brightness', 'contrast', 'saturation', 'hue')


def split_pipeline(pipeline: Sequence[Any]) -> tuple[list[Any], dict[str, dict[str, Any]]]:
    """Split transforms into those that stay and steps of `BatchAugmentation` with the same constants.

    Args:
        pipeline: Built transforms.

    Returns:
        The transforms that stay, in their order, and the steps in theirs.

    Raises:
        ValueError: If there is nothing to move, or if a transform would change places with another by it.
    """
    stay: list[Any] = []
    steps: dict[str, dict[str, Any]] = {}
    converting = False
    for transform in pipeline:
        kind = type(transform).__name__
        found = _as_step(transform)
        if found is not None and found[0] not in steps:
            steps[found[0]] = found[1]
        elif kind == 'NumpyToPIL' and transform.to_rgb:
            converting = True
        elif kind == 'PILToNumpy' and transform.to_bgr and converting:
            converting = False
        elif kind == 'PackInputs' or not (steps or converting):
            stay.append(transform)
        else:
            name = ' '.join(repr(transform).split())
            raise ValueError(
                f'device_augmentation cannot move {name} to the device, and what stands before it would then come '
                'after it: put it before the random transforms, or train without device_augmentation.'
            )
    if not steps:
        raise ValueError('device_augmentation finds no random transform in the training pipeline that it could move.')
    return stay, steps


def _as_step(transform: Any) -> tuple[str, dict[str, Any]] | None:
    """Name and settings of the step that does the same; None if there is none."""
    inner = getattr(transform, 't', transform)  # mmpretrain wraps torchvision's so
    if isinstance(inner, RandomApply):
        inside = [_as_step(item) for item in inner.transforms.transforms]
        if len(inside) == 1 and inside[0] is not None and inside[0][0] in ('color_jitter', 'aug_mix'):
            return inside[0][0], {**inside[0][1], 'prob': inner.prob}
    if isinstance(inner, torchvision.RandomGrayscale):
        return 'grayscale', {'prob': inner.p}
    if isinstance(inner, torchvision.RandomHorizontalFlip):
        return 'flip', {'prob': inner.p}
    if isinstance(inner, RandomFlip) and isinstance(inner.prob, float) and inner.direction == 'horizontal':
        return 'flip', {'prob': inner.prob}
    if isinstance(inner, torchvision.ColorJitter):
        return 'color_jitter', {name: getattr(inner, name) for name in _JITTER}
    if isinstance(inner, AugMix):
        return 'aug_mix', {name: getattr(inner, name) for name in ('width', 'depth', 'severity', 'coefficient')}
    if type(inner).__name__ == 'RandomCrop':  # torchvision's and mmpretrain's, which agree on these
        fill = getattr(inner, 'fill', None) or getattr(inner, 'pad_val', 0)
        padding = inner.padding or 0
        if isinstance(padding, int) and inner.padding_mode == 'constant' and not inner.pad_if_needed and not fill:
            size = tuple(int(side) for side in getattr(inner, 'size', None) or inner.crop_size)
            return 'crop', {'padding': padding, 'size': size}
    return None
