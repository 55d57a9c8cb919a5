"""What holds for every family of image towers: one small model each."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.small_clips import SMALL_CLIPS
from safetensors.torch import save_file

from cmdg_plugin.models.backbones import TextAwareCLIP
from cmdg_plugin.models.backbones.position_embedding import resize_position_embedding

FAMILIES = list(SMALL_CLIPS)


def build(name: str, **options: Any) -> TextAwareCLIP:
    torch.manual_seed(0)
    return TextAwareCLIP(name, **options)


def pictures(backbone: TextAwareCLIP, count: int = 2) -> torch.Tensor:
    return torch.randn(count, 3, *backbone.image_size, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize('size', [None, (128, 64)])
@pytest.mark.parametrize('name', FAMILIES)
def test_global_shared_feature_is_open_clips_image_feature(name: str, size: tuple[int, int] | None) -> None:
    backbone = build(name, image_size=size).eval()
    assert backbone.image_size == (size or (96, 96) if 'resnet' in name else size or (48, 48))
    images = pictures(backbone)
    features = backbone.encode_image(images)
    rows, columns = backbone.grid_size
    assert backbone.image_size[0] // rows == backbone.image_size[1] // columns == (32 if 'resnet' in name else 8)
    assert features.width_regions.shape == (4, 2, backbone.width)
    assert features.shared_regions.shape == (4, 2, backbone.embed_dim)
    expected = backbone.norm_shared(backbone.clip.encode_image(images))
    torch.testing.assert_close(features.shared_regions[3], expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize('name', FAMILIES)
def test_whole_tower_trains(name: str) -> None:
    backbone = build(name).train()
    sum(part.square().sum() for part in backbone.encode_image(pictures(backbone))).backward()
    without = [n for n, p in backbone.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


@pytest.mark.parametrize('size', [None, (128, 64)])
@pytest.mark.parametrize('name', FAMILIES)
def test_weights_load_at_any_size(name: str, size: tuple[int, int] | None, tmp_path: Path) -> None:
    one = build(name).eval()
    save_file(one.clip.state_dict(), tmp_path / 'clip.safetensors')
    torch.manual_seed(1)
    other = TextAwareCLIP(name, pretrained=str(tmp_path / 'clip.safetensors'), image_size=size).eval()
    positions = f'visual.{one.image_tower.positions}'
    for weight, value in other.clip.state_dict().items():
        expected = one.clip.state_dict()[weight]
        if weight == positions:
            extra = one.image_tower.num_extra_positions
            expected = resize_position_embedding(expected, one.grid_size, other.grid_size, extra)
            # Those of the class token stay, and there are as many as tokens.
            assert torch.equal(value.flatten(0, -2)[:extra], one.clip.state_dict()[weight].flatten(0, -2)[:extra])
            assert len(value.flatten(0, -2)) == extra + other.grid_size[0] * other.grid_size[1]
        assert torch.equal(value, expected), weight
    if size is None:
        other.load_state_dict(one.state_dict())
        for ours, theirs in zip(other.encode_image(pictures(one)), one.encode_image(pictures(one)), strict=True):
            assert torch.equal(ours, theirs)


@pytest.mark.parametrize('name', FAMILIES)
def test_autocast_checkpointing_compiling_and_copying(name: str) -> None:
    torch.compiler.reset()
    plain = build(name).train()
    saves_memory = 'resnet' not in name
    other = build(name, grad_checkpointing=saves_memory, compile={'backend': 'eager'}).train()
    other.load_state_dict(plain.state_dict())
    for model in (plain, other):
        model.encode_image(pictures(model)).shared_regions.pow(4).sum().backward()
    for (weight, expected), parameter in zip(plain.named_parameters(), other.named_parameters(), strict=True):
        if expected.grad is not None:
            torch.testing.assert_close(parameter[1].grad, expected.grad, msg=f'{weight}: {{}}'.format)
    twin = copy.deepcopy(plain).double().eval()
    exact = twin.encode_image(pictures(twin).double())
    with torch.autocast('cpu', torch.bfloat16):
        halved = plain.eval().encode_image(pictures(plain))
    assert {part.dtype for part in halved} == {torch.float32}
    torch.testing.assert_close(halved.width_regions.double(), exact.width_regions, atol=0.2, rtol=0)


@pytest.mark.parametrize('name', [name for name in FAMILIES if name != 'cmdg-small-vit'])
def test_part_attention_takes_open_clips_own_vit(name: str) -> None:
    with pytest.raises(ValueError, match=rf"part_attention needs .*'{name}' is a (ModifiedResNet|TimmViT)"):
        TextAwareCLIP(name, part_attention=True)


def test_channels_last_is_a_resnet_by_another_layout() -> None:
    plain, other = (build('cmdg-small-resnet', channels_last=on).double().train() for on in (False, True))
    other.load_state_dict(plain.state_dict())
    results = []
    for model in (plain, copy.deepcopy(other)):
        maps: list[torch.Tensor] = []
        model.clip.visual.layer3.register_forward_hook(lambda *call, maps=maps: maps.append(call[2]))
        model.encode_image(pictures(model).double()).shared_regions.pow(4).sum().backward()
        gradients = [weight.grad for weight in model.clip.visual.parameters()]
        results.append((maps[0].is_contiguous(memory_format=torch.channels_last), maps[0], *gradients))
    assert [result[0] for result in results] == [False, True]
    torch.testing.assert_close(results[1][1:], results[0][1:])
    with pytest.raises(ValueError, match="'cmdg-small-vit' is a transformer: leave it off"):
        build('cmdg-small-vit', channels_last=True)


def test_checkpointing_that_open_clip_would_ignore_is_refused() -> None:
    with pytest.raises(ValueError, match="no gradient checkpointing for 'cmdg-small-resnet'"):
        TextAwareCLIP('cmdg-small-resnet', grad_checkpointing=True)
    with pytest.raises(ValueError, match='an activation of its'):
        TextAwareCLIP('cmdg-small-eva', quick_gelu=True)


@pytest.mark.parametrize(('name', 'size'), [('cmdg-small-resnet', (100, 64)), ('cmdg-small-siglip', (50, 48))])
def test_sizes_that_do_not_fit_are_refused(name: str, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=rf'{size[0]}x{size[1]} pixels'):
        TextAwareCLIP(name, image_size=size)
    with pytest.raises(ValueError, match='at least 3 rows, but it has 2'):
        TextAwareCLIP(name, image_size=(64, 64) if 'resnet' in name else (16, 48))


@pytest.mark.parametrize(
    ('name', 'depths'),
    [
        ('cmdg-small-vit', {'conv1.weight': 0, 'transformer.resblocks.0.ln_1.bias': 1, 'ln_post.bias': 4, 'proj': 4}),
        (
            'cmdg-small-resnet',
            {'bn3.bias': 0, 'layer1.0.bn1.bias': 1, 'layer3.1.bn1.bias': 4, 'attnpool.c_proj.bias': 6},
        ),
        (
            'cmdg-small-eva',
            {'trunk.cls_token': 0, 'trunk.blocks.2.norm1.bias': 3, 'trunk.norm.bias': 4, 'trunk.head.weight': 4},
        ),
        ('cmdg-small-siglip', {'trunk.pos_embed': 0, 'trunk.blocks.0.norm1.bias': 1, 'trunk.attn_pool.latent': 4}),
    ],
)
def test_depths_count_from_what_comes_before_the_blocks(name: str, depths: dict[str, int]) -> None:
    found = build(name).image_tower.depths()
    assert {each: found.get(each) for each in depths} == depths
    assert set(found.values()) == set(range(max(depths.values()) + 1))
