import sys
from pathlib import Path
from typing import Any

import pytest

from cmdg_plugin.exporting.requests import check_request, check_text_request

for needed in ('onnx', 'onnxscript', 'onnxruntime', 'openvino', 'tokenizers'):
    pytest.importorskip(needed)


@pytest.mark.parametrize(
    ('name', 'asked', 'words'),
    [
        ('model.pt', {}, 'should end in .onnx or .xml or .pt2'),
        ('model.xml', {'file_format': 'onnx'}, 'should end in .onnx for onnx'),
        ('model.onnx', {'opset': 17}, 'version 18 and newer, not 17'),
        ('model.pt2', {'precision': 'fp16'}, '--fp16 goes with .onnx and .xml'),
        ('model.pt2', {'precision': 'int8', 'calibration': Path()}, '--int8 goes with .onnx and .xml'),
        ('model.onnx', {'precision': 'int8'}, '--int8 and --calibration FOLDER'),
        ('model.onnx', {'calibration': Path()}, '--int8 and --calibration FOLDER'),
    ],
)
def test_what_cannot_be_exported_is_named(name: str, asked: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        check_request(tmp_path / name, **asked)


def test_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'no folder .*missing to write m\.onnx into'):
        check_request(tmp_path / 'missing' / 'm.onnx')
    with pytest.raises(FileNotFoundError, match=r'no folder of images at .*missing'):
        check_request(tmp_path / 'm.onnx', precision='int8', calibration=tmp_path / 'missing')


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / 'folder.onnx').mkdir()
    with pytest.raises(IsADirectoryError, match='is a folder: name a file'):
        check_request(tmp_path / 'folder.onnx')
    if Path('/proc').is_dir():  # where not even root may write
        with pytest.raises(OSError, match='Nothing can be written into /proc'):
            check_request(Path('/proc/m.onnx'))
    assert [path.name for path in tmp_path.iterdir()] == ['folder.onnx']


@pytest.mark.parametrize(
    ('package', 'name'), [('onnxscript', 'm.onnx'), ('onnxruntime', 'm.onnx'), ('openvino', 'm.xml')]
)
def test_missing_packages_are_named(package: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=rf'^{package} is needed here .*pip install "cmdg_plugin\[export\]"'):
        check_request(tmp_path / name)
    check_request(tmp_path / 'm.pt2')


def test_requests_for_text_towers_are_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_text_request(tmp_path / 'texts.onnx', tmp_path / 'images.onnx')
    with pytest.raises(ValueError, match='is to hold the image tower'):
        check_text_request(tmp_path / 'm.onnx', tmp_path / '.' / 'm.onnx')
    with pytest.raises(ValueError, match=r'should end in \.onnx'):
        check_text_request(tmp_path / 'm.xml', tmp_path / 'm.onnx')
    monkeypatch.setitem(sys.modules, 'tokenizers', None)
    with pytest.raises(ImportError, match=r'^tokenizers is needed here'):
        check_text_request(tmp_path / 'texts.onnx')


def test_what_can_be_exported_passes(tmp_path: Path) -> None:
    for name, asked in (('m.onnx', 'onnx'), ('m.xml', 'openvino'), ('m.pt2', 'torch-export'), ('m.onnx', None)):
        check_request(tmp_path / name, asked)
