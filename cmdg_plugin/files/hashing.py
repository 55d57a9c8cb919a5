"""Checksums of files."""

import hashlib
from pathlib import Path


def hash_file(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    state = hashlib.sha256()
    with path.open('rb') as file:
        while piece := file.read(2**20):
            state.update(piece)
    return state.hexdigest()
