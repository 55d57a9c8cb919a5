"""open_clip's own ViT with a class token: the towers of OpenAI, LAION, DataComp and others."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, cat, nn

from cmdg_plugin.models.backbones.image_towers.base import Config, ImageTower, RegionTokens, Size
from cmdg_plugin.models.backbones.region_pooling import pool_stripes


class OpenClipViT(ImageTower):
    """Regions of a ViT: global is its class token, the parts are its part tokens or the means of three stripes.

    Projecting is linear, so that projecting the mean costs a fraction of averaging projections.
    """

    takes_part_tokens = True
    positions = 'positional_embedding'
    num_extra_positions = 1
    after_blocks = ('ln_post', 'proj')

    def __init__(self, visual: Any, grid: Size, embed_dim: int) -> None:
        super().__init__(visual, grid, embed_dim)
        self.width = len(visual.proj)

    @classmethod
    def problem(cls, vision: Config) -> str | None:
        """Say what keeps a model's `vision_cfg` from being used, or None."""
        if vision.get('attentional_pool'):
            return 'its image tower ends in attentional pooling, not in a class token'
        if vision.get('pool_type', 'tok') != 'tok':
            return f'its image feature is pooled by {vision["pool_type"]!r}, not taken from the class token'
        if vision.get('patch_dropout', 0) > 0:
            return 'it drops patches while training (patch_dropout), which leaves stripes without their tokens'
        if vision.get('layers', 12) < 2:
            return 'the warm-up needs the class token that enters the last block, so at least 2 blocks'
        return None

    @classmethod
    def stride(cls, vision: Config) -> Size:
        """Return the height and width of a patch."""
        patch = vision.get('patch_size', 16)
        return (patch, patch) if isinstance(patch, int) else tuple(patch)

    @property
    def blocks(self) -> Sequence[nn.Module]:
        """Blocks of the transformer."""
        return self.visual.transformer.resblocks

    def encode(self, images: Tensor) -> RegionTokens:
        """Encode normalized images, (B, 3, height, width)."""
        visual = self.visual
        part_tokens = getattr(visual, 'part_tokens', None)
        tokens, mask = visual._embeds(images), None
        if part_tokens is not None:
            tokens, mask = part_tokens.append_to(tokens, visual), part_tokens.mask
        last, (entering,) = visual.transformer.forward_intermediates(
            tokens, attn_mask=mask, indices=[len(self.blocks) - 2]
        )
        num_patches = self.grid[0] * self.grid[1]
        class_token, patches, parts = last.split([1, num_patches, last.shape[1] - 1 - num_patches], dim=1)
        if part_tokens is None:
            pooled = pool_stripes(visual.ln_post(patches), self.grid)
        else:
            pooled = visual.ln_post(parts).transpose(0, 1)
        regions = cat([pooled, visual.ln_post(class_token).transpose(0, 1)])
        return RegionTokens(entering[:, 0], regions, regions @ visual.proj)
