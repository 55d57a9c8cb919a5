"""k-reciprocal neighbors of images and the sparse codes made of them."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from scipy.sparse import csr_array

PAIR_NUMBERS = 2**23
"""Numbers held at once while distances are computed (32 MiB in float32)."""


def squared_distances(rows: Tensor, features: Tensor) -> Tensor:
    """Squared Euclidean distances of some images to all, (n, N), from features (n, D) and (N, D)."""
    squares = [torch.linalg.vector_norm(side, dim=1).square() for side in (rows, features)]
    return torch.addmm(squares[1], rows, features.T, alpha=-2).add_(squares[0][:, None]).clamp_(min=0)


def nearest_neighbors(features: Tensor, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Find every image's nearest images; the image itself comes first.

    Args:
        features: Shape (N, D).
        count: How many to find, itself included; N at most.

    Returns:
        Neighbors (N, count), nearest first, and each image's largest squared distance to any image, (N,).
    """
    neighbors, farthest = [], []
    size = max(1, PAIR_NUMBERS // len(features))
    for start in range(0, len(features), size):
        distance = squared_distances(features[start : start + size], features)
        farthest.append(distance.amax(dim=1).cpu())
        distance.diagonal(start).fill_(-1)
        neighbors.append(distance.topk(count, dim=1, largest=False).indices.cpu())
    return torch.cat(neighbors).numpy(), torch.cat(farthest).numpy()


def relation(neighbors: np.ndarray, count: int) -> 'csr_array':
    """Matrix (N, N) with a 1 wherever the column's image is among the first `count` neighbors of the row's."""
    # Here, as every run imports this module and few re-rank: scipy takes a third of a second.
    from scipy.sparse import csr_array

    chosen = neighbors[:, :count]
    ends = np.arange(0, chosen.size + 1, chosen.shape[1])
    return csr_array((np.ones(chosen.size, np.float32), chosen.ravel(), ends), shape=(len(chosen),) * 2)


def reciprocal_sets(neighbors: np.ndarray, k1: int) -> 'csr_array':
    """Find images that are among each other's neighbors, expanded (Zhong et al. 2017, section 3.2).

    The set of each member, taken with half as many neighbors, joins if more than two thirds of it are members.

    Args:
        neighbors: Shape (N, k1 + 1), the image itself first.
        k1: Number of neighbors.

    Returns:
        Matrix (N, N) with a 1 for every member of the row's set.
    """
    members = _mutual(relation(neighbors, k1 + 1))
    halves = _mutual(relation(neighbors, round(k1 / 2) + 1))
    joins = (members @ halves).multiply(members).tocsr()
    joins.data = (3 * joins.data > 2 * halves.sum(axis=1)[joins.indices]).astype(np.float32)
    members = (members + joins @ halves).tocsr()
    members.eliminate_zeros()
    members.data.fill(1)
    return members


def weigh_members(members: 'csr_array', features: Tensor, farthest: np.ndarray, power: int) -> 'csr_array':
    """Weigh the members of each set by their closeness: exp(-distance), in sum 1.

    Args:
        members: Matrix (N, N) of sets, a row each.
        features: Shape (N, D).
        farthest: Largest squared distance of each image, (N,), by which distances are divided.
        power: Power of the Euclidean distance.

    Returns:
        The weights in the places of the members.
    """
    from scipy.sparse import csr_array

    rows = np.repeat(np.arange(len(features)), np.diff(members.indptr))
    size = max(1, PAIR_NUMBERS // features.shape[1])
    distance = np.empty(len(rows), np.float32)
    for start in range(0, len(rows), size):
        pairs = slice(start, start + size)
        ones, others = (torch.from_numpy(i[pairs]).to(features.device) for i in (rows, members.indices))
        distance[pairs] = (features[ones] - features[others]).square_().sum(dim=1).cpu()
    weights = np.exp(-((distance / farthest[rows]) ** (power / 2)))
    weights /= np.add.reduceat(weights, members.indptr[:-1])[rows]
    return csr_array((weights, members.indices, members.indptr), shape=members.shape)


def _mutual(neighbors: 'csr_array') -> 'csr_array':
    return neighbors.multiply(neighbors.T).tocsr()
