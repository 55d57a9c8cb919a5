from pathlib import Path

import torch
from helpers.ranks import run_on_ranks

from cmdg_plugin.models.utils import gather_batch


def _code(rank: int, ranks: int, folder: Path) -> None:
    from cmdg_plugin.models.utils import gather_batch

    torch.manual_seed(0)
    whole = torch.randn(6, 3)
    numbers = torch.arange(12).view(6, 2)
    weight = torch.nn.Parameter(torch.randn(3, 4))
    own = slice(2 * rank, 2 * rank + 2)

    def loss_of(rows: torch.Tensor, squares: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        # Couples all samples and uses the weight after the gathering as well as before it.
        return torch.cdist(rows, rows.flip(0)).square().sum() + (squares @ weight.T).exp().mean()

    expected = loss_of(whole @ weight, (whole @ weight) ** 2, weight)
    expected.backward()
    wanted = weight.grad.clone()
    weight.grad = None

    local = whole[own] @ weight
    rows, squares = gather_batch(local, local**2)
    assert torch.equal(rows, whole @ weight), (rows, whole @ weight)
    assert torch.equal(gather_batch(numbers[own], numbers[own, 0])[0], numbers)
    assert torch.equal(gather_batch(numbers[own], numbers[own, 0])[1], numbers[:, 0])
    loss = loss_of(rows, squares, weight)
    loss.backward()
    torch.testing.assert_close(loss, expected)
    # What a data-parallel wrapper does with gradients.
    torch.distributed.all_reduce(weight.grad)
    torch.testing.assert_close(weight.grad / ranks, wanted, rtol=1e-4, atol=1e-5)


def test_a_loss_over_ranks_has_the_value_and_gradient_of_one_process(tmp_path: Path) -> None:
    run_on_ranks(_code, tmp_path, ranks=3)


def test_a_single_process_gets_its_own_tensors_back() -> None:
    tensors = torch.randn(2, 3), torch.randn(2)
    assert all(own is back for own, back in zip(tensors, gather_batch(*tensors), strict=True))
