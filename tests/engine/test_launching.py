import pytest

from cmdg_plugin.engine.launching import join_processes


def test_a_launcher_without_its_processes_says_how_to_start(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv('RANK', raising=False)
    join_processes('none')
    with pytest.raises(RuntimeError, match=r'start with `bash tools/dist_train\.sh CONFIG NUM_GPUS`'):
        join_processes('pytorch')
