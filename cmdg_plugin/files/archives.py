"""ZIP archives, whose checksums torch's readers do not compare."""

import zipfile
import zlib
from pathlib import Path


def check_archive(path: Path, advice: str) -> list[str]:
    """Compare the checksum of every part of an archive.

    Args:
        path: The archive.
        advice: What to do about a damaged one, a sentence.

    Returns:
        Names of its parts.

    Raises:
        ValueError: If it is damaged or incomplete.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            names = archive.namelist()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, OSError) as error:
        raise ValueError(f'{path} is damaged or incomplete ({error}). {advice}') from error
    if damaged is not None:
        raise ValueError(f'{path} is damaged: the checksum of {damaged} in it is wrong. {advice}')
    return names
