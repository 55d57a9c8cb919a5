import numpy as np
import pytest
import torch

from cmdg_plugin.evaluation import reciprocal_neighbors
from cmdg_plugin.evaluation.reciprocal_neighbors import nearest_neighbors, reciprocal_sets, relation, weigh_members


@pytest.fixture
def line() -> torch.Tensor:
    """Six images on a line: three close together, two further on, one far away."""
    return torch.tensor([[0.0], [1.0], [2.5], [10.0], [11.0], [30.0]])


def test_the_image_itself_comes_first_in_chunks_too(line: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reciprocal_neighbors, 'PAIR_NUMBERS', 12)
    neighbors, farthest = nearest_neighbors(line, 3)
    assert neighbors.tolist() == [[0, 1, 2], [1, 0, 2], [2, 1, 0], [3, 4, 2], [4, 3, 2], [5, 4, 3]]
    assert farthest.tolist() == [900, 841, 756.25, 400, 361, 900]
    twins, _ = nearest_neighbors(torch.zeros(5, 2), 2)
    assert twins[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_members_must_be_mutual_neighbors(line: torch.Tensor) -> None:
    neighbors, _ = nearest_neighbors(line, 3)
    # With k1 = 2 image 3 has 2 among its neighbors, but not the other way round. Halves: {0, 1}, {0, 1}, {2}, ...
    expected = [[0, 1, 2], [0, 1, 2], [0, 1, 2], [3, 4], [3, 4], [5]]
    assert [np.flatnonzero(row).tolist() for row in reciprocal_sets(neighbors, 2).toarray()] == expected
    assert relation(neighbors, 2).toarray()[5].tolist() == [0, 0, 0, 0, 1, 1]


def test_weights_fall_with_the_distance_and_sum_to_one(line: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reciprocal_neighbors, 'PAIR_NUMBERS', 2)
    neighbors, farthest = nearest_neighbors(line, 3)
    weights = weigh_members(reciprocal_sets(neighbors, 2), line, farthest, power=2).toarray()
    expected = np.exp(-np.array([0, 1, 6.25]) / 900)
    np.testing.assert_allclose(weights[0, :3], expected / expected.sum(), rtol=1e-6)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-6)
    assert weights[5].tolist() == [0, 0, 0, 0, 0, 1]
