"""Ranking against hand-written loops, torchreid's function and the released method's numbers."""

import pickle
import warnings
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch

from cmdg_plugin.evaluation import rank_distances, rank_retrieval
from cmdg_plugin.evaluation import ranking as ranking_module
from cmdg_plugin.evaluation.ranking import RetrievalResult

GOLDEN = Path(__file__).parents[1] / 'data' / 'golden_eval.npz'


def loop_oracle(
    distance: np.ndarray,
    query_ids: np.ndarray,
    gallery_ids: np.ndarray,
    query_cameras: np.ndarray,
    gallery_cameras: np.ndarray,
    max_rank: int,
) -> tuple[np.floating, np.ndarray, int, np.floating, np.ndarray]:
    """The rule written as a plain loop over a stable full sort."""
    precisions, first_hits, inverse_penalties = [], [], []
    for row, identity, camera in zip(distance, query_ids, query_cameras, strict=True):
        rank = hits = 0
        first, precision = None, 0.0
        for column in sorted(range(len(row)), key=lambda g: (row[g], g)):
            if gallery_ids[column] == identity and gallery_cameras[column] == camera:
                continue
            rank += 1
            if gallery_ids[column] == identity:
                hits += 1
                precision += hits / rank
                first, last = first or rank, rank
        precisions.append(precision / hits if hits else np.nan)
        if hits:
            inverse_penalties.append(hits / last)
            first_hits.append(first)
    cmc = [np.mean([hit <= rank for hit in first_hits]) for rank in range(1, max_rank + 1)]
    return np.nanmean(precisions), np.array(cmc), len(first_hits), np.mean(inverse_penalties), np.array(precisions)


def torchreid_oracle(distance: np.ndarray, *labels: np.ndarray, max_rank: int) -> tuple[np.floating, np.ndarray]:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        rank = pytest.importorskip('torchreid.reid.metrics.rank')
        cmc, mean_precision = rank.evaluate_rank(
            distance, *labels, max_rank=max_rank, use_metric_cuhk03=False, use_cython=False
        )
    return mean_precision, cmc


