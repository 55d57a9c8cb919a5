import os
from pathlib import Path

import pytest

from cmdg_plugin.files.locking import InUse, hold


def test_one_at_a_time(tmp_path: Path):
    with hold(tmp_path / '.lock', 'somebody is here'):
        with pytest.raises(InUse, match='somebody is here'), hold(tmp_path / '.lock', 'somebody is here'):
            pass
        with hold(tmp_path / 'other.lock', 'nobody'):
            pass
    with hold(tmp_path / '.lock', 'nobody'):
        pass


def test_the_lock_goes_with_the_process(tmp_path: Path):
    child = os.fork()
    if child == 0:
        hold(tmp_path / '.lock', 'gone').__enter__()
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    with hold(tmp_path / '.lock', 'gone'):
        pass
