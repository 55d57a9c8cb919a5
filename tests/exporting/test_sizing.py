import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from cmdg_plugin.apis import extract_features
from cmdg_plugin.apis.model_hash import hash_model
from cmdg_plugin.exporting.sizing import at_size, set_pipeline_size


def test_another_size(toy: Any, jpegs: list[Path]) -> None:
    before = hash_model(toy)
    large = at_size(toy, (192, 96))
    assert large.backbone.image_size == (192, 96)
    features = extract_features(large, jpegs, progress=False)
    # Twice as large pictures of the same people: not the same features, but nearer than other people's.
    similarity = features @ extract_features(toy, jpegs, progress=False).T
    assert (similarity.argmax(dim=1) == torch.arange(len(jpegs))).all()
    assert hash_model(large) != before == hash_model(toy)


def test_its_own_size_changes_nothing(toy: Any) -> None:
    assert at_size(toy, [96, 48]) is toy


def test_sizes_that_cannot_be(toy: Any) -> None:
    with pytest.raises(ValueError, match=r'100x48 pixels .* cannot be tiled with patches of 8x8'):
        at_size(toy, (100, 48))


def test_pipeline_that_does_not_end_in_that_size(toy: Any) -> None:
    config = copy.deepcopy(toy._config)
    pipeline = config.test_dataloader.dataset.pipeline
    pipeline.insert(2, dict(type='mmpretrain.CenterCrop', crop_size=(32, 64)))
    with pytest.raises(ValueError, match='makes images of 64x32 pixels'):
        set_pipeline_size(config, (96, 48))
