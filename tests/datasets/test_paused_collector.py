import gc

import pytest

from cmdg_plugin.datasets.paused_collector import collector_paused


def test_collector_rests_inside_and_runs_again_behind() -> None:
    with collector_paused():
        assert not gc.isenabled()
        with collector_paused():
            pass
        assert not gc.isenabled(), 'the inner one must not end the outer one'
    assert gc.isenabled()


def test_collector_runs_again_behind_an_error() -> None:
    @collector_paused()
    def fail() -> None:
        assert not gc.isenabled()
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            fail()
        assert gc.isenabled()
