"""Running open_clip's text tower piece by piece: at the true length of the texts, or on embeddings of one's own."""

from typing import Any

import torch
from open_clip import CustomTextCLIP
from torch import Tensor, nn


def text_module(clip: nn.Module) -> Any:
    """Find the module that owns the pieces of the text tower.

    Args:
        clip: An `open_clip.CLIP` (pieces on the model itself) or an `open_clip.CustomTextCLIP` (pieces below `.text`).

    Returns:
        The module with `token_embedding`, `positional_embedding`, `transformer`, `ln_final` and `text_projection`; the
        two classes have no type in common that says so.
    """
    return clip.text if isinstance(clip, CustomTextCLIP) else clip


def is_causal(clip: nn.Module) -> bool:
    """Tell whether tokens see only those before them, so that those after the end of a text change nothing.

    SigLIP's are not: all tokens see each other, padding included, and the last one is the text's feature.
    """
    return text_module(clip).attn_mask is not None


def end_positions(clip: nn.Module, tokens: Tensor) -> Tensor:
    """Locate the token that becomes the text's feature: the end-of-text token, or the last one (SigLIP).

    Args:
        clip: The model, which knows how its tokenizer marks the end.
        tokens: Token ids, (B, L).

    Returns:
        Index of that token in each row, (B,).
    """
    text = text_module(clip)
    # `open_clip.CLIP` copies these two from its text tower under a longer name.
    prefix = '' if isinstance(clip, CustomTextCLIP) else 'text_'
    if not is_causal(clip):
        return torch.full(tokens.shape[:1], tokens.shape[1] - 1, device=tokens.device)
    if getattr(text, f'{prefix}pool_type') == 'eos':
        return (tokens == getattr(text, f'{prefix}eos_id')).int().argmax(dim=-1)
    # CLIP's vocabulary numbers the end-of-text token last.
    return tokens.argmax(dim=-1)


def encode_embeddings(clip: nn.Module, embeddings: Tensor, ends: Tensor) -> Tensor:
    """Encode token embeddings into text features.

    If the tower is causal, tokens after the end of the longest text change nothing and may be cut off.

    Args:
        clip: The model.
        embeddings: Token embeddings without positions, (B, L, text width); L at most the context length.
        ends: Index of the token that becomes the feature in each row, (B,), each below L.

    Returns:
        Projected feature of each text, not normalized, (B, D).
    """
    text = text_module(clip)
    length = embeddings.shape[1]
    dtype = text.transformer.get_cast_dtype()
    hidden = embeddings.to(dtype) + text.positional_embedding[:length].to(dtype)
    mask = text.attn_mask[:length, :length] if is_causal(clip) else None
    hidden = text.transformer(hidden, attn_mask=mask)
    feature = text.ln_final(hidden[torch.arange(hidden.shape[0], device=hidden.device), ends])
    if text.text_projection is None:
        return feature
    if isinstance(text.text_projection, nn.Linear):
        return text.text_projection(feature)
    return feature @ text.text_projection


def text_tower_modules(clip: nn.Module) -> tuple[nn.Module, ...]:
    """List the modules of the text tower.

    Returns:
        Its token embedding, transformer and final norm, which an `open_clip.CLIP` keeps beside the image tower.
    """
    text = text_module(clip)
    return text.token_embedding, text.transformer, text.ln_final


def set_text_trainable(clip: nn.Module, num_layers: int) -> None:
    """Freeze the text tower, except for its last blocks.

    Args:
        clip: The model.
        num_layers: Number of last blocks to train, together with the final norm and the projection; 0 freezes all.

    Raises:
        ValueError: If the tower has fewer blocks.
    """
    text = text_module(clip)
    blocks = text.transformer.resblocks
    if not 0 <= num_layers <= len(blocks):
        raise ValueError(f'`text_finetune_layers` must be 0 to {len(blocks)} for this model, got {num_layers}.')
    text.positional_embedding.requires_grad_(False)
    for module in text_tower_modules(clip):
        module.requires_grad_(False)
    if text.text_projection is not None:
        text.text_projection.requires_grad_(num_layers > 0)
    text.ln_final.requires_grad_(num_layers > 0)
    for block in blocks[len(blocks) - num_layers :]:
        block.requires_grad_(True)
