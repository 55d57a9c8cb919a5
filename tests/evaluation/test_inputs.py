import numpy as np
import pytest
import torch

from cmdg_plugin.evaluation.inputs import (
    as_distances,
    as_features,
    as_labels,
    as_two_sides,
    check_distances,
    check_positive,
    choose_device,
)

CPU = torch.device('cpu')


@pytest.mark.parametrize(
    'labels', [[3, 1], (3, 1), np.array([3, 1], np.uint8), torch.tensor([3, 1], dtype=torch.int32)]
)
def test_labels_of_any_kind_are_int64(labels: object) -> None:
    array = as_labels(labels, 'query_ids', 2)
    assert array.dtype == np.int64
    assert array.tolist() == [3, 1]


def test_labels_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match=r'query_ids must have shape \(3,\), one entry per image, got \(2,\)\.'):
        as_labels([1, 2], 'query_ids', 3)
    with pytest.raises(TypeError, match=r'query_ids must be integers, got float64\.'):
        as_labels([1.0, 2.0], 'query_ids', 2)


def test_features_are_float32_without_a_copy_where_they_are_already() -> None:
    features = torch.ones(2, 3, requires_grad=True)
    read = as_features(features, 'query', CPU)
    assert not read.requires_grad
    assert read.data_ptr() == features.data_ptr()
    assert as_features(np.ones((2, 3)), 'query', CPU).dtype == torch.float32
    still = np.ones((2, 3), np.float32)
    still.setflags(write=False)
    assert as_features(still, 'query', CPU).sum() == 6
    for wrong in (torch.ones(3), torch.ones(0, 3), [[1.0]]):
        with pytest.raises(ValueError, match='query must be a'):
            as_features(wrong, 'query', CPU)


@pytest.mark.parametrize(
    ('given', 'read'),
    [
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.float16, torch.float32),
        (torch.int64, torch.float64),
    ],
)
def test_distances_lose_no_digit(given: torch.dtype, read: torch.dtype) -> None:
    assert as_distances(torch.ones(2, 3).to(given)).dtype == read
    assert check_distances(torch.ones(2, 3)) == (2, 3)


def test_rows_that_are_not_finite_are_counted() -> None:
    features = torch.tensor([[3.0, 4.0], [torch.nan, 0.0], [torch.inf, 0.0]])
    query, gallery = as_two_sides(features[:1], features[:1], CPU)
    assert query.tolist() == gallery.tolist() == [[3.0, 4.0]]
    with pytest.raises(ValueError, match=r'2 of 3 rows hold NaN or infinite numbers \(first: row 1\)'):
        as_two_sides(features[:1], features, CPU)


def test_numbers_and_devices() -> None:
    assert check_positive(np.int64(3), 'max_rank') == 3
    for value in (0, True, 1.0, '1'):
        with pytest.raises(ValueError, match='max_rank must be a positive integer'):
            check_positive(value, 'max_rank')
    assert choose_device(torch.ones(1), 'cpu') == CPU
    assert choose_device(torch.ones(1, device='meta'), None).type == 'meta'
