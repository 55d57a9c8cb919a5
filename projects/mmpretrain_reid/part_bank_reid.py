"""A model of a project of its own that borrows this plugin's backbone, memory bank and losses."""

from typing import Any

import torch
from mmengine.model import BaseModel
from mmpretrain.registry import MODELS
from torch import Tensor
from torch.nn import functional


@MODELS.register_module()
class PartBankReID(BaseModel):
    """Pulls body parts towards their neighbors in a memory bank, and image regions towards their captions.

    Args:
        backbone: Config of a text-aware backbone.
        losses: Loss terms, see `cmdg_plugin.models.LossTerms`; they read `parts`, `bank`, `image_index`, `regions`,
            `captions`, `global` and `labels`.
        num_images: Number of training images.
        data_preprocessor: Config of the data preprocessor.
    """

    def __init__(
        self,
        backbone: dict[str, Any],
        losses: list[dict[str, Any]],
        num_images: int,
        data_preprocessor: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(data_preprocessor)
        self.backbone = MODELS.build(backbone)
        self.losses = MODELS.build({'type': 'cmdg_plugin.LossTerms', 'terms': losses})
        self.memory = MODELS.build(
            {
                'type': 'cmdg_plugin.CaptionMemoryBank',
                'num_samples': num_images,
                'num_parts': 3,
                'dim': self.backbone.embed_dim,
            }
        )

    def forward(self, inputs: Tensor, data_samples: list[Any] | None = None, mode: str = 'tensor') -> Any:
        """Return features, data samples with a `feature` each, or losses."""
        if mode == 'loss':
            return self.loss(inputs, data_samples or [])
        features = functional.normalize(self.backbone(inputs)[0], dim=1)
        if mode == 'tensor':
            return features
        for sample, feature in zip(data_samples or [], features, strict=True):
            sample.set_field(feature, 'feature')
        return data_samples

    def loss(self, inputs: Tensor, data_samples: list[Any]) -> dict[str, Tensor]:
        """Update the bank with the batch, then compute the loss terms."""
        regions = self.backbone.encode_image(inputs).shared_regions
        captions = self._encode_captions(data_samples)
        positions = torch.tensor([sample.image_index for sample in data_samples], device=inputs.device)
        self.memory.update(positions, regions[:3].detach(), captions[:3])
        return self.losses(
            {
                'parts': regions[:3],
                'bank': self.memory.rows_to_search(),
                'image_index': positions,
                'regions': regions,
                'captions': captions,
                'global': regions[-1],
                'labels': torch.cat([sample.gt_label for sample in data_samples]),
            }
        )

    def _encode_captions(self, data_samples: list[Any]) -> Tensor:
        """Encode four captions of each image, (4, B, D)."""
        sentences = [sentence for sample in data_samples for sentence in sample.captions]
        tokens, _ = self.backbone.tokenize(sentences)
        features = self.backbone.encode_text(tokens.to(self.memory.image.device))
        return features.unflatten(0, (len(data_samples), 4)).transpose(0, 1)
