"""Checkpoints without what only training needs."""

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cmdg_plugin.checkpoints.reading import check_finite, read_checkpoint
from cmdg_plugin.files.writing import write_whole
from cmdg_plugin.models.cmdg_reid import TRAINING_PARTS

_META_KEPT = (
    'cfg',
    'quick_gelu',
    'dataset_meta',
    'epoch',
    'seed',
    'experiment_name',
    'mmengine_version',
    'interpolation',
)


def strip_checkpoint(checkpoint: Mapping[str, Any], half: bool = False) -> dict[str, Any]:
    """Keep what inference needs: the weights of the towers, and the config with which they were trained.

    Optimizer, schedules, logs, classifiers, identity prompts, the memory bank, parameters of loss terms, and the
    weights that an EMA hook keeps beside the averaged ones, are left out.

    Args:
        checkpoint: A checkpoint of a training run.
        half: Whether to store the weights in half precision.

    Returns:
        A checkpoint that `tools/test.py` and `init_model` load.

    Raises:
        ValueError: If it is not a checkpoint of a training run of this plugin.
    """
    weights = checkpoint.get('state_dict')
    if not isinstance(weights, Mapping) or not any(name.startswith('backbone.') for name in weights):
        raise ValueError('Expected a checkpoint with the weights of a CMDGReID model in `state_dict`.')
    beginnings = tuple(f'{part}.' for part in TRAINING_PARTS)
    kept = {name: value.cpu() for name, value in weights.items() if not name.startswith(beginnings)}
    if half:
        kept = {name: value.half() if value.is_floating_point() else value for name, value in kept.items()}
        check_finite(kept, 'Weights that half precision cannot hold (above 65,504)')
    meta = checkpoint.get('meta', {})
    return {'meta': {key: meta[key] for key in _META_KEPT if key in meta}, 'state_dict': kept}


def publish_model(checkpoint_file: Path, out: Path, half: bool = False) -> Path:
    """Write a stripped checkpoint under a name that ends with the beginning of its SHA-256, as OpenMMLab's do.

    Args:
        checkpoint_file: A checkpoint of a training run.
        out: File to write, without the hash: `model.pth` becomes `model-1a2b3c4d.pth`.
        half: Whether to store the weights in half precision.

    Raises:
        FileNotFoundError: If there is no such checkpoint.
        ValueError: If it is not one of this plugin.
    """
    checkpoint = read_checkpoint(checkpoint_file)
    with io.BytesIO() as file:
        torch.save(strip_checkpoint(checkpoint, half), file)
        content = file.getvalue()
    target = out.with_name(f'{out.stem}-{hashlib.sha256(content).hexdigest()[:8]}.pth')
    write_whole(target, content)
    return target
