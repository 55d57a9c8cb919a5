"""What tells whether a file is as it was: its checksum and, quicker, its size and time."""

import ctypes
import hashlib
import os
from pathlib import Path


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    state = hashlib.sha256()
    with path.open('rb') as file:
        while piece := file.read(2**20):
            state.update(piece)
    return state.hexdigest()


def size_and_time(status: os.stat_result) -> tuple[int, int]:
    """Size of a file in bytes, and its time of change in nanoseconds.

    The time is as 64 bits hold it, for databases and arrays: files from after the year 2262 begin anew at 1677.
    """
    return status.st_size, ctypes.c_int64(status.st_mtime_ns).value
