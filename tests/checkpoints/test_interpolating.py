from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from cmdg_plugin.checkpoints.interpolating import (
    interpolate_checkpoint,
    interpolate_weights,
    pretrained_image_weights,
)
from cmdg_plugin.models.backbones import TextAwareCLIP
from cmdg_plugin.registry import MODELS


def test_mixture_by_hand() -> None:
    pretrained = {'a': torch.tensor([1.0, 2.0]), 'count': torch.tensor(7)}
    finetuned = {'a': torch.tensor([3.0, 6.0]), 'count': torch.tensor(9), 'head': torch.tensor([5.0])}
    mixed = interpolate_weights(pretrained, finetuned, 0.25)
    assert {name: value.tolist() for name, value in mixed.items()} == {'a': [1.5, 3.0], 'count': 9, 'head': [5.0]}
    # What was given is as it was.
    assert finetuned['a'].tolist() == [3.0, 6.0]


def test_both_ends_are_exact_and_types_stay() -> None:
    one, other = {'a': torch.randn(1000)}, {'a': torch.randn(1000) * 100}
    assert torch.equal(interpolate_weights(one, other, 0)['a'], one['a'])
    assert torch.equal(interpolate_weights(one, other, 1)['a'], other['a'])
    half = interpolate_weights(one, {'a': other['a'].half()}, 0.5)['a']
    assert half.dtype == torch.float16
    torch.testing.assert_close(half, ((one['a'] + other['a'].half().float()) / 2).half())


@pytest.mark.parametrize(
    ('finetuned', 'alpha', 'message'),
    [
        ({'a': torch.ones(2)}, 1.5, r'alpha must lie between 0 \(pretrained\) and 1 \(fine-tuned\), got 1.5'),
        ({'a': torch.ones(3)}, 0.5, r'a is \(2,\) in the pretrained weights and \(3,\) in the checkpoint'),
        ({'b': torch.ones(2)}, 0.5, r'a is \(2,\) in the pretrained weights and not there in the checkpoint'),
    ],
)
def test_what_does_not_fit_is_named(finetuned: dict[str, Any], alpha: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interpolate_weights({'a': torch.ones(2)}, finetuned, alpha)


def test_the_image_tower_alone_is_mixed_without_what_was_not_pretrained(tiny_clip: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    clip = TextAwareCLIP(tiny_clip, image_size=(24, 16)).clip
    save_file(clip.state_dict(), tmp_path / 'clip.safetensors')
    settings = {'type': 'TextAwareCLIP', 'model_name': tiny_clip, 'image_size': (24, 16), 'part_attention': True}
    with pytest.raises(ValueError, match='There are no pretrained weights'):
        pretrained_image_weights(settings)
    pretrained = pretrained_image_weights({**settings, 'pretrained': str(tmp_path / 'clip.safetensors')}, True)
    assert set(pretrained) == {f'backbone.clip.{name}' for name in clip.state_dict() if name.startswith('visual.')}
    for name, value in pretrained.items():
        assert torch.equal(value, clip.state_dict()[name.removeprefix('backbone.clip.')]), name
    trained = {
        f'backbone.{name}': torch.randn_like(value) for name, value in MODELS.build(settings).state_dict().items()
    }
    checkpoint = {'meta': {'epoch': 3}, 'state_dict': trained, 'optimizer': {}, 'plain_weights': {}, 'message_hub': {}}
    mixed = interpolate_checkpoint(checkpoint, pretrained, 0.5)
    assert set(mixed) == {'meta', 'state_dict'}
    assert mixed['meta'] == {'epoch': 3, 'interpolation': {'alpha': 0.5}}
    for name, value in mixed['state_dict'].items():
        expected = (pretrained[name] + trained[name]) / 2 if name in pretrained else trained[name]
        torch.testing.assert_close(value, expected, rtol=1e-6, atol=1e-6, msg=f'{name}: {{}}'.format)
    assert 'interpolation' not in checkpoint['meta']
    with pytest.raises(ValueError, match=r'was moved back to its pretrained weights before \(alpha 0\.5\)'):
        interpolate_checkpoint(mixed, pretrained, 0.5)
