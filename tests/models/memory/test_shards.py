from pathlib import Path

import torch
from helpers.ranks import run_on_ranks

from cmdg_plugin.models.memory import lookup_rows, own_rows


def _code(rank: int, ranks: int, folder: Path) -> None:
    from cmdg_plugin.models.memory import lookup_rows, own_rows

    table = torch.arange(22).view(11, 2).half()
    rows = own_rows(11)
    indices = torch.tensor([10, 0, 3, 3, 7])
    assert torch.equal(lookup_rows(table[rows], indices, rows.start), table[indices])
    sizes = torch.tensor([rows.stop - rows.start])
    torch.distributed.all_reduce(sizes)
    assert sizes == 11


def test_rows_are_found_wherever_they_are(tmp_path: Path) -> None:
    run_on_ranks(_code, tmp_path, ranks=3)


def test_a_single_process_is_responsible_for_all_rows() -> None:
    table = torch.randn(5, 2)
    assert own_rows(5) == slice(0, 5)
    assert torch.equal(lookup_rows(table, torch.tensor([4, 1]), None), table[[4, 1]])
