"""Small CLIP models with open_clip's real configuration format, known to open_clip while the tests run."""

import copy
import json
from typing import Any

import open_clip
import pytest
from helpers.small_clips import register_small_clips

TINY: dict[str, Any] = {
    'embed_dim': 24,
    'vision_cfg': {'image_size': [48, 24], 'layers': 3, 'width': 32, 'head_width': 16, 'patch_size': 8},
    'text_cfg': {'context_length': 20, 'vocab_size': 49408, 'width': 16, 'heads': 2, 'layers': 3},
}


def _variant(*, vision: dict | None = None, text: dict | None = None, **top: Any) -> dict:
    config = copy.deepcopy(TINY)
    config['vision_cfg'].update(vision or {})
    config['text_cfg'].update(text or {})
    return {**config, **top}


MODELS = {
    'cmdg-test-tiny': TINY,
    'cmdg-test-square': _variant(vision={'image_size': 48}),
    'cmdg-test-custom': _variant(custom_text=True, text={'proj_bias': True}),
    'cmdg-test-qk-norm': _variant(vision={'qk_norm': True}),
    'cmdg-test-77': _variant(text={'context_length': 77}),
    'cmdg-test-shallow': _variant(vision={'layers': 1}),
    'cmdg-test-average': _variant(vision={'pool_type': 'avg'}),
    'cmdg-test-attention-pool': _variant(vision={'attentional_pool': True}),
    'cmdg-test-patch-dropout': _variant(vision={'patch_dropout': 0.5}),
    'cmdg-test-unknown-timm': _variant(vision={'timm_model_name': 'vit_of_tomorrow'}),
    'cmdg-test-siglip-token': _variant(vision={'timm_model_name': 'cmdg_small_siglip', 'timm_pool': 'token'}),
    'cmdg-test-short-resnet': _variant(vision={'layers': [1, 1, 1]}),
    'cmdg-test-bidirectional': _variant(text={'no_causal_mask': True}),
    'cmdg-test-last-pool': _variant(text={'pool_type': 'last'}),
    'cmdg-test-class-embedding': _variant(custom_text=True, text={'embed_cls': True}),
    'cmdg-test-small-vocabulary': _variant(text={'vocab_size': 300}),
}


@pytest.fixture(scope='session', autouse=True)
def tiny_models(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp('model_configs')
    for name, config in MODELS.items():
        (folder / f'{name}.json').write_text(json.dumps(config))
    open_clip.add_model_config(folder)
    register_small_clips(folder / 'small')
