"""CLIP's ResNets: regions of the last feature map, through the tower's own attention pool."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cmdg_plugin.models.backbones.image_towers.base import Config, ImageTower, RegionTokens, Size
from cmdg_plugin.models.backbones.region_pooling import pool_stripes, stripe_bounds
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
        visual.attnpool.register_buffer('hidden', _hidden_from_region(grid), persistent=False)

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
        regions = torch.cat([pool_stripes(cells, self.grid), cells.mean(dim=1)[None]])
        return RegionTokens(entering.mean(dim=(2, 3)), regions, self._pool(regions, cells.transpose(0, 1)))

    def _pool(self, regions: Tensor, cells: Tensor) -> Tensor:
        """Let each region's mean (4, B, W) ask the cells (h * w, B, W) that belong to it; returns (4, B, D)."""
        pool = self.visual.attnpool
        positions = pool.positional_embedding.to(cells.dtype)[:, None]
        queries = regions + positions[0]
        keys = torch.cat([queries, cells + positions[1:]])
        pooled, _ = functional.multi_head_attention_forward(
            queries,
            keys,
            keys,
            embed_dim_to_check=self.width,
            num_heads=pool.num_heads,
            in_proj_weight=None,
            in_proj_bias=torch.cat([pool.q_proj.bias, pool.k_proj.bias, pool.v_proj.bias]),
            bias_k=None,
            bias_v=None,
            add_zero_attn=False,
            dropout_p=0.0,
            out_proj_weight=pool.c_proj.weight,
            out_proj_bias=pool.c_proj.bias,
            need_weights=False,
            attn_mask=pool.hidden,
            use_separate_proj_weight=True,
            q_proj_weight=pool.q_proj.weight,
            k_proj_weight=pool.k_proj.weight,
            v_proj_weight=pool.v_proj.weight,
        )
        return pooled


def _hidden_from_region(grid: Size) -> Tensor:
    """Tell what each region must not see: of the regions' means all but its own, of the cells those of others."""
    rows, columns = grid
    hidden = torch.ones(len(REGIONS), len(REGIONS) + rows * columns, dtype=torch.bool)
    bounds = [*stripe_bounds(rows), (0, rows)]
    for region, (top, bottom) in enumerate(bounds):
        hidden[region, region] = False
        hidden[region, len(REGIONS) + top * columns : len(REGIONS) + bottom * columns] = False
    return hidden
