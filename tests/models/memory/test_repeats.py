import torch

from cmdg_plugin.models.memory.repeats import Repeats


def test_places_among_equals_match_counting() -> None:
    indices = torch.tensor([5, 1, 5, 7, 1, 5, 0])
    repeats = Repeats.of(indices)
    values = indices.tolist()
    for i, value in enumerate(values):
        equals = [j for j, other in enumerate(values) if other == value]
        assert repeats.count[i] == len(equals)
        assert repeats.later[i] == sum(j > i for j in equals)
        assert repeats.last[i] == equals[-1]
        assert repeats.is_first[i] == (i == equals[0])


def test_sums_over_equals_are_the_same_for_all_of_them() -> None:
    repeats = Repeats.of(torch.tensor([2, 9, 2]))
    sums = repeats.sum_per_entry(torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert sums.tolist() == [[6.0, 8.0], [3.0, 4.0], [6.0, 8.0]]


def test_one_index_alone() -> None:
    repeats = Repeats.of(torch.tensor([3]))
    assert (repeats.later.item(), repeats.count.item(), repeats.last.item(), repeats.is_first.item()) == (0, 1, 0, True)
