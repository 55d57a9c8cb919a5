import pytest
import torch

from cmdg_plugin.models.losses.bank_scan import scan_bank


@pytest.mark.parametrize('chunk_size', [7, 700, 5000])
@pytest.mark.parametrize('entries', [11, 2891])
def test_scan_matches_dense_reductions(entries, chunk_size):
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


def test_equal_scores_all_count_as_neighbors():
    bank = torch.ones(1000, 1, 2)
    bank[[13, 77, 500, 999]] = 2.0
    scan = scan_bank(
        torch.ones(1, 1, 2), bank, torch.zeros(1, 1000), torch.tensor([0]), 4, with_mean=False, chunk_size=1000
    )
    assert scan.top_indices.flatten().sort().values.tolist() == [13, 77, 500, 999]
