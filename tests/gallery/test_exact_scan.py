"""Three vectors by hand; many of them against a full sort: test_scoring.py."""

import numpy as np

from cmdg_plugin.gallery.exact_scan import scan
from cmdg_plugin.gallery.scoring import Query, shared_scale

VECTORS = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
BLOCKS = [(np.array([number]), VECTORS[row : row + 1], shared_scale(VECTORS[row : row + 1], 1))
          for row, number in enumerate((4, 7, 9))]  # fmt: skip


def test_best_first_over_blocks() -> None:
    numbers, scores = scan(Query(np.array([1, 0], np.float32), None), BLOCKS, 2)
    assert numbers.tolist() == [4, 9]
    assert np.allclose(scores, [1, 0.6])


def test_what_is_not_chosen_does_not_count() -> None:
    numbers, _ = scan(Query(np.array([1, 0], np.float32), None), BLOCKS, 2, np.array([7, 9]))
    assert numbers.tolist() == [9, 7]
