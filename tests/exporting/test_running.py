import json
import sys
from pathlib import Path

import numpy as np
import pytest

from cmdg_plugin.exporting.running import ExportedFile, open_exported

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')


@pytest.fixture
def copying(tmp_path: Path) -> Path:
    """An ONNX file that gives back what comes in, rows of 3 numbers, and says what it is."""
    node = onnx.helper.make_node('Identity', ['x'], ['y'])
    ends = [onnx.helper.make_tensor_value_info(name, 1, ['batch', 3]) for name in 'xy']
    model = onnx.helper.make_model(onnx.helper.make_graph([node], 'g', ends[:1], ends[1:]), ir_version=10)
    onnx.helper.set_model_props(model, {'model_hash': 'abc', 'expected_input': '0..1', 'img_size': '[3]'})
    onnx.save(model, tmp_path / 'copying.onnx')
    return tmp_path / 'copying.onnx'


def test_rows_of_another_shape_or_type(copying: Path) -> None:
    exported = open_exported(copying)
    rows = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert exported.run(rows).tolist() == rows.tolist()
    for wrong in (rows.astype(np.float64), rows.astype(np.uint8), rows[:, :2], rows[0], rows[None]):
        with pytest.raises(ValueError, match=r'The file takes float32 of shape \(N, 3\), got'):
            exported.run(wrong)


def test_no_rows_give_no_features() -> None:
    def compute(batch: np.ndarray) -> np.ndarray:
        assert len(batch), 'torch cannot reshape what is empty'
        return batch[:, :2]

    exported = ExportedFile(compute, (3,), {'expected_input': '0..1'})
    assert exported.run(np.zeros((0, 3), np.float32)).shape == (0, 2)
    words = ExportedFile(compute, (3,), {})
    assert words.run(np.zeros((0, 3), np.int64)).shape == (0, 2)
    with pytest.raises(ValueError, match=r'takes int64 of shape \(N, 3\), got int64 of shape \(1, 4\)'):
        words.run(np.zeros((1, 4), np.int64))


def test_what_stands_beside_must_be_its_own(copying: Path) -> None:
    beside = copying.with_name('copying.onnx.metadata.json')
    beside.write_text(json.dumps({'model_hash': 'abc', 'img_size': [3]}))
    open_exported(copying)
    beside.write_text(json.dumps({'model_hash': 'another', 'img_size': [3]}))
    with pytest.raises(ValueError, match=r'is not what copying\.onnx says of itself \(model_hash\)'):
        open_exported(copying)
    for damaged in ('{"model_hash', '[]', '\0', '[' * 100_000):
        beside.write_text(damaged)
        with pytest.raises(ValueError, match=r'metadata\.json is damaged'):
            open_exported(copying)


@pytest.mark.parametrize('side', ['height', -5, 0])
def test_rows_have_a_known_shape(copying: Path, side: str | int) -> None:
    model = onnx.load(copying)
    dimension = model.graph.input[0].type.tensor_type.shape.dim[1]
    if isinstance(side, str):
        dimension.dim_param = side
    else:
        dimension.dim_value = side
    onnx.save(model, copying)
    with pytest.raises(ValueError, match=r'copying\.onnx is damaged, or is not an exported model'):
        open_exported(copying)


def test_weights_beside_must_be_its_own(copying: Path) -> None:
    model = onnx.load(copying)
    model.metadata_props.add(
        key='weights_sha256', value='ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    )
    onnx.save(model, copying)
    data = copying.with_name('copying.onnx.data')
    data.write_bytes(b'abc')
    open_exported(copying)
    data.write_bytes(b'abd')
    with pytest.raises(ValueError, match=r'copying\.onnx\.data holds not the weights of .*copying\.onnx'):
        open_exported(copying)
    data.unlink()
    with pytest.raises(FileNotFoundError, match=r'There are no weights at .*data'):
        open_exported(copying)


def test_what_may_run_code_must_be_trusted(tmp_path: Path) -> None:
    (tmp_path / 'a.pt2').write_bytes(b'text')
    with pytest.raises(ValueError, match=r'may hold code.*--trust'):
        open_exported(tmp_path / 'a.pt2')


def test_files_that_are_no_exports(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'no exported model at .*a\.onnx'):
        open_exported(tmp_path / 'a.onnx')
    for name in ('a.onnx', 'a.pt2', 'a.txt'):
        (tmp_path / name).write_bytes(b'text')
        with pytest.raises(ValueError, match='is not an exported model'):
            open_exported(tmp_path / name, trust=True)
    node = onnx.helper.make_node('Identity', ['x'], ['y'])
    ends = [onnx.helper.make_tensor_value_info(name, 1, ['batch', 3]) for name in 'xy']
    model = onnx.helper.make_model(onnx.helper.make_graph([node], 'g', ends[:1], ends[1:]), ir_version=10)
    onnx.save(model, tmp_path / 'b.onnx')
    with pytest.raises(ValueError, match='was not written by'):
        open_exported(tmp_path / 'b.onnx')


def test_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / 'a.onnx').write_bytes(b'text')
    monkeypatch.setitem(sys.modules, 'onnxruntime', None)
    with pytest.raises(ImportError, match=r'onnxruntime is needed here .*pip install "cmdg_plugin\[export\]"'):
        open_exported(tmp_path / 'a.onnx')
