import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.model import BaseDataPreprocessor

from cmdg_plugin.apis import ImagePreparation, extract_features
from cmdg_plugin.exporting.encoders import ImageEncoder, TextEncoder
from cmdg_plugin.models.data_preprocessor import ReIDDataPreprocessor

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def rgb(model: Any, jpegs: list[Path]) -> torch.Tensor:
    """The images as the config prepares them, RGB, from 0 to 1."""
    return ImagePreparation(model._config).batch(jpegs).flip(1) / 255


def normalized(images: torch.Tensor, norm: tuple[tuple[float, ...], tuple[float, ...]]) -> torch.Tensor:
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in norm)
    return (images - mean) / std


@torch.no_grad()
def test_instance_norm_makes_all_normalizations_one(toy: Any, jpegs: list[Path]) -> None:
    images, encode = rgb(toy, jpegs), ImageEncoder(toy)
    ours = extract_features(toy, jpegs, progress=False)
    assert torch.allclose(encode(images), ours, atol=1e-6)
    for other in (images * 255, *(normalized(images, norm) for norm in (IMAGENET, CLIP, HALVES))):
        features = encode(other)
        # What is left is the eps of the norm, which a scale makes larger or smaller.
        assert (features - ours).abs().max() < 2e-3
        assert (features * ours).sum(dim=1).min() > 0.9999


@torch.no_grad()
def test_declared_input_is_exact(toy: Any, jpegs: list[Path]) -> None:
    images = rgb(toy, jpegs)
    ours = extract_features(toy, jpegs, progress=False)
    for expects, given in (('0..255', images * 255), ('imagenet', normalized(images, IMAGENET))):
        assert torch.allclose(ImageEncoder(toy, expects)(given), ours, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(('brightness', 'difference', 'similarity'), [(0.5, 1e-3, 0.9999), (0.1, 2e-2, 0.995)])
def test_dark_images_feel_the_scale_unless_it_is_declared(
    brightness: float, difference: float, similarity: float, toy: Any, jpegs: list[Path]
) -> None:
    """As docs/export.md says; `any_scale_and_shift` holds up to the eps of the norm."""
    dark = (255 * brightness * rgb(toy, jpegs)).floor() / 255
    ours, given = ImageEncoder(toy)(dark), normalized(dark, IMAGENET)
    undeclared = ImageEncoder(toy)(given)
    assert 1e-4 < (undeclared - ours).abs().max() < difference
    assert (undeclared * ours).sum(dim=1).min() > similarity
    assert torch.allclose(ImageEncoder(toy, 'imagenet')(given), ours, atol=1e-5)


@torch.no_grad()
def test_mean_and_deviation_of_a_recipe_are_inside(toy: Any, jpegs: list[Path]) -> None:
    fixed = copy.deepcopy(toy)
    fixed.data_preprocessor = ReIDDataPreprocessor(normalization='fixed')
    images = rgb(toy, jpegs)
    ours = extract_features(fixed, jpegs, progress=False)
    assert not torch.allclose(ours, extract_features(toy, jpegs, progress=False), atol=1e-2)
    for expects, given in (
        ('0..1', images),
        ('0..255', images * 255),
        ('imagenet', normalized(images, IMAGENET)),
    ):
        assert torch.allclose(ImageEncoder(fixed, expects)(given), ours, atol=1e-5)


@torch.no_grad()
def test_text_features_are_those_of_the_model_at_length_one(toy: Any) -> None:
    tokens = toy.backbone.tokenizer(['a woman in a red coat', 'a man'], toy.backbone.context_length)
    features = TextEncoder(toy)(tokens).numpy()
    assert np.allclose(np.linalg.norm(features, axis=1), 1, atol=1e-5)
    expected, _ = toy.encode_sentences(['a woman in a red coat', 'a man'])
    assert np.allclose(features, torch.nn.functional.normalize(expected, dim=1).numpy(), atol=1e-5)


def test_other_models_are_refused(toy: Any) -> None:
    other = copy.deepcopy(toy)
    other.data_preprocessor = BaseDataPreprocessor()
    with pytest.raises(ValueError, match='not a CMDGReID with a BaseDataPreprocessor'):
        ImageEncoder(other)
    with pytest.raises(ValueError, match='not a Linear with a NoneType'):
        ImageEncoder(torch.nn.Linear(2, 2))
