"""What a config file beside weights says, read without the weights."""

import json
from pathlib import Path
from typing import Any

import pytest

from cmdg_plugin.models.backbones.weight_config import WeightConfig, find_weight_config, hub_repository

OPEN_CLIP = {'model_cfg': {'vision_cfg': {'width': 32, 'head_width': 16}, 'text_cfg': {'heads': 2}, 'quick_gelu': True}}
TRANSFORMERS = {
    'model_type': 'clip',
    'vision_config': {'hidden_act': 'quick_gelu', 'num_attention_heads': 2},
    'text_config': {'hidden_act': 'quick_gelu', 'num_attention_heads': 4},
}


def read(folder: Path, content: object, *, transformers: bool = False) -> WeightConfig | None:
    """Write a config beside weights of the usual name, and read it."""
    name = 'config.json' if transformers else 'open_clip_config.json'
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    weights = folder / ('model.safetensors' if transformers else 'open_clip_model.safetensors')
    weights.touch()
    return find_weight_config(weights, transformers=transformers)


def test_open_clips_config_is_read(tmp_path: Path) -> None:
    file = tmp_path / 'open_clip_config.json'
    assert read(tmp_path, OPEN_CLIP) == WeightConfig(file, True, image_heads=2, text_heads=2)
    # Without the section that push_to_hf_hub writes around it, with open_clip's defaults, of another family.
    assert read(tmp_path, {'vision_cfg': {}, 'text_cfg': {}}) == WeightConfig(file, False, 768 // 64, 8)
    found = read(tmp_path, {'vision_cfg': {'layers': [3, 4, 6, 3]}, 'text_cfg': {}})
    assert found is not None
    assert found.image_heads is None


def test_transformers_is_read_as_transformers_does(tmp_path: Path) -> None:
    file = tmp_path / 'config.json'
    assert read(tmp_path, TRANSFORMERS, transformers=True) == WeightConfig(file, True, image_heads=2, text_heads=4)
    bare = {'vision_config': {}, 'text_config': {}}
    assert read(tmp_path, bare, transformers=True) == WeightConfig(file, True, image_heads=12, text_heads=8)
    # Old files have a second section, laid over the first.
    gelu = {f'{part}_config_dict': {'hidden_act': 'gelu'} for part in ('vision', 'text')}
    assert read(tmp_path, {**TRANSFORMERS, **gelu}, transformers=True) == WeightConfig(file, False, 2, 4)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'text_config_dict': {'hidden_act': 'gelu'}}, 'another hidden_act for images than for texts'),
        ({'model_type': 'siglip'}, "describes a 'siglip'"),
        ({'vision_config': 'gelu'}, "no section 'vision_config'"),
        ({'vision_config': {'hidden_act': 'gelu_new'}}, "hidden_act = 'gelu_new' in vision_config"),
        ({'text_config': {'num_attention_heads': True}}, 'num_attention_heads = True'),
    ],
)
def test_what_open_clip_cannot_run_of_transformers(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=rf'config\.json, .*{message}'):
        read(tmp_path, {**TRANSFORMERS, **change}, transformers=True)


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{', 'is not valid JSON'),
        ('[' * 100_000, 'is not valid JSON'),
        ('[]', 'should hold a JSON object'),
        ('{"model_cfg": {}}', "no section 'vision_cfg'"),
        ('{"model_cfg": {"vision_cfg": {}, "text_cfg": {}, "quick_gelu": "yes"}}', "quick_gelu = 'yes'"),
        ('{"vision_cfg": {"head_width": 0}, "text_cfg": {}}', 'head_width = 0'),
    ],
)
def test_a_damaged_config_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf'open_clip_config\.json, .*{message}'):
        read(tmp_path, content)


def test_a_config_speaks_for_the_usual_names_and_for_a_lone_file(tmp_path: Path) -> None:
    assert read(tmp_path, OPEN_CLIP) is not None
    (tmp_path / 'open_clip_model.safetensors').rename(tmp_path / 'one.safetensors')
    assert find_weight_config(tmp_path / 'one.safetensors', transformers=False) is not None
    assert find_weight_config(tmp_path / 'one.safetensors', transformers=True) is None
    (tmp_path / 'two.safetensors').touch()
    assert find_weight_config(tmp_path / 'one.safetensors', transformers=False) is None


def test_repositories_of_the_hubs_cache(tmp_path: Path) -> None:
    assert hub_repository(tmp_path / 'models--laion--CLIP-x' / 'blobs' / 'abc') == 'laion/CLIP-x'
    assert hub_repository(tmp_path / 'models--laion' / 'abc') is None
