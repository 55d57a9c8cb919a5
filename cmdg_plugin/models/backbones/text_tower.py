"""Running open_clip's text tower piece by piece: at the true length of the texts, or on embeddings of one's own."""

from typing import Any

import torch
from open_clip import CustomTextCLIP
from torch import Tensor, nn


class TextTower:
    """The text tower of an open_clip model.

    Args:
        clip: An `open_clip.CLIP` (pieces on the model itself) or an `open_clip.CustomTextCLIP` (pieces below `.text`).

    Attributes:
        pieces: The module with `token_embedding`, `positional_embedding`, `transformer`, `ln_final` and
            `text_projection`; the two classes have no type in common that says so.
        pool_type: `eos` where the text's feature is that of the token `end`.
        end: Number of the end-of-text token.
        is_causal: Whether tokens see only those before them, so that those after the end of a text change nothing.
            SigLIP's are not: all tokens see each other, padding included, and the last one is the text's feature.
        context_length: The most tokens that it reads.
        width: Width of its tokens.
    """

    def __init__(self, clip: Any) -> None:
        custom = isinstance(clip, CustomTextCLIP)
        self.pieces = clip.text if custom else clip
        # `open_clip.CLIP` copies these two from its text tower under a longer name.
        self.pool_type = clip.text.pool_type if custom else clip.text_pool_type
        self.end = clip.text.eos_id if custom else clip.text_eos_id
        self.is_causal = self.pieces.attn_mask is not None
        self.context_length, self.width = self.pieces.positional_embedding.shape

    @property
    def modules(self) -> tuple[nn.Module, ...]:
        """Its token embedding, transformer and final norm, which an `open_clip.CLIP` keeps beside the image tower."""
        return self.pieces.token_embedding, self.pieces.transformer, self.pieces.ln_final

    def ends(self, tokens: Tensor) -> Tensor:
        """Locate the token that becomes the text's feature: the end-of-text token, or the last one (SigLIP).

        Args:
            tokens: Token ids, (B, L).

        Returns:
            Index of that token in each row, (B,).
        """
        if not self.is_causal:
            return torch.full(tokens.shape[:1], tokens.shape[1] - 1, device=tokens.device)
        if self.pool_type == 'eos':
            return (tokens == self.end).int().argmax(dim=-1)
        # CLIP's vocabulary numbers the end-of-text token last.
        return tokens.argmax(dim=-1)

    def encode(self, embeddings: Tensor, ends: Tensor) -> Tensor:
        """Encode token embeddings into text features.

        If the tower is causal, tokens after the end of the longest text change nothing and may be cut off.

        Args:
            embeddings: Token embeddings without positions, (B, L, text width); L at most the context length.
            ends: Index of the token that becomes the feature in each row, (B,), each below L.

        Returns:
            Projected feature of each text, not normalized, (B, D).
        """
        text, length = self.pieces, embeddings.shape[1]
        dtype = text.transformer.get_cast_dtype()
        hidden = embeddings.to(dtype) + text.positional_embedding[:length].to(dtype)
        mask = text.attn_mask[:length, :length] if self.is_causal else None
        hidden = text.transformer(hidden, attn_mask=mask)
        feature = text.ln_final(hidden[torch.arange(hidden.shape[0], device=hidden.device), ends])
        if text.text_projection is None:
            return feature
        if isinstance(text.text_projection, nn.Linear):
            return text.text_projection(feature)
        return feature @ text.text_projection

    def set_trainable(self, num_layers: int) -> None:
        """Freeze the tower, except for its last blocks.

        Args:
            num_layers: Number of last blocks to train, together with the final norm and the projection; 0 freezes all.

        Raises:
            ValueError: If the tower has fewer blocks.
        """
        text, blocks = self.pieces, self.pieces.transformer.resblocks
        if not 0 <= num_layers <= len(blocks):
            raise ValueError(f'`text_finetune_layers` must be 0 to {len(blocks)} for this model, got {num_layers}.')
        text.positional_embedding.requires_grad_(False)
        for module in self.modules:
            module.requires_grad_(False)
        if text.text_projection is not None:
            text.text_projection.requires_grad_(num_layers > 0)
        text.ln_final.requires_grad_(num_layers > 0)
        for block in blocks[len(blocks) - num_layers :]:
            block.requires_grad_(True)
