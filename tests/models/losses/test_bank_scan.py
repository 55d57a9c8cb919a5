from pathlib import Path

import pytest
import torch
from helpers.ranks import run_on_ranks

from cmdg_plugin.models.losses.bank_scan import scan_bank


@pytest.mark.parametrize('chunk_size', [7, 700, 5000])
@pytest.mark.parametrize('entries', [11, 2891])
def test_scan_matches_dense_reductions(entries: int, chunk_size: int) -> None:
    queries = torch.randn(2, 3, 5, dtype=torch.float64)
    bank = torch.randn(entries, 2, 5, dtype=torch.float64)
    bias = torch.randn(2, entries, dtype=torch.float64)
    bias[:, 3] = -torch.inf
    positions = torch.tensor([0, entries - 1, entries // 2])
    scan = scan_bank(queries, bank, bias, positions, 4, with_mean=True, chunk_size=chunk_size)
    scores = torch.einsum('pbd,npd->pbn', queries, bank) + bias[:, None]
    scores[:, torch.arange(3), positions] = -torch.inf
    top = scores.topk(4)
    torch.testing.assert_close(scan.top_scores, top.values)
    assert torch.equal(scan.top_indices, top.indices)
    torch.testing.assert_close(scan.log_sum, scores.logsumexp(dim=-1))
    torch.testing.assert_close(scan.mean, torch.einsum('pbn,npd->pbd', scores.softmax(dim=-1), bank))
    assert scan_bank(queries, bank, bias, positions, 4, with_mean=False, chunk_size=chunk_size).mean is None


def test_equal_scores_all_count_as_neighbors() -> None:
    bank = torch.ones(1000, 1, 2)
    bank[[13, 77, 500, 999]] = 2.0
    scan = scan_bank(
        torch.ones(1, 1, 2), bank, torch.zeros(1, 1000), torch.tensor([0]), 4, with_mean=False, chunk_size=1000
    )
    assert scan.top_indices.flatten().sort().values.tolist() == [13, 77, 500, 999]


def test_a_bank_of_fewer_rows_than_asked_for_fills_up_with_minus_infinity() -> None:
    bank = torch.randn(3, 1, 2)
    scan = scan_bank(
        torch.randn(1, 2, 2), bank, torch.zeros(1, 3), torch.tensor([0, 7]), 5, with_mean=True, chunk_size=9
    )
    assert scan.top_scores.isfinite().sum(dim=-1).tolist() == [[2, 3]]


def _merge(rank: int, ranks: int, folder: Path) -> None:
    from cmdg_plugin.models.losses.bank_scan import merge_scans, scan_bank

    torch.manual_seed(0)
    queries = torch.randn(2, 5, 4, dtype=torch.float64)
    bank = torch.randn(11, 2, 4, dtype=torch.float64)
    bias = torch.randn(2, 11, dtype=torch.float64)
    bias[:, :4] = -torch.inf  # the first rank has nothing to offer
    positions = torch.tensor([0, 4, 5, 8, 10])
    options = dict(k=6, with_mean=True, chunk_size=3)
    whole = scan_bank(queries, bank, bias, positions, **options)
    first = (0, 4, 8)[rank]
    rows = slice(first, (4, 8, 11)[rank])
    merged = merge_scans(scan_bank(queries, bank[rows], bias[:, rows], positions - first, **options), first)
    torch.testing.assert_close(merged.top_scores, whole.top_scores)
    assert torch.equal(merged.top_indices, whole.top_indices)
    torch.testing.assert_close(merged.log_sum, whole.log_sum)
    torch.distributed.all_reduce(merged.mean)
    torch.testing.assert_close(merged.mean, whole.mean)


def test_ranks_that_search_their_own_rows_find_what_one_finds_in_all(tmp_path: Path) -> None:
    run_on_ranks(_merge, tmp_path, ranks=3)
