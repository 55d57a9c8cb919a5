"""Batches that follow a walk from look-alike to look-alike."""

from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import Dataset

from cmdg_plugin.datasets.samplers.hard_identity_sampler import HardIdentitySampler
from cmdg_plugin.datasets.samplers.identity_sampler import count_batches, trim_groups
from cmdg_plugin.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class GraphIdentitySampler(HardIdentitySampler):
    """Batches along a depth-first walk over identities, each tied to its nearest.

    Distances, groups of images and ranks are those of `HardIdentitySampler`. The walk goes from an identity to its
    nearest one that still has a group and is not in the batch; where there is none, back to the last identity on its
    way that has one, and else on from a random identity. It ends when all groups are used that fit into whole batches,
    as many in every epoch as `IdentitySampler` has; unlike in `HardIdentitySampler`, each identity is drawn as often as
    it has groups.

    Source: CLIP-DFGS, depth-first graph sampler.

    Args:
        dataset: As `HardIdentitySampler` takes it.
        batch_size: Images of a batch on one rank.
        num_instances: Images of one identity in a batch (K).
        seed: Seed of the order; `None` draws one and shares it over the ranks.
        num_neighbors: Nearest identities that each is tied to.
        **others: Further arguments of `HardIdentitySampler`. With `across_domains=False` each domain has its own walk.

    Raises:
        ValueError: If a setting is out of range, or there are too few identities for a batch.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        num_instances: int = 4,
        seed: int | None = 0,
        *,
        num_neighbors: int = 15,
        **others: Any,
    ) -> None:
        if num_neighbors < 1:
            raise ValueError(f'num_neighbors must be at least 1, got {num_neighbors}.')
        self.num_neighbors = num_neighbors
        super().__init__(dataset, batch_size, num_instances, seed, **others)

    def _plan_batches(self, num_draws: int | None) -> int:
        walks = [count_batches(groups, self._identities_per_batch) for groups in self._groups_by_walk()]
        possible = sum(walks)
        return possible if num_draws is None else min(possible, super()._plan_batches(num_draws))

    def _groups_by_walk(self) -> list[np.ndarray]:
        """Groups of each identity that a walk may use: all of them, or those of one domain."""
        if self._domains is None:
            return [self._groups]
        return [np.where(self._domains == domain, self._groups, 0) for domain in np.unique(self._domains)]

    def _compose(self, image: Tensor, text: Tensor | None, rng: np.random.Generator) -> np.ndarray:
        everyone = np.arange(len(self._identities))
        nearest = self._nearest(image, text, everyone, min(self.num_neighbors, len(everyone) - 1))
        width = self._identities_per_batch
        walks = [walk_depth_first(nearest, groups, width, rng) for groups in self._groups_by_walk()]
        # Batches of several walks come mixed; those of one come in its order.
        batches = walks[0] if len(walks) == 1 else rng.permutation(np.concatenate(walks))
        return rng.permuted(batches[: self.num_batches], axis=1)


def walk_depth_first(nearest: np.ndarray, groups: np.ndarray, width: int, rng: np.random.Generator) -> np.ndarray:
    """Walk over identities until their groups are used, and cut the walk into batches of different identities.

    Args:
        nearest: (C, k) neighbors of each identity, nearest first, -1 for none.
        groups: (C,) how often each identity is to be visited.
        width: Identities of a batch, at most as many as have groups.
        rng: Chooses where the walk begins, and which visits are left out because they fill no batch.

    Returns:
        (batches, width) identities, as many batches as are possible.
    """
    num_batches = count_batches(groups, width)
    left = trim_groups(np.minimum(groups, num_batches), num_batches * width, rng)
    ties = [[neighbor for neighbor in row if neighbor >= 0] for row in nearest.tolist()]
    batches = np.empty((num_batches, width), dtype=np.int64)
    way: list[int] = []
    for batch in range(num_batches):
        # One that has as many visits left as there are batches must be in all of them.
        due = left == num_batches - batch
        num_due = int(due.sum())
        free = left > 0
        for place in range(width):
            if num_due == width - place:
                free &= due
            identity = _next_on_the_way(way, ties, free)
            if identity is None:
                identity = int(rng.choice(np.flatnonzero(free)))
            way.append(identity)
            free[identity] = False
            num_due -= int(due[identity])
            batches[batch, place] = identity
        left[batches[batch]] -= 1
    return batches


def _next_on_the_way(way: list[int], ties: list[list[int]], free: np.ndarray) -> int | None:
    while way:
        for neighbor in ties[way[-1]]:
            if free[neighbor]:
                return neighbor
        way.pop()
    return None
