"""Turning the weights of transformers' `CLIPModel` into those of open_clip's CLIP."""

import re

import torch
from torch import Tensor

_RENAMED = (
    (r'^vision_model\.embeddings\.class_embedding$', 'visual.class_embedding'),
    (r'^vision_model\.embeddings\.patch_embedding\.', 'visual.conv1.'),
    (r'^vision_model\.embeddings\.position_embedding\.weight$', 'visual.positional_embedding'),
    (r'^vision_model\.pre_layrnorm\.', 'visual.ln_pre.'),
    (r'^vision_model\.post_layernorm\.', 'visual.ln_post.'),
    (r'^vision_model\.encoder\.layers\.', 'visual.transformer.resblocks.'),
    (r'^visual_projection\.weight$', 'visual.proj'),
    (r'^text_model\.embeddings\.token_embedding\.', 'token_embedding.'),
    (r'^text_model\.embeddings\.position_embedding\.weight$', 'positional_embedding'),
    (r'^text_model\.final_layer_norm\.', 'ln_final.'),
    (r'^text_model\.encoder\.layers\.', 'transformer.resblocks.'),
    (r'^text_projection\.weight$', 'text_projection'),
    (r'\.layer_norm([12])\.', r'.ln_\1.'),
    (r'\.mlp\.fc1\.', '.mlp.c_fc.'),
    (r'\.mlp\.fc2\.', '.mlp.c_proj.'),
    (r'\.self_attn\.out_proj\.', '.attn.out_proj.'),
    (r'\.self_attn\.q_proj\.(weight|bias)$', r'.attn.in_proj_\1'),
)
_TRANSPOSED = ('visual_projection.weight', 'text_projection.weight')


def is_transformers(state: dict[str, Tensor]) -> bool:
    """Whether weights have the names that transformers gives them."""
    return any(key.startswith('vision_model.') for key in state)


def convert_transformers(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give the weights of transformers' `CLIPModel` open_clip's names and shapes.

    open_clip keeps query, key and value of an attention in one matrix, and its projections the other way around.

    Returns:
        The same as weights of an `open_clip.CLIP`; names that no CLIP has stay as they are.
    """
    converted = {}
    for key, value in state.items():
        if '.self_attn.k_proj.' in key or '.self_attn.v_proj.' in key:
            continue  # they come with their query
        name = key
        for pattern, replacement in _RENAMED:
            name = re.sub(pattern, replacement, name)
        if '.self_attn.q_proj.' in key:
            parts = [state.get(key.replace('.q_proj.', f'.{part}_proj.')) for part in 'qkv']
            value = torch.cat([part for part in parts if part is not None])
        converted[name] = value.T.contiguous() if key in _TRANSPOSED else value
    return converted
