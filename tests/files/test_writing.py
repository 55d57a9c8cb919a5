import os
import pickle
import re
import resource
from pathlib import Path

import pytest

from cmdg_plugin.files.writing import dump_whole, open_whole_bytes, open_whole_text, remove_unfinished, write_whole


def test_a_file_takes_its_name_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / 'new' / 'a.txt'
    with open_whole_text(path, newline='') as file:
        file.write('für\r\n')
        assert not path.exists()
    assert path.read_bytes() == 'für\r\n'.encode()
    write_whole(path, b'again')
    write_whole(str(path), 'once more')
    assert path.read_text() == 'once more'
    assert os.listdir(path.parent) == ['a.txt']


def test_what_was_there_stays_where_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / 'a.txt'
    write_whole(path, 'old')
    with pytest.raises(TypeError), open_whole_bytes(path) as file:
        file.write('not bytes')
    assert path.read_text() == 'old'
    assert os.listdir(tmp_path) == ['a.txt']


@pytest.mark.parametrize('name', ['a', 'a[0]*', 'x' * 250])
def test_what_killed_writers_left_is_removed_and_a_neighbor_goes_on(tmp_path: Path, name: str) -> None:
    (tmp_path / f'{name[:200]}.17.unfinished').touch()
    write_whole(tmp_path / name, 'there')
    with open_whole_bytes(tmp_path / f'{name[:190]}.images') as file:
        file.write(b'pixels')
        remove_unfinished(tmp_path / name)
    assert sorted(os.listdir(tmp_path)) == sorted([name, f'{name[:190]}.images'])


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / 'a.bin'
    write_whole(path, b'old')
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=re.escape(f"File too large: '{path}'")):
            write_whole(path, b'x' * 100_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == b'old'
    assert os.listdir(tmp_path) == ['a.bin']


def test_names_at_the_limit_of_the_file_system(tmp_path: Path) -> None:
    path = tmp_path / ('n' * 250)
    write_whole(path, 'text')
    assert path.read_text() == 'text'


@pytest.mark.parametrize(
    ('ending', 'content'),
    [('json', b'{"R1": 5.5}'), ('yml', b'R1: 5.5\n'), ('pkl', pickle.dumps({'R1': 5.5}, protocol=2))],
)
def test_values_are_written_by_the_ending_of_their_file(ending: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / 'new' / f'scores.{ending}'
    dump_whole({'R1': 5.5}, path)
    assert path.read_bytes() == content
    with pytest.raises(TypeError):
        dump_whole({'R1': 5.5, 'what': object()}, tmp_path / 'new' / 'scores.json')
    assert os.listdir(path.parent) == [path.name]
