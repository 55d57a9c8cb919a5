import sys
from pathlib import Path

import pytest

from cmdg_plugin.exporting.running import open_exported

onnx = pytest.importorskip('onnx')
pytest.importorskip('onnxruntime')


def test_files_that_are_no_exports(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'no exported model at .*a\.onnx'):
        open_exported(tmp_path / 'a.onnx')
    for name in ('a.onnx', 'a.pt2', 'a.txt'):
        (tmp_path / name).write_bytes(b'text')
        with pytest.raises(ValueError, match='is not an exported model'):
            open_exported(tmp_path / name)
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
