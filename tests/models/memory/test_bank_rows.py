import pytest
import torch
from helpers.banks import make_bank

from cmdg_plugin.models.memory.bank_rows import check_bank


@pytest.mark.parametrize(('first_row', 'domains'), [(None, [0, 1, 2]), (0, [0, 1, 2]), (2, [2, 3, 4])])
def test_rows_know_their_domains_wherever_they_begin(first_row: int | None, domains: list[int]) -> None:
    bank = make_bank(torch.ones(3, 2, 4), domains=torch.arange(6), first_row=first_row)
    assert bank.own_domains.tolist() == domains
    assert check_bank('PartNeighborLoss', bank) is bank


def test_a_bare_tensor_is_refused() -> None:
    with pytest.raises(TypeError, match=r'PartNeighborLoss: bank must be the BankRows .* got a Tensor'):
        check_bank('PartNeighborLoss', torch.ones(3, 2, 4))
