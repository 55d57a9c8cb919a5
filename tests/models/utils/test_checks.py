import math

import pytest
import torch

from cmdg_plugin.models.utils import (
    check_count,
    check_fraction,
    check_indices,
    check_integers,
    check_mask,
    check_positive,
    check_sizes,
)


def test_sizes_are_returned_by_letter() -> None:
    sizes = check_sizes('loss', a=(torch.zeros(2, 3), 'BD'), b=(torch.zeros(3, 5), 'DC'))
    assert sizes == dict(B=2, D=3, C=5)


@pytest.mark.parametrize(
    ('tensors', 'message'),
    [
        (dict(a=((2, 3), 'BD'), b=((4, 3), 'BD')), r'loss: b must have shape \(B, D\) with B=2, D=3, got \(4, 3\)'),
        (dict(a=((2, 3), 'B')), r'loss: a must have shape \(B\), got \(2, 3\)'),
        (dict(a=((2, 3), 'NN')), r'loss: a must have shape \(N, N\), got \(2, 3\)'),
        (dict(a=((2, 0), 'BD')), r'loss: a is empty, its shape \(B, D\) is \(2, 0\)'),
    ],
)
def test_wrong_sizes_are_named(tensors: dict[str, tuple[tuple[int, int], str]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_sizes('loss', **{name: (torch.zeros(shape), layout) for name, (shape, layout) in tensors.items()})


def test_what_is_no_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match='a must be a tensor, got list'):
        check_sizes('loss', a=([1, 2], 'B'))


@pytest.mark.parametrize('value', [0, -1.0, math.inf, math.nan])
def test_numbers_that_are_not_positive_are_refused(value: float) -> None:
    check_positive('loss', scale=1e-9)
    with pytest.raises(ValueError, match='loss: scale must be a finite number above 0'):
        check_positive('loss', scale=value)


@pytest.mark.parametrize('value', [0, -1, 2.0, True, '3'])
def test_counts_that_are_not_whole_numbers_are_refused(value: bool | float | str) -> None:
    check_count('loss', number=1)
    check_count('loss', at_least=0, number=0)
    with pytest.raises(ValueError, match='loss: number must be a whole number of at least 1'):
        check_count('loss', number=value)


@pytest.mark.parametrize('mask', [torch.ones(3), torch.ones(1, dtype=torch.bool), torch.ones(3, 1, dtype=torch.bool)])
def test_masks_of_another_shape_or_type_are_refused(mask: torch.Tensor) -> None:
    check_mask('loss', 'valid', torch.ones(3, dtype=torch.bool), 3)
    with pytest.raises(ValueError, match=r'loss: valid must be bool of shape \(3,\), got'):
        check_mask('loss', 'valid', mask, 3)


@pytest.mark.parametrize('value', [-0.1, 1.1, math.nan])
def test_fractions_outside_0_and_1_are_refused(value: float) -> None:
    check_fraction('loss', low=0, high=1)
    with pytest.raises(ValueError, match='loss: share must lie between 0 and 1'):
        check_fraction('loss', share=value)


def test_indices_out_of_range_are_refused() -> None:
    check_indices('loss', 'labels', torch.tensor([0, 4], dtype=torch.int32), 5, 'classes')
    with pytest.raises(ValueError, match=r'labels must lie in 0..1499 \(there are 1,500 classes\), got 0..1500'):
        check_indices('loss', 'labels', torch.tensor([0, 1500]), 1500, 'classes')
    with pytest.raises(IndexError, match=r'got -1\.\.-1'):
        check_indices('loss', 'labels', torch.tensor([-1]), 5, 'classes', IndexError)
    for other in (torch.tensor([1.0]), torch.tensor([True])):
        with pytest.raises(TypeError, match='labels must hold integers'):
            check_integers('loss', 'labels', other)
