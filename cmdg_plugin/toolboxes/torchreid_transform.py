"""Prepares images for our model where torchreid loads them."""

import copy
from typing import Any

from PIL import Image
from torch import Tensor

from cmdg_plugin.apis.preparation import ImagePreparation


class TorchreidTransform:
    """Resizes and normalizes as the model's config says, in place of torchreid's test transform.

    With it, `model(images)` on a batch of torchreid's loaders gives the features::

        loader.dataset.transform = TorchreidTransform(model)

    Args:
        model: From `cmdg_plugin.apis.init_model`.
    """

    def __init__(self, model: Any) -> None:
        self.prepare = ImagePreparation(model._config)
        # Workers prepare images, and they must not touch the model's device.
        self.data_preprocessor = copy.deepcopy(model.data_preprocessor).cpu()

    def __call__(self, image: Image.Image) -> Tensor:
        """Turn a picture into a normalized image, (3, H, W)."""
        return self.data_preprocessor({'inputs': self.prepare(image)[None]})['inputs'][0]
