import os
from pathlib import Path

import pytest

from cmdg_plugin.files.locking import InUse, hold


def test_one_at_a_time(tmp_path: Path) -> None:
    with hold(tmp_path / '.lock', 'somebody is here'):
        with pytest.raises(InUse, match='somebody is here'), hold(tmp_path / '.lock', 'somebody is here'):
            pass
        with hold(tmp_path / 'other.lock', 'nobody'):
            pass
    with hold(tmp_path / '.lock', 'nobody'):
        pass


def test_the_lock_goes_with_the_process(tmp_path: Path) -> None:
    child = os.fork()
    if child == 0:
        hold(tmp_path / '.lock', 'gone').__enter__()
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    with hold(tmp_path / '.lock', 'gone'):
        pass


def test_a_child_that_outlives_the_process_does_not_hold_on(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        hold(tmp_path / '.lock', 'gone').__enter__()
        if os.fork() == 0:
            os.close(write_end)
            os.read(read_end, 1)
        os._exit(9)
    os.waitpid(child, 0)
    with hold(tmp_path / '.lock', 'a worker holds it'):
        pass
    os.write(write_end, b'x')


def test_forking_leaves_the_lock_with_the_parent(tmp_path: Path) -> None:
    with hold(tmp_path / '.lock', 'parent'):
        child = os.fork()
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
        with pytest.raises(InUse, match='parent'), hold(tmp_path / '.lock', 'parent'):
            pass


def test_who_is_told_to_wait_comes_next(tmp_path: Path) -> None:
    lock, done = tmp_path / '.lock', tmp_path / 'done'
    with hold(lock, 'somebody is here'):
        child = os.fork()
        if child == 0:
            with hold(lock, 'waiting', wait=True):
                done.touch()
            os._exit(0)
        assert not done.exists()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert done.exists()
