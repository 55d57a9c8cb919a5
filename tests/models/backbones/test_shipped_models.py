import gzip
import json
from pathlib import Path

import open_clip
import pytest
from open_clip.model import CLIP
from safetensors.torch import save_file

from cmdg_plugin.models.backbones import SHIPPED_MODELS, ShippedModel, TextAwareCLIP, shipped_models
from cmdg_plugin.models.backbones.architecture import build_clip, find_model_config


@pytest.fixture
def pocket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_models: None) -> CLIP:
    """A model with a vocabulary of its own, shipped the way the package ships its toy."""
    with gzip.open(tmp_path / 'bpe.txt.gz', 'wt', encoding='utf-8') as file:
        file.write('#version: test\nr e\nre d</w>\n')
    config = find_model_config('cmdg-test-small-vocabulary')
    config['text_cfg']['vocab_size'] = 512 + 3 + 2
    (tmp_path / 'cmdg-test-pocket.json').write_text(json.dumps(config))
    model = ShippedModel(
        tmp_path / 'cmdg-test-pocket.json', {'islands': tmp_path / 'pocket.safetensors'}, tmp_path / 'bpe.txt.gz'
    )
    monkeypatch.setitem(SHIPPED_MODELS, 'cmdg-test-pocket', model)
    clip = build_clip(find_model_config('cmdg-test-pocket'), None)
    save_file(clip.state_dict(), model.weights['islands'])
    return clip


def test_a_shipped_model_brings_configuration_weights_and_vocabulary(pocket: CLIP) -> None:
    assert 'cmdg-test-pocket' in open_clip.list_models()
    backbone = TextAwareCLIP('cmdg-test-pocket', pretrained='islands', image_size=(96, 48))
    assert (backbone.clip.visual.proj == pocket.visual.proj).all()
    tokens, _ = backbone.tokenize(['red', 'der'])
    assert tokens[0].tolist() == [515, 513, 516, 0, 0]
    assert len(set(tokens[1].tolist())) == 5


def test_other_models_have_no_shipped_weights() -> None:
    assert shipped_models.shipped_weights('ViT-B-16', 'islands') is None
    assert shipped_models.shipped_weights('cmdg-toy-vit', 'openai') is None
    assert shipped_models.tokenizer_arguments('ViT-B-16') == {}


def test_incomplete_installation_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = ShippedModel(tmp_path / 'gone.json', {'islands': tmp_path / 'gone.safetensors'})
    monkeypatch.setitem(SHIPPED_MODELS, 'gone', model)
    with pytest.raises(FileNotFoundError, match=r'gone\.json is missing.*reinstall'):
        shipped_models.register_shipped_model('gone')
    with pytest.raises(FileNotFoundError, match=r'gone\.safetensors is missing.*reinstall'):
        shipped_models.shipped_weights('gone', 'islands')
