import time
from collections import Counter

import numpy as np
import pytest
from mmengine.logging import MMLogger
from torch.utils.data import DataLoader, Dataset

from cmdg_plugin.datasets.samplers import IdentitySampler
from cmdg_plugin.registry import DATA_SAMPLERS


class People(Dataset):
    """Images of whom `counts` tells: person i has counts[i], in shuffled order."""

    def __init__(self, counts: list[int]) -> None:
        self.identities = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))

    def __len__(self) -> int:
        return len(self.identities)

    def __getitem__(self, index: int) -> int:
        return int(self.identities[index])


def batches(sampler: IdentitySampler) -> list[list[int]]:
    positions = list(sampler)
    assert len(positions) == len(sampler)
    assert len(positions) % sampler.batch_size == 0
    return [positions[first : first + sampler.batch_size] for first in range(0, len(positions), sampler.batch_size)]


@pytest.mark.parametrize(
    'counts',
    [
        [4] * 12,
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        [40, 4, 4, 4],
        [3, 3, 3, 3],
        [100, 100, 1, 1, 1, 1, 1],
        list(range(1, 60)),
    ],
)
@pytest.mark.parametrize('epoch', [0, 1, 7])
def test_batches_hold_p_people_with_k_images(counts: list[int], epoch: int) -> None:
    dataset = People(counts)
    sampler = IdentitySampler(dataset, batch_size=12, num_instances=4, seed=3)
    sampler.set_epoch(epoch)
    for batch in batches(sampler):
        groups = [batch[first : first + 4] for first in range(0, 12, 4)]
        people = [{int(dataset.identities[position]) for position in group} for group in groups]
        assert all(len(person) == 1 for person in people)
        assert len(set.union(*people)) == 3
        for group in groups:
            person = int(dataset.identities[group[0]])
            # Nothing is repeated before it has to be.
            assert len(set(group)) == min(counts[person], 4)


