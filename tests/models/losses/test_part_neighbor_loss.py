from pathlib import Path

import pytest
import torch
from helpers.banks import make_bank, problem
from helpers.ranks import run_on_ranks
from torch import Tensor

from cmdg_plugin.models.losses import (
    PartNeighborLoss,
    SoftIdentityLoss,
    describe_neighbors,
    find_text_neighbors,
    part_neighbor_loss,
)
from cmdg_plugin.models.memory import CaptionMemoryBank


def plain(
    parts: torch.Tensor,
    bank: torch.Tensor,
    positions: torch.Tensor,
    k: int,
    scale: float,
    valid: torch.Tensor | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The loss by loops over parts and samples, left to autograd, with full sorts."""
    losses, neighbors = [], []
    for p in range(len(parts)):
        for b in range(parts.shape[1]):
            rows = [n for n in range(len(bank)) if n != positions[b] and (valid is None or valid[n])]
            distances = ((parts[p, b] - bank[rows, p]) ** 2).sum(dim=1)
            order = distances.argsort()[:k]
            similarity = torch.exp(-scale * distances)
            losses.append(-torch.log(similarity[order].sum() / similarity.sum()))
            neighbors.append(torch.tensor(rows)[order])
    return torch.stack(losses).mean(), torch.stack(neighbors).view(len(parts), parts.shape[1], k)


def test_value_gradient_and_neighbors_are_the_released_ones(golden: dict[str, Tensor]) -> None:
    parts = golden['part_feats'].clone().requires_grad_()
    loss, neighbors = part_neighbor_loss(
        parts,
        golden['part_centers'].transpose(0, 1),
        golden['part_position'],
        num_neighbors=int(golden['part_k']),
        scale=float(golden['part_scale']),
    )
    loss.backward()
    torch.testing.assert_close(loss, golden['part_loss_expected'], rtol=1e-6, atol=0)
    torch.testing.assert_close(parts.grad, golden['part_grad_expected'], rtol=1e-6, atol=1e-12)
    labels = golden['part_bank_labels'][neighbors]
    torch.testing.assert_close(labels, golden['part_neighbour_labels_expected'])


@pytest.mark.parametrize('scale', [0.02, 3.0])
def test_matches_loops_with_unfilled_entries_and_own_entry_nearest(scale: float) -> None:
    parts, bank, positions = problem()
    with torch.no_grad():
        bank[positions] = parts.transpose(0, 1)
    valid = torch.rand(len(bank)) < 0.7
    ours = part_neighbor_loss(parts, bank, positions, num_neighbors=5, scale=scale, valid=valid)
    theirs = plain(parts, bank, positions, 5, scale, valid)
    torch.testing.assert_close(ours[0], theirs[0], rtol=1e-9, atol=0)
    assert torch.equal(ours[1], theirs[1])
    (ours_grad,), (theirs_grad,) = (torch.autograd.grad(loss, parts) for loss in (ours[0], theirs[0]))
    torch.testing.assert_close(ours_grad, theirs_grad, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float32, 1e-5), (torch.bfloat16, 1e-5)])
def test_low_precision_under_autocast_is_computed_in_float32(dtype: torch.dtype, tolerance: float) -> None:
    parts, bank, positions = problem(dim=128)
    low = parts.detach().to(dtype).requires_grad_()
    with torch.autocast('cpu', dtype=torch.bfloat16):
        loss, neighbors = PartNeighborLoss(num_neighbors=5)(low, make_bank(bank.float()), positions)
    loss.backward()
    exact = low.detach().double().requires_grad_()
    expected, same = part_neighbor_loss(exact, bank.float().double(), positions, num_neighbors=5)
    expected.backward()
    assert (loss.dtype, low.grad.dtype) == (torch.float32, dtype)
    torch.testing.assert_close(loss.double(), expected, rtol=tolerance, atol=0)
    assert torch.equal(neighbors, same)
    rounding = 1e-5 if dtype == torch.float32 else 1e-2
    torch.testing.assert_close(
        low.grad.double(), exact.grad, rtol=rounding, atol=rounding * exact.grad.abs().max().item()
    )


def test_a_bank_in_half_precision_is_read_in_float32() -> None:
    parts, bank, positions = problem(dim=32, dtype=torch.float32)
    loss, _ = part_neighbor_loss(parts, bank.bfloat16(), positions)
    torch.testing.assert_close(loss, part_neighbor_loss(parts, bank.bfloat16().float(), positions)[0])


def test_kept_norms_change_nothing() -> None:
    parts, bank, positions = problem()
    memory = CaptionMemoryBank(len(bank), 3, 8).double()
    memory.fill(torch.arange(len(bank)), bank.transpose(0, 1), bank.transpose(0, 1))
    kept = part_neighbor_loss(parts, memory.image, positions, bank_norms=memory.image_norms)
    assert torch.equal(kept[0], part_neighbor_loss(parts, bank, positions)[0])
    wrong = part_neighbor_loss(parts, memory.image, positions, bank_norms=memory.image_norms * 2)
    assert not torch.equal(kept[0], wrong[0])


def test_ties_fall_the_same_way_every_time() -> None:
    parts, _, positions = problem(entries=300, batch=4)
    bank = torch.randint(0, 2, (300, 3, 8)).double()
    runs = [part_neighbor_loss(parts, bank, positions)[1] for _ in range(3)]
    assert torch.equal(runs[0], runs[1])
    assert torch.equal(runs[0], runs[2])


@pytest.mark.parametrize(
    ('parts', 'bank', 'positions', 'options', 'message'),
    [
        ((2, 4, 8), (20, 3, 8), [0, 1, 2, 3], {}, r'bank must have shape \(N, P, D\) with P=2, D=8, got \(20, 3, 8\)'),
        ((3, 4, 8), (20, 3, 9), [0, 1, 2, 3], {}, 'bank must have shape'),
        ((3, 4, 8), (20, 3, 8), [0, 1, 2], {}, 'positions must have shape'),
        ((3, 0, 8), (20, 3, 8), [], {}, 'parts is empty'),
        ((3, 4, 8), (20, 3, 8), [0, 1, 2, 20], {}, 'positions must lie in 0..19'),
        ((3, 4, 8), (10, 3, 8), [0, 1, 2, 3], {}, 'num_neighbors is 10, but the bank holds only 9'),
        ((3, 4, 8), (20, 3, 8), [0, 1, 2, 3], dict(num_neighbors=0), 'num_neighbors must be a whole number'),
        ((3, 4, 8), (20, 3, 8), [0, 1, 2, 3], dict(scale=0.0), 'scale must be'),
        ((3, 4, 8), (20, 3, 8), [0, 1, 2, 3], dict(valid=torch.arange(20) < 10), 'holds only 9'),
        ((3, 4, 8), (20, 3, 8), [0, 1, 2, 3], dict(valid=torch.ones(19, dtype=torch.bool)), 'valid must be bool'),
        ((3, 4, 8), (20, 3, 8), [0, 1, 2, 3], dict(bank_norms=torch.ones(20)), 'bank_norms must have shape'),
    ],
)
def test_bad_input_is_named(
    parts: tuple[int, int, int], bank: tuple[int, int, int], positions: list, options: dict, message: str
) -> None:
    own = torch.tensor(positions, dtype=torch.long)
    with pytest.raises(ValueError, match=message):
        part_neighbor_loss(torch.zeros(parts), torch.zeros(bank), own, **options)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_gpu_step_never_waits_and_agrees_with_cpu() -> None:
    parts, bank, positions = problem(entries=3000, batch=16, dim=64, dtype=torch.float32)
    memory, labels = CaptionMemoryBank(3000, 3, 64), torch.randint(9, (3000,))
    memory.fill(torch.arange(3000), bank.transpose(0, 1), bank.transpose(0, 1))
    logits = torch.randn(16, 9)
    results = []
    for device in ('cpu', 'cuda'):
        x, where, names, scores = (t.detach().to(device) for t in (parts, positions, labels, logits))
        store, loss, identity = memory.to(device), PartNeighborLoss(), SoftIdentityLoss(text_ratio=0.2)
        x.requires_grad_()
        torch.cuda.set_sync_debug_mode('error' if device == 'cuda' else 'default')
        try:
            store.update(where, x.detach(), x.detach())
            domains = names % 3
            found = find_text_neighbors(
                x.detach(), store.text, domains[where], domains, num_neighbors=5, text_norms=store.text_norms
            )
            rows = store.rows_to_search(names, domains)
            value, neighbors = loss(x, rows, where, text_neighbors=found)
            (value + identity(scores, names[where], neighbors, rows, found)).backward()
            describe_neighbors(neighbors, names[where], domains[where], names, domains, found)
        finally:
            torch.cuda.set_sync_debug_mode('default')
        results.append((value.detach().cpu(), x.grad.cpu()))
        memory = CaptionMemoryBank(3000, 3, 64)
        memory.fill(torch.arange(3000), bank.transpose(0, 1), bank.transpose(0, 1))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-6)


def plain_with_text(
    parts: torch.Tensor,
    bank: torch.Tensor,
    positions: torch.Tensor,
    k: int,
    scale: float,
    text: torch.Tensor,
    weight: float,
) -> torch.Tensor:
    """The loss with entries found by captions, by loops; each entry of either kind counts once."""
    losses = []
    for p in range(len(parts)):
        for b in range(parts.shape[1]):
            rows = [n for n in range(len(bank)) if n != positions[b]]
            similarity = {n: torch.exp(-scale * ((parts[p, b] - bank[n, p]) ** 2).sum()) for n in rows}
            near = sorted(rows, key=lambda n: -similarity[n].item())[:k]
            also = [n for n in text[b].tolist() if n >= 0 and n not in near and n != positions[b]]
            positive = sum(similarity[n] for n in near) + weight * sum(similarity[n] for n in also)
            losses.append(-torch.log(positive / sum(similarity.values())))
    return torch.stack(losses).mean()


@pytest.mark.parametrize('weight', [1.0, 0.3])
def test_entries_found_by_captions_join_the_nearest(weight: float) -> None:
    parts, bank, positions = problem(entries=12)
    text = torch.stack([torch.randperm(12)[:4] for _ in positions])
    text[0, 1], text[1, 0] = -1, positions[1]
    # Scores differ enough that a wrong sum would show.
    ours, neighbors = part_neighbor_loss(
        parts, bank, positions, num_neighbors=3, scale=0.1, text_neighbors=text, text_weight=weight
    )
    theirs = plain_with_text(parts, bank, positions, 3, 0.1, text, weight)
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=0)
    gradients = [torch.autograd.grad(loss, parts)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-7, atol=1e-12)
    alone, same_neighbors = part_neighbor_loss(parts, bank, positions, num_neighbors=3, scale=0.1)
    assert torch.equal(neighbors, same_neighbors)
    assert ours < alone


def test_text_neighbors_without_weight_or_that_are_near_already_change_nothing() -> None:
    parts, bank, positions = problem(entries=12, parts=1)
    alone, neighbors = part_neighbor_loss(parts, bank, positions, num_neighbors=3)
    for text, weight in ((torch.arange(4).expand(6, 4), 0.0), (neighbors[0], 1.0), (torch.full((6, 2), -1), 1.0)):
        joined, _ = part_neighbor_loss(parts, bank, positions, num_neighbors=3, text_neighbors=text, text_weight=weight)
        torch.testing.assert_close(joined, alone, rtol=1e-12, atol=0)


def test_unfilled_text_neighbors_are_passed_over() -> None:
    parts, bank, positions = problem(entries=12)
    valid = torch.ones(12, dtype=torch.bool)
    valid[[3, 4]] = False
    text = torch.tensor([[3, 4]]).expand(6, 2)
    joined, _ = part_neighbor_loss(parts, bank, positions, num_neighbors=3, valid=valid, text_neighbors=text)
    alone, _ = part_neighbor_loss(parts, bank, positions, num_neighbors=3, valid=valid)
    torch.testing.assert_close(joined, alone, rtol=1e-12, atol=0)


def test_wrong_text_neighbors_are_refused() -> None:
    parts, bank, positions = problem()
    with pytest.raises(ValueError, match=r'text_weight must lie between 0 and 1, got 1\.5'):
        part_neighbor_loss(parts, bank, positions, text_neighbors=torch.zeros(6, 1, dtype=int), text_weight=1.5)
    with pytest.raises(ValueError, match='text_neighbors must have shape'):
        part_neighbor_loss(parts, bank, positions, text_neighbors=torch.zeros(5, 1, dtype=int))
    with pytest.raises(ValueError, match=r'text_neighbors must lie in 0\.\.69 .*, got 70\.\.70'):
        part_neighbor_loss(parts, bank, positions, text_neighbors=torch.full((6, 1), 70))


def _on_ranks(rank: int, ranks: int, folder: Path) -> None:
    from cmdg_plugin.models.losses import part_neighbor_loss

    torch.manual_seed(0)
    # Whole, with entries found by captions, and with fewer rows a rank than there are neighbors.
    guided = {'text_neighbors': torch.randint(-1, 30, (6, 1)), 'text_weight': 0.5}
    for entries, others in ((30, {}), (30, guided), (17, {})):
        parts = torch.randn(3, 6, 8, dtype=torch.float64, requires_grad=True)
        bank = torch.randn(entries, 3, 8, dtype=torch.float64)
        positions, valid = torch.randperm(entries)[:6], torch.rand(entries) < 0.8
        loss, neighbors = part_neighbor_loss(parts, bank, positions, valid=valid, **others)
        (gradient,) = torch.autograd.grad(loss, parts)

        rows = slice(entries * rank // ranks, entries * (rank + 1) // ranks)
        ours, found = part_neighbor_loss(
            parts, bank[rows], positions, valid=valid[rows], first_row=rows.start, **others
        )
        (ours_gradient,) = torch.autograd.grad(ours, parts)
        torch.testing.assert_close(ours, loss, rtol=1e-12, atol=0)
        assert torch.equal(found, neighbors)
        torch.testing.assert_close(ours_gradient, gradient, rtol=1e-9, atol=1e-15)


def test_ranks_that_share_a_bank_get_the_loss_of_the_whole(tmp_path: Path) -> None:
    run_on_ranks(_on_ranks, tmp_path)
