import importlib
import math
import os

import pytest
from helpers.fresh import call_afresh

from cmdg_plugin import threads


def show_policy() -> None:
    importlib.import_module('cmdg_plugin.cli')  # what every tool imports first
    print(os.environ.get('OMP_WAIT_POLICY'))


def policy_in_a_tool(**environment: str) -> str:
    """What a fresh process has once the command lines are imported."""
    plain = {name: value for name, value in os.environ.items() if name != 'OMP_WAIT_POLICY'}
    return call_afresh(show_policy, env={**plain, **environment}).strip()


def test_threads_of_tools_sleep_unless_the_user_says_otherwise() -> None:
    assert policy_in_a_tool() == 'PASSIVE'
    assert policy_in_a_tool(OMP_WAIT_POLICY='ACTIVE') == 'ACTIVE'


def test_after_torch_it_is_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('OMP_WAIT_POLICY', raising=False)
    threads.let_threads_sleep()
    assert 'OMP_WAIT_POLICY' not in os.environ


@pytest.mark.parametrize(('granted', 'cores'), [(1.5, 2), (0.5, 1), (16.0, 4), (math.inf, 4)])
def test_quota_of_a_container_limits_the_cores(granted: float, cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: {0, 1, 2, 3})
    monkeypatch.setattr(threads, 'granted_cores', lambda: granted)
    assert threads.count_cores() == cores


@pytest.mark.parametrize(('given', 'computed_on'), [(None, 2), ('3', 3)])
def test_threads_are_limited_unless_the_user_chose(
    given: str | None, computed_on: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, 'count_cores', lambda: 2)
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    if given:
        monkeypatch.setenv('OMP_NUM_THREADS', given)
    torch = importlib.import_module('torch')  # not before: the first test looks at a process without it
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        threads.limit_threads()
        assert torch.get_num_threads() == computed_on
    finally:
        torch.set_num_threads(before)
