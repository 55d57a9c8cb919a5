import math

import pytest

from cmdg_plugin.ablation import estimate_difference, estimate_mean


def test_interval_of_five_values_by_hand() -> None:
    # Mean 3; deviations -2 -1 0 1 2, so the variance is 10 / 4 and the standard error sqrt(2.5 / 5) = 0.70711.
    # Tables give Student's t for four degrees of freedom as 2.776 (95%).
    estimate = estimate_mean([1, 2, 3, 4, 5])
    assert (estimate.mean, estimate.count) == (3, 5)
    assert estimate.margin == pytest.approx(2.7764 * 0.70711, rel=1e-4)
    assert (estimate.low, estimate.high) == pytest.approx((3 - 1.96326, 3 + 1.96326), rel=1e-4)


def test_interval_of_two_values_by_hand() -> None:
    # Half their distance is the standard error; t for one degree of freedom is tan(0.475 pi) = 12.7062.
    assert estimate_mean([1, 3]).margin == pytest.approx(math.tan(0.475 * math.pi))


def test_equal_values_leave_no_doubt() -> None:
    assert estimate_mean([2.5, 2.5, 2.5]).margin == 0


def test_one_value_says_nothing_of_its_spread_and_none_nothing_at_all() -> None:
    one, none = estimate_mean([7.0]), estimate_mean([])
    assert (one.mean, one.count) == (7, 1)
    assert math.isnan(one.margin)
    assert math.isnan(none.mean)
    assert none.count == 0


def test_differences_are_taken_seed_by_seed() -> None:
    reference = {0: 10.0, 1: 20.0, 2: 30.0, 3: 99.0}
    # Differences 1, 2, 3: mean 2, standard error 1 / sqrt(3), t for two degrees of freedom 4.3027. Unpaired, the
    # spread of 10 between the seeds would drown them.
    estimate = estimate_difference({2: 33.0, 0: 11.0, 1: 22.0, 4: 0.0}, reference)
    assert (estimate.mean, estimate.count) == (2, 3)
    assert estimate.margin == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)
