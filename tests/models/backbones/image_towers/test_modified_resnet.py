import pytest
import torch
from open_clip.modified_resnet import AttentionPool2d

from cmdg_plugin.models.backbones import TextAwareCLIP

STRIPES = {3: [(0, 1), (1, 2), (2, 3)], 4: [(0, 1), (1, 2), (2, 4)]}


@pytest.mark.parametrize('size', [(96, 96), (128, 64)])
def test_regions_equal_a_loop_over_the_cells_of_the_last_map(size: tuple[int, int]) -> None:
    """Single-query attention, written out per image, region and head."""
    torch.manual_seed(0)
    backbone = TextAwareCLIP('cmdg-small-resnet', image_size=size).eval()
    visual = backbone.clip.visual
    for bias in (visual.attnpool.q_proj.bias, visual.attnpool.k_proj.bias, visual.attnpool.v_proj.bias):
        torch.nn.init.normal_(bias)
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        entering = visual.layer3(visual.layer2(visual.layer1(visual.stem(images))))
        cells = visual.layer4(entering)
        rows, columns = cells.shape[2:]
        expected_width, expected_shared = [], []
        for top, bottom in [*STRIPES[rows], (0, rows)]:
            expected_width.append(cells[:, :, top:bottom].mean(dim=(2, 3)))
            expected_shared.append(attend(visual.attnpool, cells, top, bottom, columns))
        tokens = backbone.image_tower.encode(images)
    torch.testing.assert_close(tokens.entering_last_block, entering.mean(dim=(2, 3)))
    torch.testing.assert_close(tokens.regions, torch.stack(expected_width), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(tokens.projected, torch.stack(expected_shared), atol=1e-5, rtol=1e-5)


def attend(pool: AttentionPool2d, cells: torch.Tensor, top: int, bottom: int, columns: int) -> torch.Tensor:
    places = [row * columns + column for row in range(top, bottom) for column in range(columns)]
    flat = cells.flatten(2).transpose(1, 2)[:, places]
    positions = pool.positional_embedding
    query = flat.mean(dim=1) + positions[0]
    keys = torch.cat([query[:, None], flat + positions[[1 + place for place in places]]], dim=1)
    size = keys.shape[2] // pool.num_heads
    answer = []
    for head in range(pool.num_heads):
        own = slice(head * size, (head + 1) * size)
        scores = torch.einsum('bc,bkc->bk', pool.q_proj(query)[:, own], pool.k_proj(keys)[:, :, own]) / size**0.5
        answer.append(torch.einsum('bk,bkc->bc', scores.softmax(-1), pool.v_proj(keys)[:, :, own]))
    return pool.c_proj(torch.cat(answer, dim=1))


def test_rn50_has_the_widths_of_clip_reids() -> None:
    # Without weights: shapes are all that is asked for.
    with torch.device('meta'):
        backbone = TextAwareCLIP('RN50', image_size=(256, 128))
        features = backbone.encode_image(torch.empty(1, 3, 256, 128))
    assert (backbone.width, backbone.embed_dim, backbone.grid_size) == (2048, 1024, (8, 4))
    assert [tuple(part.shape) for part in features] == [(1, 1024), (4, 1, 2048), (4, 1, 1024)]
