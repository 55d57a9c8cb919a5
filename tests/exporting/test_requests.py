from pathlib import Path
from typing import Any

import pytest

from cmdg_plugin.exporting.requests import check_request


@pytest.mark.parametrize(
    ('name', 'asked', 'words'),
    [
        ('model.pt', {}, 'should end in .onnx or .xml or .pt2'),
        ('model.xml', {'file_format': 'onnx'}, 'should end in .onnx for onnx'),
        ('model.onnx', {'opset': 17}, 'version 18 and newer, not 17'),
        ('model.pt2', {'precision': 'fp16'}, '--fp16 goes with .onnx and .xml'),
        ('model.xml', {'precision': 'int8', 'calibration': Path()}, '--int8 writes .onnx files'),
        ('model.onnx', {'precision': 'int8'}, '--int8 and --calibration FOLDER'),
        ('model.onnx', {'calibration': Path()}, '--int8 and --calibration FOLDER'),
    ],
)
def test_what_cannot_be(name: str, asked: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=words):
        check_request(tmp_path / name, **asked)


def test_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'no folder .*missing to write m\.onnx into'):
        check_request(tmp_path / 'missing' / 'm.onnx')
    with pytest.raises(FileNotFoundError, match=r'no folder of images at .*missing'):
        check_request(tmp_path / 'm.onnx', precision='int8', calibration=tmp_path / 'missing')


def test_what_can(tmp_path: Path) -> None:
    for name, asked in (('m.onnx', 'onnx'), ('m.xml', 'openvino'), ('m.pt2', 'torch-export'), ('m.onnx', None)):
        check_request(tmp_path / name, asked)
