from typing import Any

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement
from torch import nn

from cmdg_plugin.models import FeatureRetriever


@MODELS.register_module(force=True)
class StrangersModel(BaseModel):
    """What any mm project's model offers: `extract_feat` and losses."""

    def __init__(self, data_preprocessor: Any = None, maps: bool = False) -> None:
        super().__init__(data_preprocessor)
        self.weight = nn.Parameter(torch.ones(()))
        self.maps = maps

    def extract_feat(self, inputs: torch.Tensor, stage: str = 'neck') -> tuple:
        maps = inputs * (2 if stage == 'backbone' else 1)
        return (maps if self.maps else maps.mean((2, 3)) - 0.5,)

    def forward(self, inputs: torch.Tensor, data_samples: Any = None, mode: str = 'tensor') -> Any:
        assert mode == 'loss'
        return {'loss': self.weight * inputs.sum()}


def test_predicts_features_of_length_one() -> None:
    model = FeatureRetriever({'type': 'StrangersModel'})
    inputs, samples = torch.rand(2, 3, 4, 4), [BaseDataElement(), BaseDataElement()]
    answers = model(inputs, samples, mode='predict')
    expected = inputs.mean((2, 3)) - 0.5
    expected = expected / expected.norm(dim=1, keepdim=True)
    assert torch.allclose(torch.stack([sample.feature for sample in answers]), expected)
    assert torch.allclose(model(inputs), expected)


def test_stage_reaches_the_model() -> None:
    inputs = torch.rand(1, 3, 4, 4)
    features = FeatureRetriever({'type': 'StrangersModel'}, stage='backbone')(inputs)
    expected = nn.functional.normalize(2 * inputs.mean((2, 3)) - 0.5, dim=1)
    assert torch.allclose(features, expected)


def test_features_are_averaged_with_the_mirror_images() -> None:
    class LeftHalf(StrangersModel):
        def extract_feat(self, inputs: torch.Tensor, stage: str = 'neck') -> tuple:
            return (inputs[..., :2].mean(2).flatten(1),)

    MODELS.register_module(module=LeftHalf, force=True)
    inputs = torch.rand(2, 3, 4, 4)
    features = FeatureRetriever({'type': 'LeftHalf'}, flip_test=True)(inputs)
    columns = inputs.mean(2)
    expected = nn.functional.normalize((columns[..., :2] + columns[..., [3, 2]]).flatten(1), dim=1)
    assert torch.allclose(features, expected)


def test_losses_and_data_preprocessor_are_the_models_own() -> None:
    model = FeatureRetriever({'type': 'StrangersModel'}, data_preprocessor={'type': 'cmdg_plugin.ReIDDataPreprocessor'})
    assert type(model.data_preprocessor).__name__ == 'ReIDDataPreprocessor'
    assert model.data_preprocessor is model.model.data_preprocessor
    assert model(torch.ones(1, 3, 2, 2), [], mode='loss')['loss'].item() == 12


def test_feature_maps_are_refused() -> None:
    model = FeatureRetriever({'type': 'StrangersModel', 'maps': True})
    with pytest.raises(ValueError, match=r'StrangersModel gives \(1, 3, 4, 4\); pool them'):
        model(torch.rand(1, 3, 4, 4))
