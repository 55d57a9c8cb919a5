from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cmdg_plugin.exporting import formats
from cmdg_plugin.exporting.compressing import calibration_batches, halve_weights, quantize
from cmdg_plugin.exporting.encoders import INPUTS

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
FLOAT = 1


@pytest.fixture
def product(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """An ONNX file that multiplies rows of 64 numbers with a matrix, and the matrix."""
    matrix = np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node('MatMul', ['images', 'matrix'], ['features'])],
        'product',
        [onnx.helper.make_tensor_value_info('images', FLOAT, ['batch', 64])],
        [onnx.helper.make_tensor_value_info('features', FLOAT, ['batch', 32])],
        [onnx.numpy_helper.from_array(matrix, 'matrix')],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 18)], ir_version=10)
    onnx.helper.set_model_props(model, {'model_hash': 'abc'})
    onnx.save(model, tmp_path / 'product.onnx')
    return tmp_path / 'product.onnx', matrix


def run(path: Path, rows: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path)
    assert session.get_modelmeta().custom_metadata_map['model_hash'] == 'abc'
    return session.run(None, {'images': rows})[0]


def test_weights_in_half_precision(product: tuple[Path, np.ndarray]) -> None:
    path, matrix = product
    small = path.with_name('small.onnx')
    halve_weights(path, small)
    rows = np.random.default_rng(1).normal(size=(3, 64)).astype(np.float32)
    assert np.allclose(run(small, rows), rows @ matrix.astype(np.float16).astype(np.float32), atol=1e-5)
    assert small.stat().st_size < 0.65 * path.stat().st_size


def test_weights_that_half_precision_cannot_hold(product: tuple[Path, np.ndarray]) -> None:
    path, matrix = product
    model = onnx.load(path)
    matrix[0, 0] = 70_000
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(matrix, 'matrix'))
    onnx.save(model, path)
    with pytest.raises(ValueError, match='weight matrix exceeds'):
        halve_weights(path, path.with_name('small.onnx'))


def test_eight_bits_give_nearly_the_same_numbers(product: tuple[Path, np.ndarray]) -> None:
    path, matrix = product
    small = path.with_name('small.onnx')
    rows = np.random.default_rng(1).uniform(0, 1, (40, 64)).astype(np.float32)
    quantize(path, small, iter([rows[:20], rows[20:]]))
    difference = np.abs(run(small, rows) - rows @ matrix)
    assert 0 < difference.max() < 0.05 * np.abs(rows @ matrix).max()
    assert any(weight.data_type == onnx.TensorProto.INT8 for weight in onnx.load(small).graph.initializer)


def test_weights_beside_the_files(product: tuple[Path, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    path, matrix = product
    monkeypatch.setattr(formats, '_ONNX_LIMIT', 1000)
    large, half, eight = (path.with_name(f'{name}.onnx') for name in ('large', 'half', 'eight'))
    formats.save_onnx(onnx.load(path), large)
    rows = np.random.default_rng(1).uniform(0, 1, (40, 64)).astype(np.float32)
    halve_weights(large, half)
    quantize(large, eight, iter([rows]))
    for file in (large, half, eight):
        assert file.with_name(f'{file.name}.data').exists()
        assert np.abs(run(file, rows) - rows @ matrix).max() < 0.05 * np.abs(rows @ matrix).max()


def test_calibration_takes_images_as_the_export_gets_them(toy: Any, jpegs: list[Path]) -> None:
    batches = list(calibration_batches(jpegs, toy._config, INPUTS['0..1']))
    assert [batch.shape for batch in batches] == [(7, 3, 96, 48)]
    assert 0 <= batches[0].min() < batches[0].max() <= 1
