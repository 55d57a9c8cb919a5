"""What is asked of an export, looked at before anything is loaded."""

from pathlib import Path

from cmdg_plugin.exporting.formats import FORMATS, OLDEST_OPSET


def check_request(out: Path, file_format: str | None = None, opset: int = OLDEST_OPSET) -> None:
    """Refuse a file that cannot be written.

    Args:
        out: The file.
        file_format: A key of `FORMATS`; None takes what the file's ending says.
        opset: Version of ONNX's operators.

    Raises:
        FileNotFoundError: If its folder is missing.
        ValueError: If its ending is not that of the format, or the operators are too old.
    """
    endings = {name: ending for name, (ending, _) in FORMATS.items()}
    expected = list(endings.values()) if file_format is None else [endings[file_format]]
    if out.suffix not in expected:
        raise ValueError(f'{out} should end in {" or ".join(expected)}{f" for {file_format}" if file_format else ""}.')
    if not out.parent.is_dir():
        raise FileNotFoundError(f'There is no folder {out.parent} to write {out.name} into: make it first.')
    if opset < OLDEST_OPSET:
        raise ValueError(
            f"torch's exporter writes ONNX operators of version {OLDEST_OPSET} and newer, not {opset}: leave --opset "
            'out.'
        )
