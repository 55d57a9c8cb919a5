"""Steps of every stage of every recipe as a GPU would run them: nothing mixes devices, no step waits for the device.

What needs numbers, a real device or a backward pass there is left to the tests marked `gpu`.
"""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.pretended_gpu import PretendedGPU
from helpers.stage_batches import DOMAIN_TEMPLATE, DOMAINS, Given, bound_model, captioned_batch
from mmengine.config import Config

from cmdg_plugin.models import CMDGReID
from cmdg_plugin.models.stages.prompt import encode_prompts

CONFIGS = Path(__file__).parents[2] / 'configs'
RECIPES = sorted(path for folder in ('cmdg', 'baselines') for path in (CONFIGS / folder).glob('*_toy-vit_islands.py'))
STAGES = [(path, stage.name) for path in RECIPES for stage in Config.fromfile(path).train_cfg.stages]
ROWS = [0, 1, 3, 4, 6, 7]
AUGMENTATION = {
    'type': 'BatchAugmentation',
    'steps': {
        'grayscale': {'prob': 0.5},
        'crop': {'padding': 2},
        'flip': {'prob': 0.5},
        'color_jitter': {'prob': 1.0, 'brightness': 0.15, 'contrast': 0.1, 'saturation': 0.05, 'hue': 0.05},
        'aug_mix': {'prob': 1.0, 'width': 3, 'depth': 3, 'severity': 1, 'coefficient': 0.1},
    },
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


def tiny(path: Path, tiny_clip: str) -> Config:
    """The config of a recipe with a tiny model."""
    config = Config.fromfile(path)
    config.model.backbone.update(model_name=tiny_clip, pretrained=None, image_size=(24, 16))
    config.model.data_preprocessor.augmentation = AUGMENTATION
    for term in [term for terms in config.model.losses.values() for term in terms]:
        if 'num_neighbors' in term:
            term['num_neighbors'] = 3
    return config


def started(config: Config, stage: str) -> CMDGReID:
    """The model at the beginning of a stage, prepared on the CPU."""
    model = bound_model(config.model, DOMAINS)
    (trainable,) = [entry.trainable for entry in config.train_cfg.stages if entry.name == stage]
    model.start_stage(stage, trainable)
    model.start_epoch(9)  # in which terms that begin late take part
    # Templates are tokenized once, on the CPU.
    encode_prompts(model, torch.arange(2))
    model.prepare_stage(Given())
    return model


def batch(model: CMDGReID) -> dict[str, Any]:
    """A batch of the stage, where the loader's are brought to."""
    data = captioned_batch(ROWS) if model.stage != 'prompt' else {'image_index': torch.tensor(ROWS)}
    return model.data_preprocessor.cast_data(data)


def losses_there(model: CMDGReID) -> tuple[dict[str, torch.Tensor], list[str]]:
    """Losses of a batch on a pretended GPU, and what waited for it."""
    gpu = PretendedGPU()
    gpu.take_model(model)
    with gpu.running():
        data = batch(model)
        gpu.waits.clear()
        losses = model(**model.data_preprocessor(data, training=True), mode='loss')
    return losses, gpu.waits


each_stage = pytest.mark.parametrize(('path', 'stage'), STAGES, ids=[f'{path.stem}-{stage}' for path, stage in STAGES])


@each_stage
def test_no_step_mixes_devices_or_waits_for_one(path: Path, stage: str, tiny_clip: str) -> None:
    losses, waits = losses_there(started(tiny(path, tiny_clip), stage))
    assert {loss.device.type for loss in losses.values()} == {'cuda'}
    assert waits == []


def test_terms_of_no_recipe_mix_no_devices_and_wait_for_none(tiny_clip: str) -> None:
    config = tiny(CONFIGS / 'cmdg/cmdg-full_toy-vit_islands.py', tiny_clip)
    config.model.prompts.domain_template = DOMAIN_TEMPLATE
    terms = config.model.losses.bridging
    terms[0].start_epoch = 0
    config.model.losses.bridging = [*terms, *FURTHER_TERMS]
    config.train_cfg.stages[-1].trainable.append('losses.bridging')
    losses, waits = losses_there(started(config, 'bridging'))
    assert {f'loss_{term["name"]}' for term in FURTHER_TERMS} < losses.keys()
    assert waits == []


def test_what_mixes_devices_or_waits_is_seen() -> None:
    gpu = PretendedGPU()
    there, here = gpu.take(torch.zeros(3)), torch.zeros(3)
    with gpu.running(), pytest.raises(RuntimeError, match='device'):
        there + here
    with gpu.running(), pytest.raises(RuntimeError, match='_local_scalar_dense'):
        there.sum().item()
    with gpu.running():
        here.to('cuda', non_blocking=True)
    assert len(gpu.waits) == 1


@each_stage
def test_no_backward_pass_mixes_devices_or_reads_numbers(
    path: Path, stage: str, tiny_clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PyTorch's meta device, whose tensors hold no data either, and where backward passes run."""
    model = started(tiny(path, tiny_clip), stage).to('meta')
    # It knows no half precision to switch off.
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: nullcontext())
    losses = model(**model.data_preprocessor(batch(model), training=True), mode='loss')
    sum(losses.values()).backward()
    assert any(parameter.grad is not None for parameter in model.parameters())
