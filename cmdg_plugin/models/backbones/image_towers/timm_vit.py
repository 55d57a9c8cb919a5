"""ViTs that open_clip takes from timm: EVA-CLIP with its class token, SigLIP with its attention pool."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import timm
import torch
from timm.layers import PatchEmbed
from timm.models.eva import Eva
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from cmdg_plugin.models.backbones.image_towers.base import Config, ImageTower, RegionTokens, Size
from cmdg_plugin.models.backbones.region_pooling import pool_regions, stripe_bounds


@lru_cache
def _outline(name: str) -> Any:
    """Build a timm model without weights, to look at."""
    with torch.device('meta'):
        return timm.create_model(name, num_classes=0)


class TimmViT(ImageTower):
    """Regions of a timm ViT.

    Where the tower ends in a class token, global is this token, the parts are the means of three stripes, and all are
    projected alike. Where it ends in an attention pool, global is the mean of all patches (W) and the pool's answer
    (D); the parts are the mean of their stripe and the pool's answer to the stripe's patches alone.
    """

    positions = 'trunk.pos_embed'
    after_blocks = ('trunk.norm', 'trunk.fc_norm', 'trunk.attn_pool', 'trunk.head', 'head')

    def __init__(self, visual: Any, grid: Size, embed_dim: int) -> None:
        super().__init__(visual, grid, embed_dim)
        self.trunk = visual.trunk
        self.width = self.trunk.embed_dim
        self.num_extra_positions = 0 if self.trunk.no_embed_class else self.trunk.num_prefix_tokens

    @classmethod
    def problem(cls, vision: Config) -> str | None:
        """Say what keeps a model's `vision_cfg` from being used, or None."""
        name, pool = vision['timm_model_name'], vision.get('timm_pool', 'avg')
        if not timm.is_model(name):
            return f'the installed timm has no image tower {name!r}'
        outline = _outline(name)
        if not isinstance(outline, VisionTransformer | Eva) or type(outline.patch_embed) is not PatchEmbed:
            return f'its image tower {name!r} from timm is not a plain ViT'
        if pool not in ('token', 'map'):
            return f'its image feature is pooled by {pool!r}, not by a class token or by attention'
        if (pool == 'token') != (outline.num_prefix_tokens > 0):
            return (
                f'its image feature is pooled by {pool!r}, with {outline.num_prefix_tokens} tokens beside the patches'
            )
        if vision.get('patch_dropout', 0) > 0:
            return 'it drops patches while training (patch_dropout), which leaves stripes without their tokens'
        return None if len(outline.blocks) > 1 else 'the warm-up needs what enters the last block, so at least 2 blocks'

    @classmethod
    def stride(cls, vision: Config) -> Size:
        """Return the height and width of a patch."""
        return _outline(vision['timm_model_name']).patch_embed.patch_size

    @classmethod
    def resize(cls, visual: Any, size: Size) -> None:
        """Give the tower position embeddings for images of a size (height, width)."""
        visual.trunk.set_input_size(img_size=size)
        visual.image_size = size

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Blocks of the transformer."""
        return self.trunk.blocks

    def encode(self, images: Tensor) -> RegionTokens:
        """Encode normalized images, (B, 3, height, width)."""
        trunk = self.trunk
        has_class_token = trunk.attn_pool is None
        last, (entering,) = trunk.forward_intermediates(
            images, indices=[len(self.blocks) - 2], return_prefix_tokens=has_class_token, output_fmt='NLC'
        )
        if has_class_token:
            regions = pool_regions(last[:, 0], last[:, trunk.num_prefix_tokens :], self.grid)
            projected = trunk.head(trunk.head_drop(trunk.fc_norm(regions)))
            return RegionTokens(entering[1][:, 0], regions, self.visual.head(projected))
        regions = pool_regions(last.mean(dim=1), last, self.grid)
        columns = self.grid[1]
        stripes = [last[:, top * columns : bottom * columns] for top, bottom in stripe_bounds(self.grid[0])]
        projected = torch.stack([self.visual.head(trunk.forward_head(tokens)) for tokens in (*stripes, last)])
        return RegionTokens(entering.mean(dim=1), regions, projected)
