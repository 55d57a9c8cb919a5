"""The vocabulary that the toy CLIP is pretrained with; the training itself is tested beside its parts."""

from pathlib import Path

import pytest
from pretrain_toy_clip import NAME, VOCABULARY, pack_weights, write_vocabulary
from safetensors.torch import save

from cmdg_plugin.models.backbones import SHIPPED_MODELS, TextAwareCLIP

SHIPPED = SHIPPED_MODELS[NAME].vocabulary.read_bytes()


def test_the_vocabulary_is_the_one_that_the_model_reads_text_by(tmp_path: Path) -> None:
    path = tmp_path / VOCABULARY
    for _ in range(2):  # again, where a training goes on
        write_vocabulary(path, ['a red coat'], new=False)
        assert path.read_bytes() == SHIPPED


def test_a_new_one_is_learned_only_if_asked_for(tmp_path: Path) -> None:
    path = tmp_path / VOCABULARY
    write_vocabulary(path, ['a red coat'], new=True)
    learned = path.read_bytes()
    assert learned != SHIPPED
    with pytest.raises(ValueError, match='another vocabulary than ships: go on with --new-vocabulary'):
        write_vocabulary(path, ['a red coat'], new=False)
    write_vocabulary(path, ['a blue coat'], new=True)
    assert path.read_bytes() == learned


def test_weights_of_another_vocabulary_are_refused_by_the_model_that_ships(tmp_path: Path) -> None:
    clip = TextAwareCLIP(NAME).clip
    weights, vocabulary = tmp_path / 'toy.safetensors', tmp_path / VOCABULARY
    write_vocabulary(vocabulary, ['a red coat'], new=False)
    weights.write_bytes(pack_weights(clip, vocabulary))
    TextAwareCLIP(NAME, pretrained=str(weights))
    vocabulary.unlink()
    write_vocabulary(vocabulary, ['a red coat'], new=True)
    weights.write_bytes(pack_weights(clip, vocabulary))
    with pytest.raises(ValueError, match=rf"toy\.safetensors was trained with another vocabulary .* than '{NAME}'"):
        TextAwareCLIP(NAME, pretrained=str(weights))
    weights.write_bytes(save({name: tensor.contiguous() for name, tensor in clip.state_dict().items()}))
    TextAwareCLIP(NAME, pretrained=str(weights))
