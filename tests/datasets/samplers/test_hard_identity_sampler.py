"""Batches of an anchor and its look-alikes, their images by turns over cameras."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.ranks import run_on_ranks
from mmengine.dist import all_gather_object
from mmengine.logging import MMLogger
from torch.utils.data import Dataset

from cmdg_plugin.datasets.samplers import HardIdentitySampler
from cmdg_plugin.registry import DATA_SAMPLERS


class People(Dataset):
    """Images of whom `counts` tells, in shuffled order, of 3 cameras and 2 domains (even and odd identities)."""

    def __init__(self, counts: Sequence[int]) -> None:
        rng = np.random.default_rng(0)
        self.identities = rng.permutation(np.repeat(np.arange(len(counts)), counts))
        self.cameras = rng.integers(3, size=len(self.identities))
        self.domains = self.identities % 2

    def __len__(self) -> int:
        return len(self.identities)


class OnALine:
    """An encoding in which identity i looks like those of neighboring numbers; its texts turn the order around."""

    def __init__(self, dataset: People, noise: float = 0.0) -> None:
        self.dataset = dataset
        self.asked: list[list[int]] = []
        self.sources: list[str] = []
        self.noise = noise

    def retrieval_features(self, positions: Sequence[int]) -> torch.Tensor:
        self.asked.append(list(positions))
        angles = 0.01 * torch.as_tensor(self.dataset.identities[list(positions)], dtype=torch.float64)
        angles = angles**1.01 + self.noise * torch.rand(len(angles))
        return torch.stack([angles.cos(), angles.sin()], dim=1)

    def identity_features(self, source: str) -> torch.Tensor:
        self.sources.append(source)
        angles = torch.arange(int(self.dataset.identities.max()) + 1, dtype=torch.float64) % 5
        return torch.stack([angles.cos(), angles.sin()], dim=1)


def prepared(dataset: People, epoch: int = 0, batch_size: int = 12, **settings: object) -> HardIdentitySampler:
    sampler = HardIdentitySampler(dataset, batch_size, **settings)
    sampler.set_epoch(epoch)
    sampler.prepare(epoch, OnALine(dataset))
    return sampler


def batches(sampler: HardIdentitySampler) -> list[list[int]]:
    positions = list(sampler)
    assert len(positions) == len(sampler)
    return [positions[first : first + sampler.batch_size] for first in range(0, len(positions), sampler.batch_size)]


def people_of(dataset: People, batch: list[int], num_instances: int = 4) -> list[int]:
    groups = dataset.identities[batch].reshape(-1, num_instances)
    assert (groups == groups[:, :1]).all()
    return groups[:, 0].tolist()


def test_a_batch_is_an_anchor_with_its_nearest_identities() -> None:
    dataset = People([8] * 20)
    for batch in batches(prepared(dataset)):
        people = sorted(people_of(dataset, batch))
        # On a line that widens, the two nearest of i are i - 1 and i - 2, or i - 1 and i + 1.
        assert len(people) == 3
        assert people[2] - people[0] == 2


def test_every_identity_is_an_anchor_before_any_is_one_again() -> None:
    """Identity i's neighbor is i + 1 or i - 1 within its pair: a pair comes as often as it has anchors."""
    dataset = People([4] * 12)

    class Pairs(OnALine):
        def retrieval_features(self, positions: Sequence[int]) -> torch.Tensor:
            return torch.eye(6)[torch.as_tensor(self.dataset.identities[list(positions)]) // 2]

    sampler = HardIdentitySampler(dataset, 8, num_draws=24)
    sampler.prepare(0, Pairs(dataset))
    people = [people_of(dataset, batch) for batch in batches(sampler)]
    pairs = [tuple(sorted(pair)) for pair in people]
    assert Counter(pairs) == {(first, first + 1): 2 for first in range(0, 12, 2)}
    # In random order, and the anchor has no place of its own in the batch, so that no rank has all of them.
    assert pairs != sorted(pairs)
    assert len({pair[0] for pair in people}) < 12


def test_words_decide_where_they_weigh_more() -> None:
    dataset = People([4] * 20)
    sampler = HardIdentitySampler(dataset, 16, text='captions', text_weight=100.0)
    encoding = OnALine(dataset)
    sampler.prepare(0, encoding)
    assert encoding.sources == ['captions']
    for batch in batches(sampler):
        assert len({person % 5 for person in people_of(dataset, batch)}) == 1


def test_looks_decide_where_words_weigh_little() -> None:
    dataset = People([4] * 20)
    sampler = HardIdentitySampler(dataset, 16, text='captions', text_weight=1e-6)
    sampler.prepare(0, OnALine(dataset))
    for batch in batches(sampler):
        people = people_of(dataset, batch)
        assert max(people) - min(people) == 3


def test_lambda_zero_reads_no_text() -> None:
    dataset = People([4] * 20)
    encoding = OnALine(dataset)
    HardIdentitySampler(dataset, 16, text='prompts', text_weight=0.0).prepare(0, encoding)
    assert encoding.sources == []


def test_one_random_image_of_every_identity_is_encoded() -> None:
    dataset = People([5] * 9)
    encoding = OnALine(dataset)
    sampler = HardIdentitySampler(dataset, 12)
    for epoch in range(8):
        sampler.prepare(epoch, encoding)
    for positions in encoding.asked:
        assert dataset.identities[positions].tolist() == list(range(9))
    assert len({positions[0] for positions in encoding.asked}) > 2


def deal(images: dict[int, int], num_instances: int) -> list[list[int]]:
    """Cameras of the groups by a loop: turns over the cameras, the one with most images first, until none is left."""
    left, order = dict(images), []
    while any(left.values()):
        for camera in sorted(left, key=lambda camera: -images[camera]):
            if left[camera]:
                order.append(camera)
                left[camera] -= 1
    return [sorted(order[i : i + num_instances]) for i in range(0, len(order) - num_instances + 1, num_instances)]


def seen_by_three_cameras() -> People:
    """No two cameras of a person have equally many images, so that there is one order alone."""
    dataset = People([13] * 6)
    dataset.cameras = np.empty(len(dataset), int)
    for person in range(6):
        dataset.cameras[dataset.identities == person] = [0] * 7 + [1] * 4 + [2] * 2
    return dataset


def test_groups_take_turns_over_cameras() -> None:
    dataset = seen_by_three_cameras()
    expected = deal({0: 7, 1: 4, 2: 2}, 4)
    assert expected[0] == [0, 0, 1, 2]
    drawn = Counter()
    for batch in batches(prepared(dataset, num_draws=90)):
        for first in range(0, 12, 4):
            group = batch[first : first + 4]
            assert len(set(group)) == 4
            drawn[tuple(sorted(dataset.cameras[group].tolist()))] += 1
    assert set(drawn) == {tuple(cameras) for cameras in expected}
    # Each of the three groups of a person is drawn about as often.
    assert min(drawn.values()) > 20


def test_who_is_drawn_once_gives_any_of_its_groups() -> None:
    dataset = seen_by_three_cameras()
    drawn = set()
    for epoch in range(10):
        (batch,) = batches(prepared(dataset, epoch, num_draws=3))
        drawn |= {tuple(sorted(dataset.cameras[batch[first : first + 4]].tolist())) for first in range(0, 12, 4)}
    assert drawn == {tuple(cameras) for cameras in deal({0: 7, 1: 4, 2: 2}, 4)}


def test_who_is_drawn_again_gives_another_group() -> None:
    dataset = People([8] * 3)
    first, second = batches(prepared(dataset, num_draws=6))
    assert len(set(first + second)) == 24


def test_few_images_are_repeated_and_single_ones_left_out(caplog: pytest.LogCaptureFixture) -> None:
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    dataset = People([1, 2, 3, 1, 6, 2])
    sampler = prepared(dataset)
    HardIdentitySampler(dataset, 4, num_instances=1)
    logger.removeHandler(caplog.handler)
    assert '2 of 6 identities have one image only and are left out' in caplog.text
    assert '3 of 4 identities have fewer than 4 images; theirs stand in a batch repeatedly' in caplog.text
    assert 'num_instances=1: no batch holds two images of an identity' in caplog.text
    counts = {1: 2, 2: 3, 4: 4, 5: 2}
    for batch in batches(sampler):
        for place, person in enumerate(people_of(dataset, batch)):
            assert len(set(batch[4 * place : 4 * place + 4])) == counts[person]


@pytest.mark.parametrize(('num_draws', 'expected'), [(None, 13), (30, 10), (31, 10), (3, 1)])
def test_an_epoch_draws_as_many_identities_as_it_has_groups_or_as_asked_for(
    num_draws: int | None, expected: int
) -> None:
    # 20 x 2 groups of 4 images, 3 identities a batch.
    assert len(batches(prepared(People([9] * 20), num_draws=num_draws))) == expected


def test_one_domain_a_batch() -> None:
    dataset = People([4] * 20)
    mixed = [people_of(dataset, batch) for batch in batches(prepared(dataset))]
    assert any(len({person % 2 for person in people}) == 2 for people in mixed)
    for batch in batches(prepared(dataset, across_domains=False)):
        assert len({person % 2 for person in people_of(dataset, batch)}) == 1


def test_batches_depend_on_seed_epoch_and_features_alone() -> None:
    dataset = People([5] * 30)
    again = HardIdentitySampler(dataset, 12, seed=1)
    again.set_epoch(3)
    again.prepare(3, OnALine(dataset))
    list(again)
    again.set_epoch(4)
    again.prepare(4, OnALine(dataset))
    expected = list(prepared(dataset, 4, seed=1))
    assert list(again) == list(again) == expected
    other = prepared(dataset, 5, seed=1)
    assert list(other) != expected
    # Other anchors, too, not only other images of the same people.
    assert not np.array_equal(other._drawn, again._drawn)
    assert list(prepared(dataset, 4, seed=2)) != expected


def test_ranks_share_the_batch_of_one_process() -> None:
    dataset = People([9] * 20)
    whole = batches(prepared(dataset, batch_size=24))
    parts = [batches(prepared(dataset, num_replicas=2, rank=rank)) for rank in range(2)]
    assert [first + second for first, second in zip(*parts, strict=True)] == whole


def compose_on_a_rank(rank: int, ranks: int, folder: Path) -> None:
    """Ranks whose features differ, as after rounding, still compose the same batches."""
    dataset = People([9] * 20)
    torch.manual_seed(rank)
    sampler = HardIdentitySampler(dataset, 12)
    sampler.prepare(0, OnALine(dataset, noise=0.3))
    shares = all_gather_object(batches(sampler))
    for batch in zip(*shares, strict=True):
        people = [set(people_of(dataset, share)) for share in batch]
        assert sum(map(len, people)) == len(set.union(*people)) == 3 * ranks
    drawn = all_gather_object(sampler._drawn.tolist())
    assert drawn[0] == drawn[1]


def test_two_processes_compose_the_same_batches(tmp_path: Path) -> None:
    run_on_ranks(compose_on_a_rank, tmp_path)


def test_built_as_mmengine_does() -> None:
    config = {'type': 'HardIdentitySampler', 'batch_size': 8, 'num_instances': 4, 'text': 'captions'}
    assert DATA_SAMPLERS.build(config, default_args={'dataset': People([4] * 8), 'seed': 11}).seed == 11


def test_a_sampler_that_was_not_prepared_says_so() -> None:
    sampler = HardIdentitySampler(People([4] * 8), 8)
    with pytest.raises(RuntimeError, match=r'prepared for epoch None and is asked for epoch 0: .*StagePreparationHook'):
        list(sampler)
    sampler.prepare(0, OnALine(People([4] * 8)))
    sampler.set_epoch(1)
    with pytest.raises(RuntimeError, match='prepared for epoch 0 and is asked for epoch 1'):
        list(sampler)


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'text': 'words'}, "text to be None, 'captions' or 'prompts', got 'words'"),
        ({'text_weight': -1.0}, r'text_weight must be a finite number of at least 0, got -1\.0'),
        ({'num_draws': 2}, 'num_draws is 2, but a batch alone holds 3 identities'),
        ({'across_domains': False}, 'a batch holds 3 identities of one domain, but domain 0 has 2 with two images'),
        ({'batch_size': 24}, 'has 4 identities with two images or more, but a batch of 24 with 4 images each needs 6'),
    ],
)
def test_bad_settings_are_named(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        HardIdentitySampler(People([4, 4, 1, 4, 4]), **{'batch_size': 12, **settings})


def test_domains_must_be_known_to_be_kept_apart() -> None:
    dataset = People([4] * 8)
    del dataset.domains
    with pytest.raises(ValueError, match='takes a dataset with `domains`; People has none'):
        HardIdentitySampler(dataset, 8, across_domains=False)
