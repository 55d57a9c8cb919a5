"""Files of a product with a known matrix; of whole models: test_exporting.py."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cmdg_plugin.exporting import formats
from cmdg_plugin.exporting.formats import (
    Graph,
    onnx_to_openvino,
    save_onnx,
    seal_onnx,
    write_onnx,
    write_torch_export,
)
from cmdg_plugin.files.hashing import hash_file

for package in ('onnx', 'onnxscript', 'onnxruntime', 'openvino'):
    pytest.importorskip(package)

ROWS = np.array([[1, 0, 0], [0, 2, 0], [1, 1, 1]], np.float32)
PRODUCTS = [[1, 2], [6, 8], [9, 12]]


class Product(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(torch.tensor([[1.0, 2], [3, 4], [5, 6]]))

    def forward(self, rows: Tensor) -> Tensor:
        return rows @ self.matrix


class OfTwoRows(Product):
    def forward(self, rows: Tensor) -> Tensor:
        return super().forward(rows.reshape(2, 3))


@pytest.fixture
def graph() -> Graph:
    return Graph(Product(), torch.zeros(2, 3), 'rows', 'the product', {'size': [3, 2], 'name': 'product'})


@pytest.fixture(scope='module')
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('onnx') / 'product.onnx'
    metadata = {'size': [3, 2], 'name': 'product'}
    write_onnx(Graph(Product(), torch.zeros(2, 3), 'rows', 'the product', metadata), path)
    return path


def test_onnx_computes_the_same_for_any_batch(onnx_file: Path) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(onnx_file)
    for count in (1, 2, 3):
        assert session.run(['features'], {'rows': ROWS[:count]})[0].tolist() == PRODUCTS[:count]
    assert session.get_modelmeta().custom_metadata_map == {'size': '[3, 2]', 'name': 'product'}
    assert [path.name for path in onnx_file.parent.iterdir()] == ['product.onnx'], 'weights are inside'


@pytest.mark.parametrize('half', [False, True])
def test_openvino_computes_the_same_and_names_its_weights(onnx_file: Path, half: bool, tmp_path: Path) -> None:
    import openvino

    path = tmp_path / 'out' / 'product.xml'
    path.parent.mkdir()
    onnx_to_openvino(onnx_file, path, {'size': [3, 2]}, half=half)
    core = openvino.Core()
    model = core.read_model(path)
    compiled = core.compile_model(model, 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    assert compiled(ROWS)[0].tolist() == PRODUCTS
    assert model.get_rt_info(['cmdg_plugin', 'size']).value == '[3, 2]'
    assert model.get_rt_info(['cmdg_plugin', 'weights_sha256']).value == hash_file(path.with_suffix('.bin'))
    assert sorted(file.name for file in path.parent.iterdir()) == ['product.bin', 'product.xml']


def test_torch_export_computes_the_same_for_any_batch(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / 'product.pt2'
    write_torch_export(graph, path)
    extra: dict[str, Any] = {'metadata.json': ''}
    module = torch.export.load(path, extra_files=extra).module()
    for count in (1, 3):
        assert module(torch.from_numpy(ROWS[:count])).tolist() == PRODUCTS[:count]
    assert extra['metadata.json'] == '{"size": [3, 2], "name": "product"}'


def test_a_batch_of_one_size_alone_is_refused(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / 'product.pt2'
    with pytest.raises(ValueError, match=r'torch \S+ cannot export the product: '):
        write_torch_export(replace(graph, module=OfTwoRows()), path)
    assert not path.exists()


def test_weights_that_an_onnx_file_cannot_hold_stand_beside_it(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx
    import onnxruntime

    torch.manual_seed(0)
    wide = nn.Linear(3, 300)
    expected = wide(torch.from_numpy(ROWS)).detach().numpy()
    monkeypatch.setattr(formats, '_ONNX_LIMIT', 1000)  # the matrix takes 3,600 bytes
    path, again = tmp_path / 'wide.onnx', tmp_path / 'again.onnx'
    write_onnx(Graph(wide, torch.zeros(2, 3), 'input', 'a wide product', {'name': 'wide'}), path)
    save_onnx(onnx.load(path), again)
    names = ['again.onnx', 'again.onnx.data', 'wide.onnx', 'wide.onnx.data']
    assert sorted(file.name for file in tmp_path.iterdir()) == names
    for file in (path, again):
        seal_onnx(file)
        session = onnxruntime.InferenceSession(file)
        np.testing.assert_allclose(session.run(None, {'input': ROWS})[0], expected, atol=1e-6)
        data = file.with_name(f'{file.name}.data')
        assert data.stat().st_size >= 3600
        assert session.get_modelmeta().custom_metadata_map == {'name': 'wide', 'weights_sha256': hash_file(data)}


def test_weights_inside_a_file_need_no_seal(onnx_file: Path) -> None:
    before = onnx_file.read_bytes()
    seal_onnx(onnx_file)
    assert onnx_file.read_bytes() == before


def test_operators_newer_than_torch_writes(graph: Graph, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'cannot export the product: .*not 99: take an older --opset'):
        write_onnx(replace(graph, opset=99), tmp_path / 'product.onnx')
    assert not list(tmp_path.iterdir())
