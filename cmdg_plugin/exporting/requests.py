"""What is asked of an export, looked at before anything is loaded."""

import tempfile
from pathlib import Path

from cmdg_plugin.exporting.formats import FORMATS, OLDEST_OPSET
from cmdg_plugin.extras import import_extra

_ONNX = ('onnx', 'onnxscript', 'onnxruntime')
_PACKAGES = {'.onnx': _ONNX, '.xml': (*_ONNX, 'openvino'), '.pt2': ()}


def check_request(
    out: Path,
    file_format: str | None = None,
    opset: int = OLDEST_OPSET,
    precision: str = 'fp32',
    calibration: Path | None = None,
) -> None:
    """Refuse a file that cannot be written.

    Args:
        out: The file.
        file_format: A key of `FORMATS`; None takes what the file's ending says.
        opset: Version of ONNX's operators.
        precision: `fp32`, `fp16` or `int8`.
        calibration: Folder of images, which `int8` needs.

    Raises:
        FileNotFoundError: If a folder is missing.
        ImportError: If a package is missing.
        OSError: If the folder cannot be written to.
        ValueError: If the ending is not that of the format, the operators are too old, or precision and format, or
            precision and calibration, do not go together.
    """
    expected = list(FORMATS.values()) if file_format is None else [FORMATS[file_format]]
    if out.suffix not in expected:
        raise ValueError(f'{out} should end in {" or ".join(expected)}{f" for {file_format}" if file_format else ""}.')
    if not out.parent.is_dir():
        raise FileNotFoundError(f'There is no folder {out.parent} to write {out.name} into: make it first.')
    if out.is_dir():
        raise IsADirectoryError(f'{out} is a folder: name a file to write.')
    if opset < OLDEST_OPSET:
        raise ValueError(
            f"torch's exporter writes ONNX operators of version {OLDEST_OPSET} and newer, not {opset}: leave --opset "
            'out.'
        )
    if precision != 'fp32' and out.suffix == FORMATS['torch-export']:
        raise ValueError(f'--{precision} goes with .onnx and .xml files, not with {out.name}.')
    if (precision == 'int8') != (calibration is not None):
        raise ValueError('--int8 and --calibration FOLDER, with images like those to come, go together.')
    if calibration is not None and not calibration.is_dir():
        raise FileNotFoundError(f'There is no folder of images at {calibration}.')
    try:
        tempfile.TemporaryFile(dir=out.parent).close()
    except OSError as error:
        raise OSError(f'Nothing can be written into {out.parent} ({error.strerror}).') from error
    for package in _PACKAGES[out.suffix]:
        import_extra(package, 'export')


def check_text_request(text: Path, images: Path | None = None, opset: int = OLDEST_OPSET) -> None:
    """Refuse a file of a text tower that cannot be written.

    Args:
        text: The file.
        images: The file for images that is written with it.
        opset: Version of ONNX's operators.

    Raises:
        FileNotFoundError: If its folder is missing.
        ImportError: If a package is missing.
        OSError: If the folder cannot be written to.
        ValueError: If its ending is not that of ONNX, the operators are too old, or it is the file for images.
    """
    check_request(text, 'onnx', opset)
    if images is not None and text.resolve() == images.resolve():
        raise ValueError(f'{text} is to hold the image tower: give --text a file of its own.')
    import_extra('tokenizers', 'export')
