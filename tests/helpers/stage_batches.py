"""Batches, preparations and names of parts for tests of the model and its stages."""

import copy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from mmpretrain.structures import DataSample

from cmdg_plugin.models import CMDGReID
from cmdg_plugin.registry import MODELS

IDENTITIES = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4]
DOMAINS = [0] * 6 + [1] * 9
DOMAIN_TEMPLATE = 'A photo of a {} person from {} dataset.'
FULL = Path(__file__).parents[2] / 'configs/_base_/models/cmdg_full_shared.py'
IMAGE_SIDE = ['image', 'head']
TEXT_SIDE = ['backbone.clip.transformer', 'backbone.clip.ln_final', 'backbone.clip.text_projection']


def bound_model(config: dict[str, Any], domains: list[int] | None = None) -> CMDGReID:
    """Build a model with seed 0, for images of the identities above."""
    torch.manual_seed(0)
    model = MODELS.build(copy.deepcopy(config))
    model.bind_identities(IDENTITIES, domains)
    return model


def batch(rows: list[int]) -> dict:
    """Images of random pixels for positions of the training set, as the dataloader gives them."""
    generator = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (len(rows), 3, 24, 16), dtype=torch.uint8, generator=generator)
    samples = []
    for row in rows:
        sample = DataSample().set_gt_label(IDENTITIES[row])
        sample.set_field(row, 'image_index')
        samples.append(sample)
    return {'inputs': images, 'data_samples': samples}


def losses_of(model: CMDGReID, rows: list[int]) -> dict[str, torch.Tensor]:
    return model(**model.data_preprocessor(batch(rows)), mode='loss')


@dataclass
class Given:
    """A preparation whose features are random, or given."""

    resumed: bool = False
    stages_done: tuple[str, ...] = ('prompt',)
    images: torch.Tensor | None = None
    generator: torch.Generator = field(default_factory=lambda: torch.Generator().manual_seed(2))

    def image_features(self, rows: slice | None) -> torch.Tensor:
        return torch.randn(len(IDENTITIES), 4, 16, generator=self.generator) if self.images is None else self.images

    def caption_features(self, rows: slice | None) -> torch.Tensor:
        return torch.randn(len(IDENTITIES), 4, 16, generator=self.generator)


def prepare_bridging(model: CMDGReID) -> None:
    model.start_stage('bridging', IMAGE_SIDE)
    model.prepare_stage(Given())


def captioned_batch(rows: list[int]) -> dict:
    made = batch(rows)
    for row, sample in zip(rows, made['data_samples'], strict=True):
        sample.set_field([f'part {region} of person {IDENTITIES[row]}' for region in 'ABCD'], 'captions')
    return made


def start_text_bridging(model: CMDGReID, trainable: list[str], resumed: bool = False) -> None:
    model.start_stage('bridging', trainable)
    model.prepare_stage(Given(resumed))
