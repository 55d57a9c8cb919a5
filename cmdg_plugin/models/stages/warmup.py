"""Stage 1, image warm-up: the image tower learns who is who."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from cmdg_plugin.models.data_preprocessor import image_positions
from cmdg_plugin.models.stages.base import TrainingStage
from cmdg_plugin.models.utils import gather_batch, on_device
from cmdg_plugin.regions import GLOBAL
from cmdg_plugin.registry import MODELS

if TYPE_CHECKING:
    from cmdg_plugin.models.cmdg_reid import CMDGReID


@dataclass
class ImageFields:
    """What an image batch gives, of the batches of all ranks: B images, C identities, R regions.

    Attributes:
        labels: Identities, (B,).
        domains: Domains, (B,).
        image_index: Positions in the training set, (B,).
        epoch: Epoch of the stage, from 0.
        last_block_token: Class token that enters the last block, (B, W).
        global_width: Global feature in the tower's width, (B, W).
        global_shared: Global feature in the width shared with texts, (B, D).
        image_regions: Region features, (R, B, D).
        logits_width: Identity scores of `global_width`, (B, C).
        logits_shared: Identity scores of `global_shared`, (B, C).
    """

    labels: Tensor
    domains: Tensor
    image_index: Tensor
    epoch: int
    last_block_token: Tensor
    global_width: Tensor
    global_shared: Tensor
    image_regions: Tensor
    logits_width: Tensor
    logits_shared: Tensor


@MODELS.register_module()
class WarmupStage(TrainingStage):
    """Image warm-up (CMDG, stage 1): identities alone, no text."""

    fields: ClassVar[type] = ImageFields

    def compute(self, model: 'CMDGReID', batch: Mapping[str, Any]) -> ImageFields:
        """Encode and classify a batch of images; see the base class.

        Args:
            model: The model.
            batch: Normalized `inputs`, (B, 3, H, W), and their `data_samples`, with `gt_label` and `image_index`.

        Raises:
            ValueError: If a sample does not say where in the training set its image stands.
        """
        features, data_samples = model.backbone.encode_image(batch['inputs']), batch['data_samples']
        labels = torch.cat([sample.gt_label for sample in data_samples])
        token, width, regions = gather_batch(
            features.last_block_token, features.width_regions[GLOBAL], features.shared_regions.transpose(0, 1)
        )
        logits_width, logits_shared = model.head(width, regions[:, GLOBAL])
        labels, index = gather_batch(labels, on_device(image_positions(data_samples), labels.device))
        return ImageFields(
            labels=labels,
            domains=model.images.domains[index],
            image_index=index,
            epoch=model.stage_epoch,
            last_block_token=token,
            global_width=width,
            global_shared=regions[:, GLOBAL],
            image_regions=regions.transpose(0, 1),
            logits_width=logits_width,
            logits_shared=logits_shared,
        )
