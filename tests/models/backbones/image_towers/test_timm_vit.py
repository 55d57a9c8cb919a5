from typing import Any

import pytest
import torch

from cmdg_plugin.models.backbones import TextAwareCLIP

# Rows of three stripes in a grid of 6 x 6 and of 7 x 2 patches.
CASES = [(None, 6, [(0, 2), (2, 4), (4, 6)]), ((56, 16), 2, [(0, 2), (2, 4), (4, 7)])]


def build(name: str, size: tuple[int, int]) -> Any:
    torch.manual_seed(0)
    backbone = TextAwareCLIP(name, image_size=size).eval()
    return backbone, backbone.clip.visual, torch.randn(2, 3, *backbone.image_size)


def entering_last_block(trunk: Any, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    seen = []
    handle = trunk.blocks[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].clone()))
    last = trunk.forward_features(images)
    handle.remove()
    return seen[0], last


@torch.no_grad()
@pytest.mark.parametrize(('size', 'columns', 'stripes'), CASES)
def test_eva_has_a_class_token_and_stripe_means_projected_alike(
    size: tuple[int, int], columns: int, stripes: list
) -> None:
    backbone, visual, images = build('cmdg-small-eva', size)
    torch.nn.init.normal_(visual.trunk.head.weight)
    entering, last = entering_last_block(visual.trunk, images)
    patches = last[:, 1:].unflatten(1, (-1, columns))
    means = [patches[:, top:bottom].mean(dim=(1, 2)) for top, bottom in stripes]
    expected = torch.stack([*means, last[:, 0]])
    tokens = backbone.image_tower.encode(images)
    torch.testing.assert_close(tokens.entering_last_block, entering[:, 0])
    torch.testing.assert_close(tokens.regions, expected)
    torch.testing.assert_close(tokens.projected, expected @ visual.trunk.head.weight.T + visual.trunk.head.bias)


@torch.no_grad()
@pytest.mark.parametrize(('size', 'columns', 'stripes'), CASES)
def test_siglip_pools_each_stripe_with_the_attention_that_pools_the_image(
    size: tuple[int, int], columns: int, stripes: list
) -> None:
    backbone, visual, images = build('cmdg-small-siglip', size)
    entering, last = entering_last_block(visual.trunk, images)
    grid = last.unflatten(1, (-1, columns))
    groups = [grid[:, top:bottom].flatten(1, 2) for top, bottom in [*stripes, (0, len(grid[0]))]]
    tokens = backbone.image_tower.encode(images)
    torch.testing.assert_close(tokens.entering_last_block, entering.mean(dim=1))
    torch.testing.assert_close(tokens.regions, torch.stack([group.mean(dim=1) for group in groups]))
    torch.testing.assert_close(tokens.projected, torch.stack([visual.trunk.attn_pool(group) for group in groups]))
    # What another stripe shows does not reach a part's answer but through the blocks.
    assert not torch.allclose(tokens.projected[0], tokens.projected[3], atol=1e-4)


@pytest.mark.parametrize(('name', 'shared'), [('EVA02-B-16', 512), ('ViT-B-16-SigLIP', 768)])
def test_real_models_at_a_non_square_size(name: str, shared: int) -> None:
    # Without weights: shapes are all that is asked for.
    with torch.device('meta'):
        features = TextAwareCLIP(name, image_size=(256, 128)).encode_image(torch.empty(1, 3, 256, 128))
    assert [tuple(part.shape) for part in features] == [(1, 768), (4, 1, 768), (4, 1, shared)]
