"""Checksums, sizes and times of files."""

import os
from pathlib import Path

import pytest

from cmdg_plugin.files.hashing import hash_file, size_and_time


def test_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / 'abc').write_bytes(b'abc')
    assert hash_file(tmp_path / 'abc') == 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'


@pytest.mark.parametrize(('seconds', 'kept'), [(0, 0), (1, 10**9), (-5, -5 * 10**9), (12 * 10**9, 12 * 10**18 - 2**64)])
def test_size_and_time_fit_into_64_bits(tmp_path: Path, seconds: int, kept: int) -> None:
    file = tmp_path / 'abc'
    file.write_bytes(b'abc')
    os.utime(file, (seconds, seconds))
    if file.stat().st_mtime != seconds:
        pytest.skip('this file system keeps no such times')
    assert size_and_time(file.stat()) == (3, kept)
