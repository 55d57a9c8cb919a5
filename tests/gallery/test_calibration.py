import numpy as np
import pytest

from cmdg_plugin.gallery.calibration import judge, learn_threshold


@pytest.mark.parametrize(('rate', 'reached'), [(0.01, 10), (0.1, 100), (0.0015, 1), (0.5, 500)])
def test_as_many_absent_people_reach_a_threshold_as_may(rate: float, reached: int) -> None:
    scores = np.random.default_rng(0).permutation(np.linspace(0, 1, 1000))
    assert (scores >= learn_threshold(scores, rate)).sum() == reached


def test_equal_scores_stay_together() -> None:
    assert learn_threshold([0.5] * 10, 0.3) > 0.5


@pytest.mark.parametrize('rate', [0, 1, -0.1, float('nan')])
def test_rates_that_are_none(rate: float) -> None:
    with pytest.raises(ValueError, match='between 0 and 1'):
        learn_threshold([0.5] * 1000, rate)


def test_too_few_queries() -> None:
    with pytest.raises(ValueError, match='at least 100 queries of people who are not there; there are 99'):
        learn_threshold([0.5] * 99, 0.01)
    learn_threshold([0.5] * 100, 0.01)


def test_verdicts() -> None:
    threshold = {'match': 0.8, 'unsure': 0.6}
    verdicts = [judge(score, threshold) for score in (0.8, 0.79, 0.6, 0.59, None)]
    assert verdicts == ['match', 'unsure', 'unsure', 'nobody', 'nobody']
