import os

import pytest

from cmdg_plugin.captioning.locking import OutputInUse, lock_output, prepare_output


def test_one_run_an_output(tmp_path, monkeypatch):
    out = tmp_path / 'c.json'
    with lock_output(out), lock_output(tmp_path / 'other.json'):
        monkeypatch.chdir(tmp_path)
        with pytest.raises(OutputInUse, match=r'another run writes to .*c\.json'), lock_output(prepare_output(out)):
            pass
        (tmp_path / 'link').symlink_to(tmp_path)
        with pytest.raises(OutputInUse), lock_output(tmp_path / 'link' / 'c.json'):
            pass
    with lock_output(out):
        pass


def test_the_lock_goes_with_the_process(tmp_path):
    child = os.fork()
    if child == 0:
        lock_output(tmp_path / 'c.json').__enter__()
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert (tmp_path / 'c.json.lock').exists()
    with lock_output(tmp_path / 'c.json'):
        pass


def test_prepare(tmp_path):
    assert prepare_output(tmp_path / 'a' / 'b' / 'c.json').parent.is_dir()
    with pytest.raises(ValueError, match=r'must be a \.json file'):
        prepare_output(tmp_path / 'c.csv')
