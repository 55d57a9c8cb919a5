"""Checksums of files."""

from pathlib import Path

from cmdg_plugin.files.hashing import hash_file


def test_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / 'abc').write_bytes(b'abc')
    assert hash_file(tmp_path / 'abc') == 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
