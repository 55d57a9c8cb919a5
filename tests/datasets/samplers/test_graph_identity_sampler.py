"""A depth-first walk along look-alikes, cut into batches."""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from cmdg_plugin.datasets.samplers import GraphIdentitySampler, IdentitySampler
from cmdg_plugin.datasets.samplers.graph_identity_sampler import walk_depth_first


class People:
    """Images of whom `counts` tells, two domains (first and second half of the identities), one camera."""

    def __init__(self, counts: Sequence[int]) -> None:
        self.identities = np.repeat(np.arange(len(counts)), counts)
        self.domains = (self.identities >= len(counts) // 2).astype(int)


class Random:
    """Features that say nothing."""

    def retrieval_features(self, positions: Sequence[int]) -> torch.Tensor:
        return torch.randn(len(positions), 8, generator=torch.Generator().manual_seed(0))


def people_of(dataset: People, sampler: GraphIdentitySampler) -> list[list[int]]:
    people = dataset.identities[list(sampler)].reshape(sampler.num_batches, -1, sampler.num_instances)
    assert (people == people[..., :1]).all()
    return people[..., 0].tolist()


def test_the_walk_follows_the_nearest_and_turns_back_at_a_dead_end() -> None:
    """0 - 1 - 2 is a dead end; back at 1, the way goes on to 3, whose only neighbor is 4."""
    nearest = np.array([[1, -1], [2, 3], [1, 0], [4, -1], [3, -1]])
    starts = set()
    for seed in range(20):
        walk = walk_depth_first(nearest, np.ones(5, int), 5, np.random.default_rng(seed))[0].tolist()
        assert sorted(walk) == list(range(5))
        if walk[0] == 0:
            assert walk == [0, 1, 2, 3, 4]
        if walk[0] == 2:
            assert walk == [2, 1, 3, 4, 0]
        starts.add(walk[0])
    assert len(starts) > 2


def test_the_walk_goes_on_from_batch_to_batch() -> None:
    nearest = np.array([[(person + 1) % 12] for person in range(12)])
    walk = walk_depth_first(nearest, np.ones(12, int), 3, np.random.default_rng(0)).ravel()
    assert ((walk[1:] - walk[:-1]) % 12 == 1).all()


@pytest.mark.parametrize('seed', range(5))
def test_all_groups_are_used_in_whole_batches_of_different_people(seed: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(1, 9, size=40)
    nearest = np.array([rng.permutation(np.delete(np.arange(40), person))[:15] for person in range(40)])
    walk = walk_depth_first(nearest, groups, 6, rng)
    assert all(len(set(batch)) == 6 for batch in walk.tolist())
    drawn = np.bincount(walk.ravel(), minlength=40)
    assert (drawn <= groups).all()
    assert groups.sum() - drawn.sum() < 6


def test_a_person_with_most_of_the_images_is_in_every_batch() -> None:
    groups = np.array([9, 1, 1, 1])
    walk = walk_depth_first(np.array([[1], [2], [3], [0]]), groups, 2, np.random.default_rng(0))
    assert len(walk) == 3
    assert all(0 in batch for batch in walk)


def test_as_many_batches_as_without_a_graph_and_everybody_by_its_groups() -> None:
    counts = [4, 9, 2, 16, 5, 8, 4, 4, 7, 12] * 4
    dataset = People(counts)
    sampler = GraphIdentitySampler(dataset, 12, seed=2)
    sampler.prepare(0, Random())
    assert sampler.num_batches == IdentitySampler(dataset, 12).num_batches
    drawn = Counter(person for batch in people_of(dataset, sampler) for person in batch)
    assert all(times <= max(counts[person] // 4, 1) for person, times in drawn.items())
    # What fills no batch, less than one, is left out.
    assert len(drawn) >= 38


def test_one_walk_a_domain() -> None:
    dataset = People([4] * 24)
    sampler = GraphIdentitySampler(dataset, 12, across_domains=False)
    sampler.prepare(0, Random())
    domains = [{person >= 12 for person in batch} for batch in people_of(dataset, sampler)]
    assert all(len(domain) == 1 for domain in domains)
    assert len(domains) == 8


def test_fewer_draws() -> None:
    sampler = GraphIdentitySampler(People([8] * 24), 12, num_draws=10)
    sampler.prepare(0, Random())
    assert len(list(sampler)) == 3 * 12


class InPairs:
    """Pairs of people on a line: each has its twin, then the next pairs."""

    def __init__(self, dataset: People) -> None:
        self.dataset = dataset

    def retrieval_features(self, positions: Sequence[int]) -> torch.Tensor:
        people = torch.as_tensor(self.dataset.identities[list(positions)], dtype=torch.float64)
        angles = 0.1 * (people // 2) + 0.001 * (people % 2)
        return torch.stack([angles.cos(), angles.sin()], dim=1)


def test_the_walk_knows_so_many_neighbors_alone() -> None:
    dataset = People([4] * 24)
    apart = {}
    for num_neighbors in (1, 3):
        sampler = GraphIdentitySampler(dataset, 16, num_neighbors=num_neighbors)
        sampler.prepare(0, InPairs(dataset))
        one, other = sorted({person // 2 for person in people_of(dataset, sampler)[0]})
        apart[num_neighbors] = other - one
    # With the twin alone the way ends, and goes on anywhere; with three it leads to the next pair.
    assert apart[3] == 1 < apart[1]


def test_no_neighbors_are_refused() -> None:
    with pytest.raises(ValueError, match='num_neighbors must be at least 1, got 0'):
        GraphIdentitySampler(People([4] * 8), 8, num_neighbors=0)
