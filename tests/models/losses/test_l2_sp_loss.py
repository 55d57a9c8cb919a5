from pathlib import Path

import pytest
import torch
from helpers.tiny_runs import different, going_on, set_epochs, train
from mmengine.config import Config
from safetensors.torch import save_file

from cmdg_plugin.models.backbones import TextAwareCLIP
from cmdg_plugin.models.losses import L2SPLoss, l2_sp_loss
from cmdg_plugin.registry import MODELS


def test_value_and_gradient_by_hand() -> None:
    weights = [torch.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True), torch.tensor([5.0], requires_grad=True)]
    loss = l2_sp_loss(weights, torch.tensor([1.0, 0.0, 3.0, 1.0, 7.0]))
    assert loss.item() == (0 + 4 + 0 + 9 + 4) / 2
    first, second = torch.autograd.grad(loss, weights)
    assert first.tolist() == [[0.0, 2.0], [0.0, 3.0]]
    assert second.tolist() == [-2.0]


@pytest.mark.parametrize('start', [torch.ones(4), torch.ones(3, 1)])
def test_other_numbers_of_weights_are_named(start: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r'expected start of shape \(3,\), above 0, got'):
        l2_sp_loss([torch.ones(3)], start)
    with pytest.raises(ValueError, match='got'):
        l2_sp_loss([], torch.ones(0))


@pytest.fixture
def pretrained(tiny_clip: str, tmp_path: Path) -> dict:
    torch.manual_seed(5)
    clip = TextAwareCLIP(tiny_clip, image_size=(24, 16)).clip
    save_file(clip.state_dict(), tmp_path / 'clip.safetensors', {'quick_gelu': 'false'})
    return {'type': 'TextAwareCLIP', 'model_name': tiny_clip, 'pretrained': str(tmp_path / 'clip.safetensors')}


def test_the_image_tower_alone_is_pulled_and_nothing_is_saved(pretrained: dict) -> None:
    backbone = MODELS.build({**pretrained, 'part_attention': True, 'image_size': (24, 16)})
    term = L2SPLoss()
    with pytest.raises(RuntimeError, match=r'call bind_backbone\(backbone\) first'):
        term()
    term.bind_backbone(backbone)
    assert not list(term.parameters())
    assert not term.state_dict()
    assert term().item() == 0
    with torch.no_grad():
        for parameter in backbone.parameters():
            parameter += 1
    pulled = [w for n, w in backbone.clip.visual.named_parameters() if not n.startswith('part_tokens')]
    assert term().item() == pytest.approx(sum(weight.numel() for weight in pulled) / 2, rel=1e-5)
    term().backward()
    with_gradient = {name for name, weight in backbone.named_parameters() if weight.grad is not None}
    assert with_gradient == {
        f'clip.visual.{n}' for n, _ in backbone.clip.visual.named_parameters() if not n.startswith('part_tokens')
    }
    assert term.double().start.dtype == torch.float64


def test_without_pretrained_weights_there_is_nothing_to_pull_to(tiny_clip: str) -> None:
    with pytest.raises(ValueError, match=r'There are no pretrained weights: model\.backbone\.pretrained is None'):
        L2SPLoss().bind_backbone(TextAwareCLIP(tiny_clip))


def test_a_resumed_run_is_pulled_to_the_pretrained_weights(tiny_config: Config, pretrained: dict) -> None:
    tiny_config.model.backbone.pretrained = pretrained['pretrained']
    set_epochs(tiny_config, 2, 0, 0)
    tiny_config.model.losses.warmup.append({'type': 'L2SPLoss', 'name': 'pull', 'weight': 0.5})
    whole = train(tiny_config)
    term = whole.model.losses['warmup'].losses['loss_pull']
    assert term().item() > 0
    resumed = train(going_on(tiny_config, Path(whole.work_dir) / 'epoch_1.pth'), name='resumed')
    assert torch.equal(resumed.model.losses['warmup'].losses['loss_pull'].start, term.start)
    assert not different(resumed.model.state_dict(), whole.model.state_dict())
