"""Building an open_clip model that the text-aware backbone can work with, and refusing the others early."""

from collections.abc import Sequence
from typing import Any

import open_clip

from cmdg_plugin.models.backbones.image_towers import find_family
from cmdg_plugin.models.backbones.region_pooling import stripe_bounds
from cmdg_plugin.models.backbones.shipped_models import SHIPPED_MODELS, register_shipped_model


def find_model_config(model_name: str) -> dict[str, Any]:
    """Look a model's configuration up and check that this backbone can use it.

    Args:
        model_name: Name of an open_clip model ('ViT-B-16', 'ViT-L-14-quickgelu', ...) or of a shipped one.

    Returns:
        A copy of the configuration, with `vision_cfg` and `text_cfg`.

    Raises:
        ValueError: If there is no such model, or if it lacks what the method needs.
    """
    register_shipped_model(model_name)
    if model_name not in open_clip.list_models():
        vits = [name for name in open_clip.list_models() if name.startswith('ViT-')]
        raise ValueError(
            f'open_clip has no model named {model_name!r}. Known are among others {", ".join(vits[:6])}, '
            f'{", ".join(SHIPPED_MODELS)}; add your own with open_clip.add_model_config(path_to_json).'
        )
    config = open_clip.get_model_config(model_name)
    problem = _image_tower_problem(config) or _text_tower_problem(config['text_cfg'])
    if problem:
        raise ValueError(
            f'TextAwareCLIP cannot use {model_name!r}: {problem}. '
            "Take for instance 'ViT-B-16', 'RN50', 'EVA02-B-16' or 'ViT-B-16-SigLIP2' (docs/configs.md)."
        )
    return config


def _image_tower_problem(config: dict[str, Any]) -> str | None:
    vision = config['vision_cfg']
    if 'multimodal_cfg' in config:
        return 'it is a captioning model (CoCa), whose pooling mixes all tokens'
    return find_family(vision).problem(vision)


def _text_tower_problem(text: dict[str, Any]) -> str | None:
    if text.get('hf_model_name'):
        return f'its text tower {text["hf_model_name"]!r} comes from Hugging Face, not from open_clip'
    if text.get('embed_cls'):
        return 'its text feature is an appended class token'
    pool = text.get('pool_type', 'argmax')
    if text.get('no_causal_mask') and pool != 'last':
        return f'its text tower is not causal, but its feature is pooled by {pool!r}, not taken from the last token'
    if not text.get('no_causal_mask') and pool not in ('argmax', 'eos'):
        return f'its text feature is pooled by {pool!r}, not taken from the end-of-text token'
    return None


def to_size(image_size: int | Sequence[int]) -> tuple[int, int]:
    """Read an image size that may be one number or two.

    Args:
        image_size: Side of a square image, or height and width, in pixels.

    Returns:
        Height and width in pixels.

    Raises:
        ValueError: If it is neither one nor two positive integers.
    """
    size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size)
    if len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise ValueError(f'`image_size` must be a positive int or (height, width) in pixels, got {image_size!r}.')
    return size[0], size[1]


def token_grid(config: dict[str, Any], image_size: tuple[int, int] | None = None) -> tuple[int, int]:
    """Height and width of the token grid of a model.

    Args:
        config: Configuration as `find_model_config` returns it.
        image_size: Height and width of the images in pixels; the model's native size if None.

    Raises:
        ValueError: If tokens do not tile the image, if there are fewer than three rows, or if the tower's position
            embeddings are made for squares alone.
    """
    vision = config['vision_cfg']
    height, width = image_size or to_size(vision.get('image_size', 224))
    patch_height, patch_width = find_family(vision).stride(vision)
    if height % patch_height or width % patch_width:
        raise ValueError(
            f'Images of {height}x{width} pixels (height x width) cannot be tiled with patches of '
            f'{patch_height}x{patch_width}: both sides must be multiples.'
        )
    stripe_bounds(height // patch_height)
    if vision.get('pos_embed_type') == 'sin_cos_2d' and height // patch_height != width // patch_width:
        raise ValueError(
            f'Images of {height}x{width} pixels do not suit this model: its position embeddings (sin_cos_2d) are made '
            'for as many rows as columns. Use square images, or another model.'
        )
    return height // patch_height, width // patch_width


def build_clip(config: dict[str, Any], image_size: tuple[int, int] | None, quick_gelu: bool | None = None) -> Any:
    """Build an open_clip model with random weights.

    Args:
        config: Configuration as `find_model_config` returns it; not changed.
        image_size: Height and width of the images in pixels; the model's native size if None.
        quick_gelu: Whether to use OpenAI's approximation of GELU; what the configuration says if None.

    Returns:
        An `open_clip.CLIP` or `open_clip.CustomTextCLIP`.
    """
    arguments = {key: value for key, value in config.items() if key != 'custom_text'}
    family = find_family(config['vision_cfg'])
    if image_size is not None:
        arguments['vision_cfg'] = family.sized(config['vision_cfg'], image_size)
    if quick_gelu is not None:
        arguments['quick_gelu'] = quick_gelu
    wrapper = open_clip.CustomTextCLIP if config.get('custom_text') else open_clip.CLIP
    clip = wrapper(**arguments)
    if image_size is not None:
        family.resize(clip.visual, image_size)
    return clip
