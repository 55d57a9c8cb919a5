"""Part-aware attention: one token per body part, which sees its own stripe of the image (CMDG, figure of the paper)."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cmdg_plugin.models.backbones.region_pooling import stripe_bounds
from cmdg_plugin.regions import PARTS


def part_attention_mask(grid: tuple[int, int]) -> Tensor:
    """Tell which token sees which: class token, patches row by row, then the part tokens.

    A part token sees itself, the class token and the patches of its stripe. The class token and the patches see each
    other, as ever, but no part token: what they become is what the plain tower makes of them.

    Args:
        grid: Height and width (h, w) of the token grid; h at least 3.

    Returns:
        Mask to add to attention scores, (L, L) with L = 1 + h * w + 3: 0 where the row's token sees the column's, else
        minus infinity.

    Raises:
        ValueError: If the grid is too low for three stripes.
    """
    rows, columns = grid
    plain = 1 + rows * columns
    hidden = torch.ones(plain + len(PARTS), plain + len(PARTS), dtype=torch.bool)
    hidden[:plain, :plain] = False
    for part, (top, bottom) in enumerate(stripe_bounds(rows)):
        own = plain + part
        hidden[own, [0, own]] = False
        hidden[own, 1 + top * columns : 1 + bottom * columns] = False
    return torch.zeros(hidden.shape).masked_fill(hidden, float('-inf'))


class PartTokens(nn.Module):
    """Part tokens of an open_clip ViT.

    A part token begins as the class token does, class embedding and its position, plus an offset of its own. Offsets
    are learned and begin at zero: at first, part tokens differ by what they see alone, and any weights of the plain
    tower can be loaded before. Weight decay draws them back to the class token.

    Args:
        width: Width W of the tower.
        grid: Height and width (h, w) of its token grid.
    """

    mask: Tensor

    def __init__(self, width: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.offsets = nn.Parameter(torch.zeros(len(PARTS), width))
        self.register_buffer('mask', part_attention_mask(grid), persistent=False)

    def append_to(self, tokens: Tensor, visual: Any) -> Tensor:
        """Put the part tokens after the others.

        Args:
            tokens: Class token and patches as they enter the first block, (B, 1 + h * w, W).
            visual: The image tower that they come from.

        Returns:
            All tokens, (B, 1 + h * w + 3, W).
        """
        parts = visual.class_embedding + visual.positional_embedding[0] + self.offsets
        parts = visual.ln_pre(parts.to(tokens.dtype))
        return torch.cat([tokens, parts.expand(tokens.shape[0], -1, -1)], dim=1)


class SplitAttention(nn.MultiheadAttention):
    """`MultiheadAttention` under a `part_attention_mask`, at the price of attention without a mask.

    A mask of full size keeps most tokens from the fast kernels, though only the part tokens need it. Here the others
    attend without one, and the part tokens apart from them; projections run once, over all tokens.
    """

    @classmethod
    def of(cls, attention: nn.MultiheadAttention) -> 'SplitAttention':
        """Take over the weights of an attention, by the same names."""
        split = cls(attention.embed_dim, attention.num_heads, batch_first=True, device='meta')
        split.load_state_dict(attention.state_dict(), assign=True)
        return split.train(attention.training)

    def forward(  # type: ignore[override]  # A block of open_clip hands over no more than this.
        self, query: Tensor, key: Tensor, value: Tensor, need_weights: bool = False, attn_mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Args:
            query: All tokens, part tokens last, (B, L, W).
            key: The same.
            value: The same.
            need_weights: Must be false.
            attn_mask: The mask, (L, L), or None for tokens without part tokens.

        Returns:
            The tokens' updates, (B, L, W), and None.
        """
        if attn_mask is None:
            return super().forward(query, key, value, need_weights=need_weights)
        packed = functional.linear(query, self.in_proj_weight, self.in_proj_bias)
        # (B, L, 3 W) -> three of (B, heads, L, W / heads).
        queries, keys, values = packed.unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        plain = query.shape[1] - len(PARTS)
        attended = functional.scaled_dot_product_attention(
            queries[:, :, :plain], keys[:, :, :plain], values[:, :, :plain]
        )
        mask = attn_mask[plain:].to(queries.dtype)
        parts = functional.scaled_dot_product_attention(queries[:, :, plain:], keys, values, attn_mask=mask)
        return self.out_proj(torch.cat([attended, parts], dim=2).transpose(1, 2).flatten(2)), None


def add_part_tokens(visual: Any) -> None:
    """Give an open_clip ViT part tokens, as its module `part_tokens`: they train and are saved with the tower.

    Blocks with attention of open_clip's own (normalized queries and the like) keep it and get the whole mask.

    Args:
        visual: The `open_clip.transformer.VisionTransformer`, with its weights loaded.
    """
    visual.part_tokens = PartTokens(visual.class_embedding.shape[0], visual.grid_size)
    for block in visual.transformer.resblocks:
        if type(block.attn) is nn.MultiheadAttention:
            block.attn = SplitAttention.of(block.attn)
