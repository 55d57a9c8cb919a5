"""The vocabulary that the toy CLIP is pretrained with; the training itself is tested beside its parts."""

from pathlib import Path

import pytest
from pretrain_toy_clip import NAME, VOCABULARY, write_vocabulary

from cmdg_plugin.models.backbones import SHIPPED_MODELS

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
