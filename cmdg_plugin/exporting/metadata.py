"""What an exported file says of itself, inside and beside it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

import cmdg_plugin
from cmdg_plugin.apis.model_hash import hash_model
from cmdg_plugin.files.writing import write_whole

WEIGHTS_HASH = 'weights_sha256'
"""Of files whose weights stand beside them: by what these are known."""

_SCHEMA = 1


def describe_images(model: Any, pixels: tuple[tuple[float, ...], ...], expects: str, precision: str) -> dict[str, Any]:
    """Describe a graph that encodes images.

    `schema_version`, `model_name`, `preprocess`, `img_size` and `model_kwargs` are what BoxMOT looks for.

    Args:
        model: The model, at the size that is exported.
        pixels: RGB means and deviations that are taken out of pixels before they come in.
        expects: What that is called, a key of `encoders.INPUTS`.
        precision: `fp32`, `fp16` or `int8`.
    """
    backbone = model.backbone
    size = list(backbone.image_size)
    normalization = model.data_preprocessor.normalization
    return {
        'schema_version': _SCHEMA,
        'model_name': 'cmdg_reid',
        'preprocess': 'resize',
        'img_size': size,
        'model_kwargs': {'img_size': size},
        'input': 'images: float32 (N, 3, height, width), RGB',
        'expected_input': expects,
        'input_mean': pixels[0],
        'input_std': pixels[1],
        # But for the eps of the norm, which dark images feel: docs/export.md.
        'any_scale_and_shift': normalization == 'instance',
        'output': f'features: float32 (N, {backbone.out_channels}) of length one',
        **_describe(model, precision),
        'recipe': {
            'model': type(model).__name__,
            'backbone': dict(model._config.model.backbone),
            'normalization': normalization,
            'flip_test': model.flip_test,
        },
    }


def describe_texts(model: Any, tokenizer: str) -> dict[str, Any]:
    """Describe a graph that encodes sentences.

    Args:
        model: The model.
        tokenizer: Name of the tokenizer's file beside it.
    """
    backbone = model.backbone
    return {
        'schema_version': _SCHEMA,
        'input': f'tokens: int64 (N, {backbone.context_length})',
        'output': f'features: float32 (N, {backbone.embed_dim}) of length one',
        'compare_with': f'the last {backbone.embed_dim} numbers of image features, brought to length one',
        'tokenizer': tokenizer,
        **_describe(model, 'fp32'),
    }


def _describe(model: Any, precision: str) -> dict[str, Any]:
    return {
        'model_hash': hash_model(model),
        'precision': precision,
        'version': cmdg_plugin.__version__,
        'torch_version': torch.__version__,
    }


def as_text(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Metadata as files hold them, whose values are text: what is not becomes JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}


def sidecar_of(path: Path) -> Path:
    """Where the metadata beside a file are, such as `model.onnx.metadata.json`."""
    return path.with_name(f'{path.name}.metadata.json')


def weights_of(path: Path) -> Path:
    """Where the weights of a file are that are not inside it: `model.bin` of `model.xml`, `model.onnx.data`."""
    return path.with_suffix('.bin') if path.suffix == '.xml' else path.with_name(f'{path.name}.data')


def write_sidecar(path: Path, metadata: Mapping[str, Any]) -> None:
    """Write metadata beside a file."""
    write_whole(sidecar_of(path), json.dumps(metadata, indent=2) + '\n')
