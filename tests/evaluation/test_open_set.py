import math

import numpy as np
import pytest
import torch

from cmdg_plugin.evaluation.open_set import best_scores, identification_rate, learn_threshold, needed_queries


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


def test_needed_queries() -> None:
    assert [needed_queries(rate) for rate in (0.01, 0.1, 0.5, 0.3)] == [100, 10, 2, 4]


def test_identification_by_hand() -> None:
    own = [0.9, 0.7, 0.8, 0.8, 0.4]
    others = [0.1, 0.1, 0.9, 0.8, 0.1]  # the third is somebody else, the fourth a tie
    assert identification_rate(own, others, 0.7) == 2 / 5  # a score at the threshold counts
    assert identification_rate(own, others, 0.71) == 1 / 5
    assert identification_rate(own, others, 0.0) == 3 / 5
    assert math.isnan(identification_rate([], [], 0.5))


def test_one_percent_of_a_hundred_absent_people() -> None:
    # One of the hundred may reach the threshold, which lies just above the second highest score.
    absent = [*range(98), 200, 300]
    threshold = learn_threshold(absent, 0.01)
    assert identification_rate([201, 200, 250, 199], [0, 0, 0, 0], threshold) == 2 / 4
    # Two tie for the highest: both or none, and two are too many.
    assert learn_threshold([*range(98), 300, 300], 0.01) > 300


def test_best_scores_by_hand() -> None:
    query = np.array([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]], np.float32)
    gallery = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 3.0]], np.float32)
    # Query 0: the image at distance 0 is its own camera's and left out. Query 2: nobody there.
    own, others = best_scores(query, gallery, [7, 8, 9], [7, 7, 8, 8], [0, 0, 0], [0, 1, 1, 0])
    assert own.tolist() == [-1, -13, -math.inf]
    assert others.tolist() == [-4, -4, -4]
    # Nobody else: everything is the query's own person.
    own, others = best_scores(query[:1], gallery[:2], [7], [7, 7], [0], [0, 1])
    assert (own.tolist(), others.tolist()) == ([-1], [-math.inf])


@pytest.mark.parametrize('chunk_size', [1, 7, None])
def test_best_scores_agree_with_the_whole_matrix(chunk_size: int | None) -> None:
    rng = np.random.default_rng(0)
    query, gallery = rng.standard_normal((30, 6)), rng.standard_normal((50, 6))
    people, cameras = (rng.integers(0, 8, 30), rng.integers(2, 9, 50)), (rng.integers(0, 3, 30), rng.integers(0, 3, 50))
    scores = -np.square(query[:, None] - gallery[None]).sum(axis=2)
    same = people[0][:, None] == people[1]
    elsewhere = cameras[0][:, None] != cameras[1]
    own, others = best_scores(
        torch.from_numpy(query), torch.from_numpy(gallery), *people, *cameras, chunk_size=chunk_size
    )
    np.testing.assert_allclose(own, np.where(same & elsewhere, scores, -np.inf).max(axis=1), rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(others, np.where(same, -np.inf, scores).max(axis=1), rtol=1e-5, atol=1e-5)
