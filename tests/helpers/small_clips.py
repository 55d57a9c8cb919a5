"""One small CLIP of each family of image towers, in open_clip's own format, and a tokenizer in a folder."""

import json
from pathlib import Path
from typing import Any

import open_clip
from timm.models import register_model
from timm.models.eva import Eva, _create_eva
from timm.models.vision_transformer import VisionTransformer, _create_vision_transformer

_TEXT = {'context_length': 20, 'vocab_size': 49408, 'width': 16, 'heads': 2, 'layers': 2}
_SIGLIP_TEXT = {
    **_TEXT,
    'context_length': 16,
    'vocab_size': 64,
    'hf_tokenizer_name': '/no/such/tokenizer',
    'tokenizer_kwargs': {'clean': 'canonicalize'},
    'no_causal_mask': True,
    'proj_bias': True,
    'pool_type': 'last',
}
_TIMM = {'image_size': 48, 'timm_model_pretrained': False}
_SMALL = {'img_size': 48, 'patch_size': 8, 'embed_dim': 32, 'depth': 3, 'num_heads': 2}

SMALL_CLIPS = {
    'cmdg-small-vit': {
        'embed_dim': 24,
        'vision_cfg': {'image_size': 48, 'layers': 3, 'width': 32, 'head_width': 16, 'patch_size': 8},
        'text_cfg': _TEXT,
    },
    'cmdg-small-resnet': {
        'embed_dim': 24,
        'vision_cfg': {'image_size': 96, 'layers': [1, 1, 2, 1], 'width': 4, 'patch_size': None},
        'text_cfg': _TEXT,
    },
    'cmdg-small-eva': {
        'embed_dim': 24,
        'vision_cfg': {**_TIMM, 'timm_model_name': 'cmdg_small_eva', 'timm_pool': 'token', 'timm_proj': None},
        'text_cfg': _TEXT,
        'custom_text': True,
    },
    'cmdg-small-siglip': {
        'embed_dim': 32,
        'init_logit_bias': -10,
        'vision_cfg': {**_TIMM, 'timm_model_name': 'cmdg_small_siglip', 'timm_pool': 'map', 'timm_proj': 'none'},
        'text_cfg': _SIGLIP_TEXT,
        'custom_text': True,
    },
}
"""Configurations by name: the families of ViT-B-16, RN50, EVA02-B-16 and ViT-B-16-SigLIP, made small."""


@register_model
def cmdg_small_eva(pretrained: bool = False, **kwargs: Any) -> Eva:
    """Build `eva02_base_patch16_clip_224`, made small."""
    options = {'qkv_fused': False, 'swiglu_mlp': True, 'scale_mlp': True, 'scale_attn_inner': True}
    rope = {'use_rot_pos_emb': True, 'ref_feat_shape': (4, 4), 'global_pool': kwargs.pop('global_pool', 'token')}
    return _create_eva('cmdg_small_eva', pretrained=pretrained, **_SMALL, **options, **rope, **kwargs)


@register_model
def cmdg_small_siglip(pretrained: bool = False, **kwargs: Any) -> VisionTransformer:
    """Build `vit_base_patch16_siglip_224`, made small."""
    options = {'class_token': False, 'global_pool': 'map', **_SMALL, **kwargs}
    return _create_vision_transformer('cmdg_small_siglip', pretrained=pretrained, **options)


def register_small_clips(folder: Path) -> None:
    """Make the small models known to open_clip, by way of files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, config in SMALL_CLIPS.items():
        (folder / f'{name}.json').write_text(json.dumps(config))
    open_clip.add_model_config(folder)


WORDS = ('a', 'photo', 'of', 'x', 'person', 'man', 'woman', 'red', 'coat', 'shoes', 'the', 'in', 'with', 'top', 'pants')
"""Words that the small tokenizer knows."""


def write_tokenizer(folder: Path) -> Path:
    """Write a tokenizer in Hugging Face's format, like SigLIP's: no start token, '</s>' at the end and as padding."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing
    from transformers import PreTrainedTokenizerFast

    vocabulary = {word: place for place, word in enumerate(('<unk>', '</s>', *WORDS))}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token='<unk>'))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(single='$A </s>', special_tokens=[('</s>', 1)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token='<unk>', eos_token='</s>', pad_token='</s>', padding_side='right'
    )
    fast.save_pretrained(folder)
    return folder
