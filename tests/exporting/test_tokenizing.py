from pathlib import Path
from typing import Any

import pytest
from helpers.small_clips import register_small_clips, write_tokenizer

from cmdg_plugin.exporting.tokenizing import tokenizer_json
from cmdg_plugin.models.backbones import TextAwareCLIP

tokenizers = pytest.importorskip('tokenizers')
SENTENCES = [
    'a woman in a red coat with a backpack',
    "  The MAN's   jacket isn't blue;\tit's 100% green!!\n",
    'naïve café, 东京 and 😀 _under_score_',
    'a',
    'word ' * 100,
]


def check(backbone: TextAwareCLIP) -> None:
    made = tokenizers.Tokenizer.from_str(tokenizer_json(backbone.text_tokenizer))
    expected = backbone.tokenizer(SENTENCES, backbone.context_length)
    assert [encoding.ids for encoding in made.encode_batch(SENTENCES)] == expected.tolist()


def test_of_the_toy(toy: Any) -> None:
    check(toy.backbone)


@pytest.mark.parametrize('name', ['cmdg-small-vit', 'cmdg-small-siglip'])
def test_of_clip_and_of_siglip(name: str, tmp_path: Path) -> None:
    register_small_clips(tmp_path / 'clips')
    folder = str(write_tokenizer(tmp_path / 'words')) if name.endswith('siglip') else None
    check(TextAwareCLIP(name, tokenizer=folder))


def test_tokenizers_without_such_a_form(toy: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toy.backbone.text_tokenizer.words, 'reduction_fn', lambda *_: None)
    with pytest.raises(ValueError, match="'cmdg-toy-vit' has no tokenizer"):
        tokenizer_json(toy.backbone.text_tokenizer)
