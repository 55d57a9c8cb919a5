"""Steps of every stage of every recipe as a GPU would run them: nothing mixes devices, no step waits for the device.

What needs numbers, a real device or a backward pass there is left to the tests marked `gpu`.
"""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.pretended_gpu import PretendedGPU
from helpers.stage_batches import DOMAINS, Given, bound_model, captioned_batch
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
        'crop': {'padding': 10},
        'flip': {'prob': 0.5},
        'color_jitter': {'prob': 0.5, 'brightness': 0.15, 'contrast': 0.1, 'saturation': 0.05, 'hue': 0.05},
        'aug_mix': {'prob': 1.0, 'width': 3, 'depth': 1, 'severity': 1, 'coefficient': 0.1},
    },
}


def started(path: Path, stage: str, tiny_clip: str) -> CMDGReID:
    """A tiny model of a recipe at the beginning of a stage."""
    config = Config.fromfile(path)
    config.model.backbone.update(model_name=tiny_clip, pretrained=None, image_size=(24, 16))
    config.model.data_preprocessor.augmentation = AUGMENTATION
    for term in config.model.losses[stage]:
        if 'num_neighbors' in term:
            term['num_neighbors'] = 3
    model = bound_model(config.model, DOMAINS)
    (trainable,) = [entry.trainable for entry in config.train_cfg.stages if entry.name == stage]
    model.start_stage(stage, trainable)
    model.start_epoch(0)
    # Templates are tokenized once, on the CPU.
    encode_prompts(model, torch.arange(2))
    return model


def given(features: torch.Tensor) -> Given:
    """A preparation that gives these features of images and of captions."""
    preparation = Given(images=features)
    preparation.caption_features = preparation.image_features  # type: ignore[method-assign]
    return preparation


def losses_of(model: CMDGReID) -> dict[str, torch.Tensor]:
    data: dict[str, Any] = captioned_batch(ROWS) if model.stage != 'prompt' else {'image_index': torch.tensor(ROWS)}
    return model(**model.data_preprocessor(data, training=True), mode='loss')


@pytest.mark.parametrize(('path', 'stage'), STAGES, ids=[f'{path.stem}-{stage}' for path, stage in STAGES])
def test_no_step_mixes_devices_or_waits_for_one(path: Path, stage: str, tiny_clip: str) -> None:
    model, gpu = started(path, stage, tiny_clip), PretendedGPU()
    gpu.take_model(model)
    with gpu.running():
        model.prepare_stage(given(gpu.take(torch.randn(len(DOMAINS), 4, 16))))
        gpu.waits.clear()
        losses = losses_of(model)
    assert {loss.device.type for loss in losses.values()} == {'cuda'}
    assert not gpu.waits


def test_what_mixes_devices_or_waits_is_seen() -> None:
    gpu = PretendedGPU()
    there, here = gpu.take(torch.zeros(3)), torch.zeros(3)
    with gpu.running(), pytest.raises(RuntimeError, match='device'):
        there + here
    with gpu.running(), pytest.raises(RuntimeError, match='_local_scalar_dense'):
        there.sum().item()


@pytest.mark.parametrize(('path', 'stage'), STAGES, ids=[f'{path.stem}-{stage}' for path, stage in STAGES])
def test_no_backward_pass_mixes_devices_or_reads_numbers(
    path: Path, stage: str, tiny_clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PyTorch's meta device, whose tensors hold no data either, and where backward passes run."""
    model = started(path, stage, tiny_clip).to('meta')
    # It knows no half precision to switch off.
    monkeypatch.setattr(torch, 'autocast', lambda *_, **__: nullcontext())
    model.prepare_stage(given(torch.randn(len(DOMAINS), 4, 16, device='meta')))
    sum(losses_of(model).values()).backward()
    assert any(parameter.grad is not None for parameter in model.parameters())
