"""A step does not wait for a GPU before its losses are read, shown without a GPU."""

from typing import Any

import pytest
import torch
from helpers.fake_gpu import GPU, NoWaiting, fake_gpu, put_on_gpu
from helpers.stage_batches import (
    DOMAIN_TEMPLATE,
    DOMAINS,
    FULL,
    IMAGE_SIDE,
    Given,
    bound_model,
    captioned_batch,
)
from mmengine.config import Config
from torch import Tensor

ROWS = [0, 1, 3, 4, 6, 7]
EVERY_STEP = {
    'grayscale': {'prob': 0.5},
    'crop': {'padding': 2},
    'flip': {'prob': 0.5},
    'color_jitter': {'prob': 1.0, 'brightness': 0.15, 'contrast': 0.1, 'saturation': 0.05, 'hue': 0.05},
    'aug_mix': {'prob': 1.0, 'width': 3, 'depth': 3, 'severity': 1, 'coefficient': 0.1},
}
BANK = {'neighbors': 'neighbors', 'bank': 'bank', 'image_index': 'image_index'}
FURTHER_TERMS = [
    {'type': 'IdentityMemoryLoss', 'name': 'memory', 'inputs': {'features': 'global_shared'}},
    {
        'type': 'MultiPositiveCaptionLoss',
        'name': 'positives',
        'look_alike_ratio': 0.2,
        'inputs': {'text_regions': 'caption_regions', **BANK},
    },
    {'type': 'DomainAdversarialLoss', 'name': 'domain', 'inputs': {'features': 'global_shared'}},
    {'type': 'PromptGuidanceLoss', 'name': 'guidance', 'inputs': {'image': 'global_shared'}},
]


def losses_on_gpu(config: Config, stage: str, trainable: list[str]) -> dict[str, Tensor]:
    """Compute the losses of a stage's batch, refusing to wait; no number is computed."""

    def batch() -> dict[str, Any]:
        return {'image_index': torch.tensor(ROWS)} if stage == 'prompt' else captioned_batch(ROWS)

    model = bound_model(config.model, DOMAINS)
    model.start_stage(stage, trainable)
    model.prepare_stage(Given())
    model.start_epoch(0)
    # A template is tokenized when it is first used.
    model(**model.data_preprocessor(batch(), True), mode='loss')
    with fake_gpu():
        put_on_gpu(model)
        # MMEngine brings over what the loader gives.
        given = {
            name: [sample.to(GPU) for sample in value] if name == 'data_samples' else value.to(GPU)
            for name, value in batch().items()
        }
        vars(model.data_preprocessor)['_device'] = GPU
        with NoWaiting():
            return model(**model.data_preprocessor(given, True), mode='loss')


@pytest.mark.parametrize(
    ('stage', 'trainable'), [('warmup', IMAGE_SIDE), ('prompt', ['prompts']), ('bridging', IMAGE_SIDE)]
)
def test_the_released_recipe_never_waits(tiny_config: Config, stage: str, trainable: list[str]) -> None:
    losses = losses_on_gpu(tiny_config, stage, trainable)
    assert losses
    assert {value.device for value in losses.values()} == {GPU}


def test_other_terms_never_wait(tiny_config: Config) -> None:
    tiny_config.model.prompts.domain_template = DOMAIN_TEMPLATE
    terms = Config.fromfile(FULL).model.losses.bridging
    terms[0].update(start_epoch=0, num_neighbors=3)
    tiny_config.model.losses.bridging = [*terms, *FURTHER_TERMS]
    tiny_config.model.backbone.part_attention = True
    losses = losses_on_gpu(tiny_config, 'bridging', [*IMAGE_SIDE, 'losses.bridging'])
    assert {f'loss_{term["name"]}' for term in FURTHER_TERMS} < losses.keys()
    assert 'neighbors/text_same_identity' in losses


def test_augmentation_never_waits(tiny_config: Config) -> None:
    tiny_config.model.data_preprocessor.augmentation = {'type': 'BatchAugmentation', 'steps': EVERY_STEP}
    assert losses_on_gpu(tiny_config, 'warmup', IMAGE_SIDE)