def test_length_is_the_most_that_is_possible() -> None:
    def possible(groups: list[int], width: int) -> int:
        """Deal greedily, whoever has most left first: the classic optimal schedule."""
        groups, dealt = sorted(groups), 0
        while len(groups) >= width and groups[-width] > 0:
            groups = sorted(groups[:-width] + [left - 1 for left in groups[-width:]])
            dealt += 1
        return dealt

    rng = np.random.default_rng(1)
    for _ in range(50):
        counts = rng.integers(1, rng.integers(2, 60), size=rng.integers(3, 30)).tolist()
        groups = [max(count // 4, 1) for count in counts]
        sampler = IdentitySampler(People(counts), batch_size=12, num_instances=4)
        assert sampler.num_batches == possible(groups, 3)
        assert len(batches(sampler)) == sampler.num_batches


def test_images_are_used_once_an_epoch() -> None:
    counts = [4, 8, 12, 5, 7, 3, 2] * 20
    dataset = People(counts)
    sampler = IdentitySampler(dataset, batch_size=16, num_instances=4)
    used = Counter(sampler)
    groups = sum(max(count // 4, 1) for count in counts)
    assert len(sampler) == groups // 4 * 16
    for position, times in used.items():
        if counts[dataset.identities[position]] >= 4:
            assert times == 1
    # All but those that fill no group: people of 4, 8 and 12 images lose none, save for the last unfinished batch.
    full = [position for position, person in enumerate(dataset.identities) if counts[person] % 4 == 0]
    assert sum(position in used for position in full) >= len(full) - 16


def test_what_was_left_out_comes_in_another_epoch() -> None:
    sampler = IdentitySampler(People([7, 7, 7, 7]), batch_size=8, num_instances=4)
    seen = set()
    for epoch in range(12):
        sampler.set_epoch(epoch)
        seen.update(sampler)
    assert len(seen) == 28


def test_order_depends_on_seed_and_epoch_alone() -> None:
    dataset = People([5] * 30)

    def order(seed: int, epoch: int) -> list[int]:
        sampler = IdentitySampler(dataset, batch_size=8, num_instances=4, seed=seed)
        sampler.set_epoch(epoch)
        np.random.seed(int(time.time()))
        return list(sampler)

    assert order(1, 4) == order(1, 4)
    assert order(1, 4) != order(1, 5)
    assert order(1, 4) != order(2, 4)
    # (seed, epoch) pairs must not run into each other as seed + epoch would.
    assert order(1, 4) != order(4, 1)


def test_ranks_share_a_batch_of_different_people() -> None:
    dataset = People([4, 9, 2, 16, 5, 8, 4, 4, 7] * 5)
    parts = [IdentitySampler(dataset, 8, 4, seed=5, num_replicas=3, rank=rank) for rank in range(3)]
    assert len({len(part) for part in parts}) == 1
    for shares in zip(*(batches(part) for part in parts), strict=True):
        people = [{int(dataset.identities[position]) for position in share} for share in shares]
        assert sum(len(share) for share in people) == len(set.union(*people)) == 6


def test_people_of_a_batch_change() -> None:
    sampler = IdentitySampler(People([8] * 40), batch_size=16, num_instances=4, seed=0)
    pairs = Counter()
    for epoch in range(40):
        sampler.set_epoch(epoch)
        for batch in batches(sampler):
            people = sorted({int(sampler_person) for sampler_person in People([8] * 40).identities[batch]})
            pairs.update((a, b) for a in people for b in people if a < b)
    # 40 epochs x 20 batches x 6 pairs over 780 pairs: 6.2 times each; every pair meets, none sticks together.
    assert len(pairs) > 770
    assert max(pairs.values()) < 20


def test_built_as_mmengine_does() -> None:
    dataset = People([4] * 8)
    config = {'type': 'IdentitySampler', 'batch_size': 8, 'num_instances': 4}
    sampler = DATA_SAMPLERS.build(config, default_args={'dataset': dataset, 'seed': 11})
    assert sampler.seed == 11
    for batch in DataLoader(dataset, batch_size=8, sampler=sampler):
        assert sorted(Counter(batch.tolist()).values()) == [4, 4]


@pytest.mark.parametrize('sizes', [(10, 4), (0, 4), (2, 4)])
def test_batch_size_must_fit(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f'batch_size {sizes[0]} is not a multiple of num_instances {sizes[1]}'):
        IdentitySampler(People([4] * 8), *sizes)
    with pytest.raises(ValueError, match='num_instances must be at least 1, got 0'):
        IdentitySampler(People([4] * 8), 8, 0)


def test_too_few_people() -> None:
    with pytest.raises(ValueError, match=r'has 8 identities.* needs 12'):
        IdentitySampler(People([4] * 8), batch_size=48)
    with pytest.raises(ValueError, match=r'has 8 identities.*on each of 3 ranks needs 9'):
        IdentitySampler(People([4] * 8), batch_size=12, num_replicas=3, rank=0)


def test_a_dataset_of_nobody() -> None:
    with pytest.raises(TypeError, match='list has none'):
        IdentitySampler([1, 2, 3], batch_size=8)


def test_a_rank_that_does_not_exist() -> None:
    with pytest.raises(ValueError, match='rank below 2, got 2'):
        IdentitySampler(People([4] * 8), batch_size=8, num_replicas=2, rank=2)


@pytest.mark.parametrize(
    ('counts', 'instances', 'expected'),
    [
        ([2, 2], 1, 'num_instances=1: no batch holds two images of an identity'),
        ([1, 1, 2], 2, '2 of 3 identities have one image only: in a batch it is its own positive pair'),
        ([2, 2], 4, '2 of 2 identities have fewer than 4 images; theirs stand in a batch repeatedly'),
        ([2, 2], 2, ''),
    ],
)
def test_batches_without_positive_pairs_are_said(
    caplog: pytest.LogCaptureFixture, counts: list[int], instances: int, expected: str
) -> None:
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    IdentitySampler(People(counts), 2 * instances, instances)
    logger.removeHandler(caplog.handler)
    assert expected in caplog.text
    assert bool(caplog.text) == bool(expected)
