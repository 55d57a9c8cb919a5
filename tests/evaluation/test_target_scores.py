from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cmdg_plugin.datasets.evaluation_set import EvaluationSplit, EvaluationTarget
from cmdg_plugin.evaluation import Reranking, rank_distances, rerank_distances
from cmdg_plugin.evaluation.ranking import RetrievalResult
from cmdg_plugin.evaluation.target_scores import rank_target, take_rows


def features_of(target: EvaluationTarget, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (
        rng.normal(size=(target.identities.max() + 2, 6))[target.identities] + rng.normal(size=(len(target.paths), 6))
    ).astype(np.float32)


def split_result(features: np.ndarray, target: EvaluationTarget, split: EvaluationSplit) -> RetrievalResult:
    distance = ((features[split.query][:, None] - features[split.gallery]).astype(np.float64) ** 2).sum(axis=2)
    labels = [labels[rows] for labels in (target.identities, target.cameras) for rows in (split.query, split.gallery)]
    return rank_distances(distance, *labels, max_rank=10)


def test_one_split_is_its_result_in_percent(targets: tuple[EvaluationTarget, EvaluationTarget]) -> None:
    street = targets[0]
    features = features_of(street)
    expected = split_result(features, street, street.splits[0])
    scores = rank_target(features, street)[0]
    assert list(scores) == ['mAP', 'R1', 'R5', 'R10', 'mINP']
    percent = [100 * expected.mAP, *(100 * expected.cmc[[0, 4, 9]]), 100 * expected.mINP]
    assert list(scores.values()) == pytest.approx(percent)
    assert 0 < scores['R1'] < 100


def test_several_splits_give_mean_and_deviation(targets: tuple[EvaluationTarget, EvaluationTarget]) -> None:
    hall = targets[1]
    features = features_of(hall)
    results = [split_result(features, hall, split) for split in hall.splits]
    scores = rank_target(features, hall)[0]
    assert scores['mAP'] == pytest.approx(100 * np.mean([result.mAP for result in results]))
    assert scores['mAP_std'] == pytest.approx(100 * np.std([result.mAP for result in results]))
    assert scores['R1_std'] == pytest.approx(100 * np.std([result.cmc[0] for result in results]))
    assert scores['mAP_std'] > 0
    assert scores['mINP'] == pytest.approx(100 * np.mean([result.mINP for result in results]))
    assert set(scores) == {'mAP', 'R1', 'R5', 'R10', 'mINP', 'mAP_std', 'R1_std'}


def test_the_released_split_stands_beside_the_mean(targets: tuple[EvaluationTarget, EvaluationTarget]) -> None:
    hall = targets[1]
    features = features_of(hall)
    released = EvaluationSplit(hall.splits[0].query[:5], hall.splits[0].gallery)
    expected = split_result(features, hall, released)
    alone = rank_target(features, hall)[0]
    scores = rank_target(features, replace(hall, released=released))[0]
    assert {name: scores[name] for name in alone} == alone
    beside = {name: value for name, value in scores.items() if name not in alone}
    assert list(beside) == ['mAP_released', 'R1_released', 'R5_released', 'R10_released', 'mINP_released']
    percent = [100 * expected.mAP, *(100 * expected.cmc[[0, 4, 9]]), 100 * expected.mINP]
    assert list(beside.values()) == pytest.approx(percent)
    assert beside['mAP_released'] != alone['mAP']


def test_reranked_scores_stand_beside_the_plain_ones(targets: tuple[EvaluationTarget, EvaluationTarget]) -> None:
    hall = replace(targets[1], released=targets[1].splits[0])
    features = features_of(hall)
    settings = Reranking(k1=4, k2=2)
    results = []
    for split in hall.splits:
        labels = [labels[rows] for labels in (hall.identities, hall.cameras) for rows in (split.query, split.gallery)]
        distance = rerank_distances(features[split.query], features[split.gallery], settings)
        results.append(rank_distances(distance, *labels, max_rank=10))
    alone = rank_target(features, hall)[0]
    scores = rank_target(features, hall, reranking=settings)[0]
    assert {name: scores[name] for name in alone} == alone
    assert scores['mAP_rerank'] == pytest.approx(100 * np.mean([result.mAP for result in results]))
    assert scores['mAP_rerank_std'] == pytest.approx(100 * np.std([result.mAP for result in results]))
    assert scores['R1_released_rerank'] == pytest.approx(100 * results[0].cmc[0])
    assert scores['mINP_rerank'] == pytest.approx(100 * np.mean([result.mINP for result in results]))
    assert scores['mAP_rerank'] != alone['mAP']
    assert len(scores) == 2 * len(alone)


def test_junk_neither_asks_nor_answers(make_target: Callable[..., EvaluationTarget]) -> None:
    # Image 2 is junk and nearest to the query; image 3 is junk among the queries.
    target = make_target('t', [1, 1, -1, -1], [0, 1, 1, 0], [([0, 3], [1, 2])], offset=0)
    scores = rank_target(np.array([[0.0], [2.0], [1.0], [1.0]], dtype=np.float32), target)[0]
    assert scores['mAP'] == scores['R1'] == 100


def test_without_cameras_only_the_query_itself_is_ignored(
    make_target: Callable[..., EvaluationTarget], log: pytest.LogCaptureFixture
) -> None:
    # Query 0 stands in the gallery; image 1 is the same person, image 2 a nearer other one.
    target = make_target('t', [1, 1, 2], [0, 0, 0], [([0], [0, 1, 2])], offset=0, has_cameras=False)
    scores = rank_target(np.array([[0.0], [2.0], [1.0]], dtype=np.float32), target)[0]
    assert (scores['R1'], scores['R5'], scores['mAP']) == (0, 100, 50)
    assert 'No camera ids' in log.text


def test_queries_that_do_not_count_are_logged(
    make_target: Callable[..., EvaluationTarget], log: pytest.LogCaptureFixture
) -> None:
    target = make_target('t', [1, 7, 1], [0, 0, 1], [([0, 1], [2])], offset=0)
    rank_target(np.zeros((3, 2), dtype=np.float32), target)[0]
    assert 't: 2 queries, 1 gallery images. 1 queries have no valid match and do not count.' in log.text


def test_errors_name_the_target_and_the_image(make_target: Callable[..., EvaluationTarget]) -> None:
    target = make_target('yard', [1, 1], [0, 0], [([0], [1])], offset=0)
    with pytest.raises(ValueError, match="Target 'yard': None of the 1 queries has a valid match"):
        rank_target(np.zeros((2, 2), dtype=np.float32), target)[0]
    features = np.zeros((2, 2), dtype=np.float32)
    features[1, 0] = np.nan
    with pytest.raises(ValueError, match=r"Target 'yard': the features of 1 of 2 images .* yard/1.jpg"):
        rank_target(features, target)[0]


def test_rows_in_one_run_are_not_copied() -> None:
    features = np.arange(20).reshape(10, 2)
    assert np.shares_memory(take_rows(features, np.arange(3, 8)), features)
    for rows in ([3, 5, 4], [2, 2, 4], [7], [5, 4, 3]):
        np.testing.assert_array_equal(take_rows(features, np.array(rows)), features[rows])