def random_labels(
    rng: np.random.Generator,
    num_queries: int,
    num_gallery: int,
    num_ids: int = 8,
    num_cameras: int = 3,
    first_id: int = 0,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    draw = lambda high, size: rng.integers(first_id, first_id + high, size)  # noqa: E731
    return (
        draw(num_ids, num_queries),
        draw(num_ids, num_gallery),
        rng.integers(0, num_cameras, num_queries),
        rng.integers(0, num_cameras, num_gallery),
    )


def assert_same(
    result: RetrievalResult, expected: tuple[np.floating, np.ndarray, int, np.floating, np.ndarray]
) -> None:
    mean_precision, cmc, num_valid, mean_inverse_penalty, precisions = expected
    assert result.mAP == pytest.approx(mean_precision, abs=1e-12)
    np.testing.assert_allclose(result.cmc, cmc, atol=1e-12)
    assert result.num_valid_queries == num_valid
    assert result.mINP == pytest.approx(mean_inverse_penalty, abs=1e-12)
    np.testing.assert_allclose(result.average_precision, precisions, atol=1e-12)


def test_golden_numbers() -> None:
    golden = np.load(GOLDEN)
    result = rank_distances(
        golden['eval_distmat'],
        golden['eval_query_pids'],
        golden['eval_gallery_pids'],
        golden['eval_query_camids'],
        golden['eval_gallery_camids'],
        max_rank=20,
    )
    assert result.mAP == pytest.approx(float(golden['eval_map_expected']), abs=1e-9)
    np.testing.assert_allclose(result.cmc, golden['eval_cmc_expected'], atol=1e-6)


@pytest.mark.parametrize('seed', range(4))
def test_equals_torchreid_without_ties(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Distractors (0), junk-like ids (-1) and queries without a match (ids the gallery lacks) all occur.
    query_ids, gallery_ids, query_cameras, gallery_cameras = random_labels(rng, 60, 300, num_ids=14, first_id=-1)
    gallery_ids[gallery_ids > 9] = 0
    distance = rng.permutation(60 * 300).reshape(60, 300).astype(np.float32)
    labels = (query_ids, gallery_ids, query_cameras, gallery_cameras)
    result = rank_distances(distance, *labels, max_rank=30)
    mean_precision, cmc = torchreid_oracle(distance, *labels, max_rank=30)
    assert result.num_valid_queries < 60
    assert result.mAP == pytest.approx(mean_precision, abs=1e-12)
    np.testing.assert_allclose(result.cmc, cmc, atol=1e-6)
    assert_same(result, loop_oracle(distance, *labels, 30))


@pytest.mark.parametrize('num_values', [1, 2, 7])
def test_ties_rank_in_gallery_order(num_values: int) -> None:
    rng = np.random.default_rng(num_values)
    labels = random_labels(rng, 25, 60)
    distance = rng.integers(0, num_values, (25, 60)).astype(np.float32)
    assert_same(rank_distances(distance, *labels, max_rank=10), loop_oracle(distance, *labels, 10))


def test_tie_of_a_match_and_another_person_goes_to_the_earlier_image() -> None:
    labels = {'query_ids': [5], 'query_cameras': [0], 'gallery_cameras': [1, 1]}
    assert rank_distances(np.zeros((1, 2)), gallery_ids=[5, 6], **labels, max_rank=2).cmc.tolist() == [1, 1]
    assert rank_distances(np.zeros((1, 2)), gallery_ids=[6, 5], **labels, max_rank=2).cmc.tolist() == [0, 1]


def test_curve_goes_on_behind_a_short_gallery() -> None:
    # Query 0 keeps two images, query 1 all four: torchreid cannot average such curves.
    distance = np.array([[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]])
    result = rank_distances(distance, [1, 2], [1, 1, 2, 1], [0, 0], [0, 0, 1, 1], max_rank=8)
    # Query 0: ignored, ignored, wrong, right. Query 1: wrong, right, wrong, wrong.
    assert result.cmc.tolist() == [0, 1, 1, 1, 1, 1, 1, 1]
    assert result.mAP == pytest.approx(0.5)
    assert result.num_valid_queries == 2


def test_queries_without_a_match_do_not_count() -> None:
    distance = np.array([[0.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    # Query 0 finds itself in its own camera only, query 1 nowhere, query 2 is right at rank 1.
    result = rank_distances(distance, [1, 9, 2], [1, 2], [0, 0, 0], [0, 1], max_rank=1)
    assert result == (1.0, pytest.approx([1.0]), 1)


def test_inverse_negative_penalty_by_hand() -> None:
    # Ranks of the matches, those in the query's own camera taken out: 1 and 3; 2; all three of three.
    distance = np.array([[0.1, 0.3, 0.2, 0.0], [0.2, 0.3, 0.1, 0.4], [0.1, 0.2, 0.3, 0.4]])
    result = rank_distances(distance[:1], [1], [1, 1, 2, 1], [0], [1, 1, 1, 0])
    assert result.mINP == pytest.approx(2 / 3)
    result = rank_distances(distance[1:], [1, 5], [1, 2, 3, 4], [0, 0], [1, 1, 1, 1])
    assert (result.mINP, result.num_valid_queries) == (pytest.approx(1 / 2), 1)
    assert result.average_precision == pytest.approx([0.5, np.nan], nan_ok=True)
    assert rank_distances(distance[2:], [1], [1, 1, 1, 2], [0], [1, 1, 1, 1]).mINP == 1


def test_result_unpacks_as_three_and_survives_a_copy() -> None:
    result = rank_distances(np.zeros((1, 2)), [5], [6, 5], [0], [1, 1], max_rank=1)
    mean_precision, cmc, num_valid = result
    assert (mean_precision, cmc.tolist(), num_valid, len(result)) == (0.5, [0], 1, 3)
    for copy in (pickle.loads(pickle.dumps(result)), deepcopy(result)):
        assert (copy.mINP, copy.average_precision.tolist(), copy.mAP) == (0.5, [0.5], 0.5)


def test_no_valid_query_is_an_error_that_explains_the_rule() -> None:
    with pytest.raises(ValueError, match=r'same identity and camera are ignored .*2 queries do find.*camera only'):
        rank_distances(np.zeros((2, 2)), [1, 2], [1, 2], [0, 0], [0, 0])
    with pytest.raises(ValueError, match='No query finds its identity in any camera'):
        rank_distances(np.zeros((2, 2)), [1, 2], [3, 4], [0, 0], [1, 1])


@pytest.mark.parametrize('chunk_size', [1, 7, 1000, None])
@pytest.mark.parametrize('as_numpy', [False, True])
def test_retrieval_equals_distances_of_its_features(chunk_size: int | None, as_numpy: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    query, gallery = torch.randn(30, 16, generator=generator), torch.randn(90, 16, generator=generator)
    labels = random_labels(np.random.default_rng(0), 30, 90)
    expected = loop_oracle(torch.cdist(query.double(), gallery.double()).numpy(), *labels, 12)
    features = (query.numpy(), gallery.numpy()) if as_numpy else (query, gallery)
    assert_same(
        rank_retrieval(features[0], features[1], *labels, max_rank=12, chunk_size=chunk_size, device='cpu'), expected
    )


def test_normalized_features_rank_by_cosine() -> None:
    generator = torch.Generator().manual_seed(1)
    query, gallery = torch.randn(20, 8, generator=generator), torch.randn(80, 8, generator=generator)
    labels = random_labels(np.random.default_rng(1), 20, 80)
    similarity = torch.nn.functional.cosine_similarity(query.double()[:, None], gallery.double()[None], dim=2)
    unit = [torch.nn.functional.normalize(features, dim=1) for features in (query, gallery)]
    assert_same(
        rank_retrieval(unit[0], unit[1], *labels, max_rank=5, device='cpu'),
        loop_oracle(-similarity.numpy(), *labels, 5),
    )


def test_ranking_keeps_float32_accuracy_where_training_gave_it_up() -> None:
    generator = torch.Generator().manual_seed(2)
    query, gallery = torch.randn(64, 256, generator=generator), torch.randn(512, 256, generator=generator)
    labels = random_labels(np.random.default_rng(2), 64, 512)
    expected = loop_oracle(torch.cdist(query.double(), gallery.double()).numpy(), *labels, 12)
    torch.set_float32_matmul_precision('medium')
    try:
        with torch.autocast('cpu', dtype=torch.bfloat16):
            result = rank_retrieval(query, gallery, *labels, max_rank=12, device='cpu')
        assert torch.get_float32_matmul_precision() == 'medium'
    finally:
        torch.set_float32_matmul_precision('highest')
    assert_same(result, expected)


def test_inputs_stay_unchanged_and_types_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    labels = random_labels(rng, 10, 40)
    distance = rng.integers(0, 9, (10, 40))
    expected = loop_oracle(distance, *labels, 10)
    frozen = distance.astype(np.float32)
    frozen.setflags(write=False)
    flipped = np.ascontiguousarray(distance[:, ::-1])[:, ::-1]
    tensors = [torch.from_numpy(label) for label in labels]
    for given in (distance, frozen, flipped, torch.from_numpy(distance).half(), torch.from_numpy(distance).bfloat16()):
        assert_same(rank_distances(given, *labels, max_rank=10), expected)
        assert_same(rank_distances(given, *tensors, max_rank=10), expected)
    features = torch.randn(10, 4, requires_grad=True)
    before = features.detach().clone()
    rank_retrieval(features, features, labels[0], labels[0], [0] * 10, [1] * 10, device='cpu')
    assert torch.equal(features.detach(), before)


def test_infinite_distances_are_ranked_and_nan_is_an_error() -> None:
    distance = np.array([[np.inf, 1.0, np.inf]])
    result = rank_distances(distance, [1], [1, 1, 2], [0], [1, 0, 1], max_rank=2)
    assert result.cmc.tolist() == [1.0, 1.0]  # the ignored image leaves, the two infinite ones stay in order
    distance[0, 2] = np.nan
    with pytest.raises(ValueError, match='NaN'):
        rank_distances(distance, [1], [1, 1, 2], [0], [1, 0, 1])


@pytest.mark.parametrize('bad', [float('nan'), float('inf')])
def test_features_that_are_not_finite_are_named(bad: float) -> None:
    query, gallery = torch.randn(3, 4), torch.randn(5, 4)
    gallery[2, 1] = bad
    with pytest.raises(ValueError, match=r'gallery_features: 1 of 5 rows .* row 2'):
        rank_retrieval(query, gallery, [1] * 3, [1] * 5, [0] * 3, [1] * 5)
    with pytest.raises(ValueError, match='query_features: 1 of 5'):
        rank_retrieval(gallery, query, [1] * 5, [1] * 3, [0] * 5, [1] * 3)


@pytest.mark.parametrize(
    ('change', 'error', 'message'),
    [
        ({'query_ids': [1, 2]}, ValueError, r'query_ids must have shape \(3,\).*\(2,\)'),
        ({'gallery_cameras': [[1] * 5]}, ValueError, r'gallery_cameras must have shape \(5,\)'),
        ({'gallery_ids': [1.0] * 5}, TypeError, 'gallery_ids must be integers, got float64'),
        ({'query_cameras': ['c1'] * 3}, TypeError, 'query_cameras must be integers'),
        ({'distance': np.zeros(3)}, ValueError, r'matrix \(queries, gallery\), got shape \(3,\)'),
        ({'distance': np.zeros((3, 0))}, ValueError, 'non-empty matrix'),
        ({'distance': [[1.0]]}, ValueError, 'got list'),
        ({'max_rank': 0}, ValueError, 'max_rank must be a positive integer, got 0'),
    ],
)
def test_bad_input_is_refused(change: dict, error: type[Exception], message: str) -> None:
    arguments = {
        'distance': np.zeros((3, 5)),
        'query_ids': [1] * 3,
        'gallery_ids': [1] * 5,
        'query_cameras': [0] * 3,
        'gallery_cameras': [1] * 5,
    }
    with pytest.raises(error, match=message):
        rank_distances(**(arguments | change))


def test_bad_features_are_refused() -> None:
    labels = ([1] * 3, [1] * 5, [0] * 3, [1] * 5)
    with pytest.raises(ValueError, match='4 dimensions, gallery features 6'):
        rank_retrieval(torch.randn(3, 4), torch.randn(5, 6), *labels)
    with pytest.raises(ValueError, match=r'query_features must be a non-empty matrix .*\(3, 4, 1\)'):
        rank_retrieval(torch.randn(3, 4, 1), torch.randn(5, 4), *labels)
    with pytest.raises(ValueError, match='chunk_size must be a positive integer, got 0'):
        rank_retrieval(torch.randn(3, 4), torch.randn(5, 4), *labels, chunk_size=0)


def test_many_chunks_with_ties_equal_one(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    labels = random_labels(rng, 40, 50)
    distance = rng.integers(0, 12, (40, 50)).astype(np.float64)
    expected = loop_oracle(distance, *labels, 10)
    monkeypatch.setattr(ranking_module, '_CHUNK_DISTANCES', 3 * 50)
    assert_same(rank_distances(distance, *labels, max_rank=10), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_gpu_equals_cpu_on_ties() -> None:
    rng = np.random.default_rng(6)
    labels = random_labels(rng, 40, 500)
    distance = torch.from_numpy(rng.integers(0, 30, (40, 500)).astype(np.float32))
    expected = loop_oracle(distance.numpy(), *labels, 10)
    assert_same(rank_distances(distance.cuda(), *labels, max_rank=10), expected)
    features = [torch.from_numpy(rng.integers(-3, 4, (size, 8)).astype(np.float32)) for size in (40, 500)]
    expected = loop_oracle((features[0][:, None] - features[1]).square().sum(2).numpy(), *labels, 10)
    assert_same(rank_retrieval(features[0], features[1], *labels, max_rank=10), expected)
    assert_same(rank_retrieval(features[0], features[1], *labels, max_rank=10, device='cpu'), expected)
