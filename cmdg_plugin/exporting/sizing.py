"""A trained model at another image size: position embeddings resampled, its test pipeline told."""

import copy
from collections.abc import Sequence
from typing import Any

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from PIL import Image

from cmdg_plugin.apis.preparation import ImagePreparation
from cmdg_plugin.models.backbones.position_embedding import resize_position_embedding


def at_size(model: Any, size: Sequence[int]) -> Any:
    """Build a model anew for images of another size.

    Args:
        model: A `CMDGReID` from `init_model`; stays as it is.
        size: Height and width in pixels.

    Returns:
        A model as `init_model` gives it; the given one, if that is its size.

    Raises:
        ValueError: If the image tower cannot take that size.
    """
    backbone = model.backbone
    if tuple(size) == tuple(backbone.image_size):
        return model
    settings = copy.deepcopy(model._config)
    settings.model.backbone.update(image_size=tuple(size), pretrained=None, quick_gelu=backbone.quick_gelu)
    with DefaultScope.overwrite_default_scope(settings.get('default_scope') or 'cmdg_plugin'):
        resized = MODELS.build(settings.model)
    set_pipeline_size(settings, size)  # makes an image of that size, which the model has said is one
    tower, weights = backbone.image_tower, model.state_dict()
    positions = f'backbone.clip.visual.{tower.positions}'
    weights[positions] = resize_position_embedding(
        weights[positions], backbone.grid_size, resized.backbone.grid_size, tower.num_extra_positions
    )
    resized.load_state_dict(weights)
    resized._config = settings
    return resized.eval()


def set_pipeline_size(config: Config, size: Sequence[int]) -> None:
    """Let the test pipeline of a config resize images to a size.

    Args:
        config: Has `test_dataloader.dataset.pipeline`; changed.
        size: Height and width in pixels.

    Raises:
        ValueError: If the pipeline has no Resize, or images do not leave it in that size.
    """
    height, width = size
    for transform in config.test_dataloader.dataset.pipeline:
        if str(transform['type']).rpartition('.')[2] == 'Resize':
            transform['scale'] = (width, height)
    made = tuple(ImagePreparation(config)(Image.new('RGB', (64, 128))).shape[1:])
    if made != (height, width):
        raise ValueError(
            f'test_dataloader.dataset.pipeline makes images of {made[0]}x{made[1]} pixels (height x width), whatever '
            f'the scale of its Resize; set it to make {height}x{width}.'
        )
