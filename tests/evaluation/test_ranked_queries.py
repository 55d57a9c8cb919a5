from collections.abc import Callable

import numpy as np

from cmdg_plugin.datasets.evaluation_set import EvaluationTarget
from cmdg_plugin.evaluation.ranked_queries import rank_some_queries
from cmdg_plugin.evaluation.target_scores import rank_target


def test_nearest_images_with_flags_and_without_ignored_ones(make_target: Callable[..., EvaluationTarget]) -> None:
    # Distances to query 0 (identity 1, camera 0): image 2 nearest but ignored, then 4 (wrong), 1 and 3 (right, tied).
    target = make_target('t', [1, 1, 1, 1, 2], [0, 1, 0, 1, 1], [([0], [1, 2, 3, 4])], offset=0)
    features = np.array([[0.0], [2.0], [0.5], [-2.0], [1.0]], dtype=np.float32)
    (ranked,) = rank_some_queries(features, target, 5)
    assert ranked.target == 't'
    assert ranked.query_path == 't/0.jpg'
    assert ranked.gallery_paths == ('t/4.jpg', 't/1.jpg', 't/3.jpg')
    assert ranked.matches == (False, True, True)
    assert ranked.captions is None
    assert ranked.distances == (1, 2, 2)
    assert not ranked.unit_length
    assert (ranked.average_precision, ranked.chosen_as) == (None, '')
    (short,) = rank_some_queries(features, target, 1, top=2)
    assert short.gallery_paths == ranked.gallery_paths[:2]


def test_choice_is_spread_and_does_not_depend_on_features(targets: tuple[EvaluationTarget, EvaluationTarget]) -> None:
    street = targets[0]
    rng = np.random.default_rng(1)
    first, second = (
        rank_some_queries(rng.normal(size=(60, 4)).astype(np.float32), street, 4, top=10) for _ in range(2)
    )
    assert [query.query_path for query in first] == [query.query_path for query in second]
    assert len({query.query_path for query in first}) == 4
    assert any(query.gallery_paths != other.gallery_paths for query, other in zip(first, second, strict=True))
    images = [int(query.query_path.split('/')[1][:-4]) for query in first]
    assert max(images) - min(images) > 10
    assert all(query.captions == street.captions[image] for query, image in zip(first, images, strict=True))
    assert all(len(query.gallery_paths) == len(query.matches) == 10 for query in first)


def test_queries_without_a_valid_match_are_not_chosen(make_target: Callable[..., EvaluationTarget]) -> None:
    target = make_target('t', [7, 1, 1, 8], [0, 0, 1, 0], [([0, 1, 3], [2])], offset=0)
    ranked = rank_some_queries(np.zeros((4, 2), dtype=np.float32), target, 3)
    assert [query.query_path for query in ranked] == ['t/1.jpg']
    assert ranked[0].captions == target.captions[1]


def test_worst_and_best_come_after_the_others_and_none_twice(
    targets: tuple[EvaluationTarget, EvaluationTarget],
) -> None:
    street = targets[0]
    features = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    precision = rank_target(features, street)[1].average_precision
    first = rank_some_queries(features, street, 3)
    ranked = rank_some_queries(features, street, 3, average_precision=precision, num_worst=2, num_best=3)
    assert [query.query_path for query in ranked[:3]] == [query.query_path for query in first]
    assert [query.chosen_as for query in ranked] == ['', '', '', 'worst', 'worst', 'best', 'best', 'best']
    assert len({query.query_path for query in ranked}) == 8
    others = [p for row, p in enumerate(precision) if f'street/{row}.jpg' not in {q.query_path for q in first}]
    others = sorted(p for p in others if not np.isnan(p))
    assert [query.average_precision for query in ranked[3:]] == [*others[:2], *others[:-4:-1]]
    for query in ranked:
        asking = features[int(query.query_path.split('/')[1][:-4])]
        images = [int(path.split('/')[1][:-4]) for path in query.gallery_paths]
        assert query.unit_length
        np.testing.assert_allclose(1 - np.square(query.distances) / 2, features[images] @ asking, atol=1e-5)
    everything = rank_some_queries(features, street, 0, average_precision=precision, num_worst=99, num_best=9)
    assert {query.chosen_as for query in everything} == {'worst'}
    assert len(everything) == np.count_nonzero(~np.isnan(precision))
