import pytest

from cmdg_plugin.toolboxes.torchreid_scores import ScoreKeeper, rankable


def roles(query: list[tuple[int, int]], gallery: list[tuple[int, int]]) -> dict:
    """Query and gallery of (person, camera)."""
    return {
        'query': [('q.jpg', *item, 0) for item in query],
        'gallery': [('g.jpg', *item, 0) for item in gallery],
    }


def test_ranks_that_every_curve_reaches() -> None:
    small = roles([(1, 0), (2, 0)], [(1, 1), (2, 1), *[(3, 1)] * 5])
    large = roles([(1, 0)], [(1, 1)] * 60)
    assert rankable({'large': large}) == [1, 5, 10, 20]
    assert rankable({'large': large, 'small': small}) == [1, 5]


def test_curves_of_uneven_length_are_refused() -> None:
    """Person 1 has an image under the query's own camera, person 2 has none: 2 and 3 images are left."""
    with pytest.raises(ValueError, match=r'cannot rank yard: its queries keep between 2 and 3 .* tools/test\.py'):
        rankable({'yard': roles([(1, 0), (2, 0)], [(1, 1), (2, 1), (1, 0)])})


def test_long_galleries_may_be_uneven() -> None:
    """Beyond 50 images torchreid cuts every curve at the same rank."""
    assert rankable({'yard': roles([(1, 0), (2, 0)], [(1, 1), (2, 1), (1, 0), *[(9, 0)] * 60])}) == [1, 5, 10, 20]


def test_queries_without_a_match_do_not_count() -> None:
    assert rankable({'yard': roles([(1, 0), (7, 0)], [(1, 1), (2, 1)])}) == [1]
    with pytest.raises(ValueError, match='no query has a match'):
        rankable({'yard': roles([(7, 0), (1, 1)], [(1, 1), (2, 1)])})


def test_scores_are_kept_whole() -> None:
    keeper = ScoreKeeper()
    keeper.add_scalar('Train/loss', 3.0, 1)
    for target, value in (('a', 0.123456), ('b/c', 0.5)):
        keeper.add_scalar(f'Test/{target}/rank1', value, 0)
        keeper.add_scalar(f'Test/{target}/mAP', value / 2, 0)
    keeper.close()
    expected = {'a/R1': 12.3456, 'a/mAP': 6.1728, 'b/c/R1': 50, 'b/c/mAP': 25}
    assert keeper.with_average() == pytest.approx(expected | {'average/R1': 31.1728, 'average/mAP': 15.5864})
