"""Damage in files that torch has written: what its own readers do not notice, and what they raise where they do."""

import pickle
import struct
import zipfile
import zlib
from pathlib import Path

UNPICKLING_ERRORS = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    OverflowError,
    MemoryError,
    struct.error,
)
"""What torch's reader of pickles raises, according to where a file happens to be damaged."""


def check_archive(path: Path, advice: str) -> list[str]:
    """Compare the checksum of every part of an archive, which torch does not.

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
