"""A model's hash, by which vectors of one model are told from those of another."""

import hashlib
import json
from typing import Any

import torch
from mmengine.config import Config, ConfigDict


def hash_model(model: Any) -> str:
    """Hash what features depend on: the weights of both towers, and how images are prepared.

    Args:
        model: From `init_model`, with a `backbone`.

    Returns:
        SHA-256, in hexadecimal digits. Galleries and exported files carry it.
    """
    config = model._config
    settings = {
        'preprocessor': config.model.get('data_preprocessor'),
        'pipeline': config.test_dataloader.dataset.pipeline,
    }
    state = hashlib.sha256(json.dumps(settings, sort_keys=True, default=_plain).encode())
    for name, tensor in sorted(model.backbone.state_dict().items()):
        values = tensor.detach().cpu().contiguous()
        state.update(f'{name} {values.dtype} {tuple(values.shape)}\n'.encode())
        state.update(values.reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()


def _plain(value: Any) -> Any:
    return value.to_dict() if isinstance(value, Config | ConfigDict) else str(value)
