import numpy as np
import pytest

from cmdg_plugin.evaluation.matches import GalleryIndex

# Query 0 (identity 5, camera 0) has gallery images 0 (its own camera) and 3; query 1 (identity 6, camera 1) only one of
# its own camera; nobody in the gallery is identity 8.
INDEX = GalleryIndex([5, 6, 8], [5, 7, 6, 5], [0, 1, 0], [0, 0, 1, 1], (3, 4))


def test_only_images_of_other_cameras_make_a_query_valid() -> None:
    assert INDEX.valid_queries.tolist() == [True, False, False]
    assert INDEX.num_valid_queries == 1
    INDEX.require_a_valid_query()


def test_candidates_are_padded_and_those_of_the_own_camera_marked() -> None:
    columns, exists, ignored = INDEX.candidates(0, 3)
    assert columns.tolist() == [[0, 3], [2, 0], [0, 0]]
    assert exists.tolist() == [[True, True], [True, False], [False, False]]
    assert ignored.tolist() == [[True, False], [True, False], [False, False]]
    columns, exists, _ = INDEX.candidates(2, 3)
    assert columns.shape == exists.shape == (1, 1)


def test_many_agree_with_the_rule_written_out() -> None:
    rng = np.random.default_rng(0)
    queries, gallery = rng.integers(0, 9, 40), rng.integers(0, 9, 70)
    cameras, others = rng.integers(0, 3, 40), rng.integers(0, 3, 70)
    index = GalleryIndex(queries, gallery, cameras, others, (40, 70))
    columns, exists, ignored = index.candidates(5, 25)
    for row, query in enumerate(range(5, 25)):
        same = np.flatnonzero(gallery == queries[query])
        assert columns[row][exists[row]].tolist() == same.tolist()
        assert columns[row][ignored[row]].tolist() == same[others[same] == cameras[query]].tolist()


@pytest.mark.parametrize(
    ('gallery', 'message'),
    [([5], '1 queries do find their identity, but in their own camera'), ([9], 'No query finds')],
)
def test_no_valid_query_at_all_is_explained(gallery: list[int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GalleryIndex([5], gallery, [0], [0], (1, 1)).require_a_valid_query()
