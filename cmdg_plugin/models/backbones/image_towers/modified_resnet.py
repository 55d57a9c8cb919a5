"""CLIP's ResNets: regions of the last feature map, through the tower's own attention pool."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cmdg_plugin.models.backbones.image_towers.base import Config, ImageTower, RegionTokens, Size
from cmdg_plugin.models.backbones.region_pooling import pool_regions, stripe_bounds
from cmdg_plugin.regions import REGIONS

_STRIDE = 32


class ModifiedResNet(ImageTower):
    """Regions of a ResNet: means of the last feature map (W), and what the attention pool makes of their cells (D).

    The pool asks with the mean of the whole map what its cells hold. For a part it asks with the mean of its stripe,
    and is told of the stripe's cells alone. W and D are those of CLIP-ReID's ResNet-50, 2048 and 1024.
    """

    saves_memory = False
    convolutional = True
    positions = 'attnpool.positional_embedding'
    num_extra_positions = 1
    after_blocks = ('attnpool',)

    def __init__(self, visual: Any, grid: Size, embed_dim: int) -> None:
        super().__init__(visual, grid, embed_dim)
        self.width = visual.attnpool.c_proj.in_features
        # On the pool, so that it goes where the pool goes; it is not a weight.
        visual.attnpool.register_buffer('seen', _seen_by_region(grid), persistent=False)

    @classmethod
    def problem(cls, vision: Config) -> str | None:
        """Say what keeps a model's `vision_cfg` from being used, or None."""
        layers = vision['layers']
        return (
            None if len(layers) == 4 else f'its image tower is a ResNet with {len(layers)} groups of blocks, not four'
        )

    @classmethod
    def stride(cls, vision: Config) -> Size:
        """Return the pixels that a cell of the last feature map stands for."""
        return _STRIDE, _STRIDE

    @classmethod
    def sized(cls, vision: Config, size: Size) -> Config:
        """Return the `vision_cfg` as it is: the pool is built for squares alone."""
        return vision

    @classmethod
    def resize(cls, visual: Any, size: Size) -> None:
        """Give the pool position embeddings for images of a size (height, width)."""
        pool = visual.attnpool
        num_positions = 1 + size[0] // _STRIDE * (size[1] // _STRIDE)
        width = pool.positional_embedding.shape[1]
        pool.positional_embedding = nn.Parameter(torch.randn(num_positions, width) / width**0.5)
        visual.image_size = size

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Bottleneck blocks of the four groups."""
        visual = self.visual
        return list(chain(visual.layer1, visual.layer2, visual.layer3, visual.layer4))

    def encode(self, images: Tensor) -> RegionTokens:
        """Encode normalized images, (B, 3, height, width)."""
        visual = self.visual
        entering = visual.layer3(visual.layer2(visual.layer1(visual.stem(images))))
        cells = visual.layer4(entering).flatten(2).transpose(1, 2)
        regions = pool_regions(cells.mean(dim=1), cells, self.grid)
        return RegionTokens(entering.mean(dim=(2, 3)), regions, self._pool(regions, cells.transpose(0, 1)))

    def _pool(self, regions: Tensor, cells: Tensor) -> Tensor:
        """Let each region's mean (4, B, W) ask the cells (h * w, B, W) that belong to it; returns (4, B, D)."""
        pool = self.visual.attnpool
        positions = pool.positional_embedding.to(cells.dtype)[:, None]
        queries = regions + positions[0]
        keys = torch.cat([queries, cells + positions[1:]])
        pooled = functional.scaled_dot_product_attention(
            _by_head(pool.q_proj(queries), pool.num_heads),
            _by_head(pool.k_proj(keys), pool.num_heads),
            _by_head(pool.v_proj(keys), pool.num_heads),
            attn_mask=pool.seen,
        )
        return pool.c_proj(pooled.permute(2, 0, 1, 3).flatten(2))


def _by_head(tokens: Tensor, heads: int) -> Tensor:
    """(L, B, W) -> (B, heads, L, W / heads)."""
    return tokens.unflatten(-1, (heads, -1)).permute(1, 2, 0, 3)


def _seen_by_region(grid: Size) -> Tensor:
    """Tell what each region sees: of the regions' means its own, of the cells those of its stripe."""
    rows, columns = grid
    seen = torch.zeros(len(REGIONS), len(REGIONS) + rows * columns, dtype=torch.bool)
    for region, (top, bottom) in enumerate([*stripe_bounds(rows), (0, rows)]):
        seen[region, region] = True
        seen[region, len(REGIONS) + top * columns : len(REGIONS) + bottom * columns] = True
    return seen
