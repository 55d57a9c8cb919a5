import numpy as np
import pytest

from cmdg_plugin.islands.people import sample_person
from cmdg_plugin.islands.walking import Walker, plan_walks


def plan(seed: int, count: int = 2) -> list[Walker]:
    rng = np.random.default_rng(seed)
    return plan_walks([sample_person(rng) for _ in range(count)], 200, (1280, 512), 0.1, rng)


def test_two_meet_and_then_pass_or_turn_back() -> None:
    passed = 0
    for seed in range(40):
        first, second = sorted(plan(seed), key=lambda walker: walker.identity)
        gap = first.x - second.x
        met = np.abs(gap).argmin()
        assert gap[0] < 0, 'the first comes from the left'
        assert abs(gap[met]) < 15, 'a fifth of a person'
        assert 40 < met < 150
        # Until they stand, both walk at one speed.
        arrived = np.argmax(gap > -90)
        assert np.ptp(np.diff(first.x[:arrived], 2)) == pytest.approx(0, abs=1e-6)
        passed += gap[-1] > 0
    assert 10 < passed < 30


def test_the_farthest_come_first_and_are_smaller() -> None:
    walkers = plan(3, count=7)
    assert sorted(walker.identity for walker in walkers) == list(range(1, 8))
    assert [walker.soles for walker in walkers] == sorted(walker.soles for walker in walkers)
    tall = {walker.soles: walker.height for walker in walkers if walker.person.stature == walkers[0].person.stature}
    assert list(tall.values()) == sorted(tall.values())


def test_who_walks_is_seen_from_the_side_and_who_stands_from_the_front() -> None:
    x = np.array([0.0, 5, 10, 15, 15, 15, 15, 10, 5])
    walker = Walker(1, sample_person(np.random.default_rng(0)), x, 480, 200, 0.0, 1.0, 1)
    facings = [walker.pose(frame).facing for frame in range(9)]
    assert facings == ['right'] * 4 + ['front'] * 2 + ['left'] * 3
    phases = [walker.pose(frame).phase for frame in range(9)]
    assert phases[3] == phases[5] == pytest.approx(2 * np.pi * 15 / 160)
    assert phases[8] == pytest.approx(2 * np.pi * 25 / 160)
    assert (walker.frame(2).center, walker.frame(2).top) == (10, 280)
