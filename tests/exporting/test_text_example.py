"""The example on files made by hand; on those of a real model: test_exporting.py."""

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cmdg_plugin.exporting.text_example import main

onnx = pytest.importorskip('onnx')
tokenizers = pytest.importorskip('tokenizers')
pytest.importorskip('onnxruntime')
FLOAT, INT64 = 1, 7


def write(path: Path, node: Any, given: Any, width: int, *constants: Any, **metadata: str) -> Path:
    """An ONNX file of one operator, from `given` to features of some width."""
    made = onnx.helper.make_tensor_value_info('features', FLOAT, ['batch', width])
    graph = onnx.helper.make_graph([node], 'g', [given], [made], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 18)], ir_version=10)
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def test_similarities(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    # Features of an image are the means of its three channels, and those of a sentence its two tokens.
    images = write(
        tmp_path / 'images.onnx',
        onnx.helper.make_node('ReduceMean', ['images', 'axes'], ['features'], keepdims=0),
        onnx.helper.make_tensor_value_info('images', FLOAT, ['batch', 3, 4, 2]),
        3,
        onnx.helper.make_tensor('axes', INT64, [2], [2, 3]),
        img_size='[4, 2]',
        input_mean='[0.0, 0.0, 51.0]',
        input_std='[255.0, 255.0, 51.0]',
    )
    texts = write(
        tmp_path / 'texts.onnx',
        onnx.helper.make_node('Cast', ['tokens'], ['features'], to=FLOAT),
        onnx.helper.make_tensor_value_info('tokens', INT64, ['batch', 2]),
        2,
    )
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel({'zero': 0, 'one': 1}, unk_token='zero'))
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    words.save(str(tmp_path / 'words.json'))
    Image.new('RGB', (20, 40), (255, 204, 204)).save(tmp_path / 'picture.png')
    files = (images, texts, tmp_path / 'words.json', tmp_path / 'picture.png')
    main(*map(str, files), 'one zero', 'zero one')
    # Its features are (1, 0.8, 3); those that are compared, (0.8, 3), have length 3.105.
    assert capsys.readouterr().out == '0.258  one zero\n0.966  zero one\n'
