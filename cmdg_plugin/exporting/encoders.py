"""What is exported: a model from pixels to features, and from token ids to features, each with all it needs inside."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cmdg_plugin.models.cmdg_reid import CMDGReID
from cmdg_plugin.models.data_preprocessor import ReIDDataPreprocessor

INPUTS = {
    '0..1': ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0)),
    '0..255': ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    'imagenet': ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375)),
}
"""What pixels may be when they come in: RGB means and deviations, on the scale 0-255, that were taken out of them."""


class ImageEncoder(nn.Module):
    """Images as others prepare them to retrieval features: normalization, towers, LayerNorms, concatenation, length.

    Args:
        model: From `init_model`.
        expects: What comes in, a key of `INPUTS`.
        half: Whether the tower's weights are in half precision. Normalization and the last LayerNorms are not.

    Raises:
        ValueError: If it is not a `CMDGReID` with the plugin's data preprocessor.
    """

    offset: Tensor
    scale: Tensor

    def __init__(self, model: Any, expects: str = '0..1', half: bool = False) -> None:
        super().__init__()
        if not isinstance(model, CMDGReID) or not isinstance(model.data_preprocessor, ReIDDataPreprocessor):
            parts = (type(part).__name__ for part in (model, getattr(model, 'data_preprocessor', None)))
            raise ValueError(
                f'Only a CMDGReID with a ReIDDataPreprocessor can be exported, not a {" with a ".join(parts)}.'
            )
        self.model = model
        self.dtype = _set_precision(model, half)
        mean, std = INPUTS[expects]
        self.register_buffer('offset', torch.tensor(mean).view(3, 1, 1))
        self.register_buffer('scale', torch.tensor(std).view(3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Encode RGB images (B, 3, H, W); returns features (B, W + D) of length one."""
        normalized = self.model.data_preprocessor.normalize_rgb(images * self.scale + self.offset)
        return self.model.extract_features(normalized.to(self.dtype))


class TextEncoder(nn.Module):
    """Token ids to features of sentences, comparable with the last D numbers of an image's.

    Args:
        model: From `init_model`.
        half: Whether the tower's weights are in half precision.
    """

    def __init__(self, model: CMDGReID, half: bool = False) -> None:
        super().__init__()
        _set_precision(model, half)
        self.backbone = model.backbone

    def forward(self, tokens: Tensor) -> Tensor:
        """Encode token ids (B, context length); returns features (B, D) of length one."""
        return functional.normalize(self.backbone.encode_text(tokens).float(), dim=1)


def _set_precision(model: CMDGReID, half: bool) -> torch.dtype:
    # `clip` alone: the LayerNorms of the features, and the features, stay in single precision.
    model.backbone.clip.to(torch.float16 if half else torch.float32)
    return torch.float16 if half else torch.float32
