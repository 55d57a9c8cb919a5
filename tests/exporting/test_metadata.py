import json
from pathlib import Path
from typing import Any

import torch

import cmdg_plugin
from cmdg_plugin.apis.model_hash import hash_model
from cmdg_plugin.exporting.metadata import (
    as_text,
    describe_images,
    describe_texts,
    sidecar_of,
    weights_of,
    write_sidecar,
)
from cmdg_plugin.models.data_preprocessor import ReIDDataPreprocessor

PIXELS = ((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))


def test_an_image_tower_is_described(toy: Any) -> None:
    described = describe_images(toy, PIXELS, '0..1', 'fp16')
    recipe = described.pop('recipe')
    assert described == {
        'schema_version': 1,
        'model_name': 'cmdg_reid',
        'preprocess': 'resize',
        'img_size': [96, 48],
        'model_kwargs': {'img_size': [96, 48]},
        'input': 'images: float32 (N, 3, height, width), RGB',
        'expected_input': '0..1',
        'input_mean': (0, 0, 0),
        'input_std': (255, 255, 255),
        'any_scale_and_shift': True,
        'output': 'features: float32 (N, 224) of length one',
        'model_hash': hash_model(toy),
        'precision': 'fp16',
        'version': cmdg_plugin.__version__,
        'torch_version': torch.__version__,
    }
    assert recipe['model'] == 'CMDGReID'
    assert recipe['backbone']['model_name'] == 'cmdg-toy-vit'
    assert (recipe['normalization'], recipe['flip_test']) == ('instance', False)


def test_a_fixed_normalization_takes_one_scale_alone(toy: Any) -> None:
    own = toy.data_preprocessor
    toy.data_preprocessor = ReIDDataPreprocessor(normalization='fixed')
    try:
        assert describe_images(toy, PIXELS, '0..1', 'fp32')['any_scale_and_shift'] is False
    finally:
        toy.data_preprocessor = own


def test_a_text_tower_is_described(toy: Any) -> None:
    described = describe_texts(toy, 'toy.tokenizer.json')
    assert described['input'] == 'tokens: int64 (N, 77)'
    assert described['output'] == 'features: float32 (N, 96) of length one'
    assert described['compare_with'] == 'the last 96 numbers of image features, brought to length one'
    assert described['tokenizer'] == 'toy.tokenizer.json'
    assert 'expected_input' not in described, 'by which files of images are known'


def test_text_stays_and_all_else_becomes_json() -> None:
    assert as_text({'a': 'word', 'b': [1, 2], 'c': True, 'd': None, 'e': {'f': 0.5}}) == {
        'a': 'word', 'b': '[1, 2]', 'c': 'true', 'd': 'null', 'e': '{"f": 0.5}',
    }  # fmt: skip


def test_metadata_and_weights_stand_beside_the_file(tmp_path: Path) -> None:
    path = tmp_path / 'model.onnx'
    assert sidecar_of(path) == tmp_path / 'model.onnx.metadata.json'
    assert weights_of(path) == tmp_path / 'model.onnx.data'
    assert weights_of(tmp_path / 'model.xml') == tmp_path / 'model.bin'
    write_sidecar(path, {'img_size': (96, 48)})
    assert json.loads(sidecar_of(path).read_text()) == {'img_size': [96, 48]}
