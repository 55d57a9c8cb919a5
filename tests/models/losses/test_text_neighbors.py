from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers.banks import make_bank
from helpers.ranks import run_on_ranks

import cmdg_plugin.models.losses.text_neighbors as module
from cmdg_plugin.models.losses import TextNeighborSearch, find_text_neighbors
from cmdg_plugin.models.training_images import DataSizes


def plain(
    captions: torch.Tensor,
    bank_text: torch.Tensor,
    domains: torch.Tensor,
    bank_domains: torch.Tensor,
    k: int,
    valid: torch.Tensor | None = None,
) -> torch.Tensor:
    """Loops over samples, entries and parts, with a full sort."""
    found = []
    for b in range(captions.shape[1]):
        similarity = []
        for n in range(len(bank_text)):
            cosines = [
                float(captions[p, b] @ bank_text[n, p] / (captions[p, b].norm() * bank_text[n, p].norm()))
                for p in range(len(captions))
            ]
            other = domains[b] != bank_domains[n] and (valid is None or bool(valid[n]))
            similarity.append(sum(cosines) / len(cosines) if other else -torch.inf)
        found.append(sorted(range(len(bank_text)), key=lambda n: -similarity[n])[:k])
    return torch.tensor(found)


def problem(
    entries: int = 40, batch: int = 6, dim: int = 8, parts: int = 3, num_domains: int = 3
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    captions = torch.randn(parts, batch, dim, dtype=torch.float64)
    bank_text = torch.randn(entries, parts, dim, dtype=torch.float64) * torch.rand(entries, 1, 1) * 5
    return captions, bank_text, torch.randint(num_domains, (batch,)), torch.arange(entries) % num_domains


@pytest.mark.parametrize('held', [1 << 24, 6 * 7])
@pytest.mark.parametrize('with_norms', [False, True])
def test_finds_what_loops_find_in_chunks_too(monkeypatch: pytest.MonkeyPatch, held: int, with_norms: bool) -> None:
    monkeypatch.setattr(module, '_SCORES_HELD_CPU', held)
    captions, bank_text, domains, bank_domains = problem()
    valid = torch.rand(40) < 0.7
    norms = bank_text.norm(dim=-1) if with_norms else None
    for mask in (None, valid):
        found = find_text_neighbors(
            captions, bank_text, domains, bank_domains, num_neighbors=5, valid=mask, text_norms=norms
        )
        assert torch.equal(found, plain(captions, bank_text, domains, bank_domains, 5, mask))
        assert not (bank_domains[found] == domains[:, None]).any()


def test_lengths_of_features_do_not_matter() -> None:
    captions, bank_text, domains, bank_domains = problem()
    scale = torch.rand(40, 3, 1, dtype=torch.float64) + 0.1
    arguments = dict(domains=domains, bank_domains=bank_domains, num_neighbors=4)
    found = find_text_neighbors(captions, bank_text, **arguments)
    assert torch.equal(found, find_text_neighbors(captions * 3, bank_text * scale, **arguments))


def test_memory_in_half_precision() -> None:
    captions, bank_text, domains, bank_domains = problem()
    found = find_text_neighbors(captions.float(), bank_text.half(), domains, bank_domains, num_neighbors=1)
    assert torch.equal(found, plain(captions, bank_text.half().double(), domains, bank_domains, 1))


def test_too_few_entries_of_other_domains_is_an_error() -> None:
    captions, bank_text, _, _ = problem()
    one = torch.zeros(40, dtype=torch.long)
    with pytest.raises(ValueError, match=r'only 0 .* of other domains; train on two or more sources'):
        find_text_neighbors(captions, bank_text, one[:6], one, num_neighbors=2)
    for number in (0, 2.5):
        with pytest.raises(ValueError, match='num_neighbors must be'):
            find_text_neighbors(captions, bank_text, one[:6], one, num_neighbors=number)
    with pytest.raises(ValueError, match='valid must be bool'):
        find_text_neighbors(captions, bank_text, one[:6], one, num_neighbors=1, valid=torch.ones(1, dtype=torch.bool))
    with pytest.raises(ValueError, match='bank_domains must have shape'):
        find_text_neighbors(captions, bank_text, one[:6], one[:3], num_neighbors=1)


def test_search_begins_with_its_epoch() -> None:
    captions, bank_text, domains, bank_domains = problem()
    regions = torch.cat([captions, torch.randn(1, 6, 8, dtype=torch.float64)])
    search = TextNeighborSearch(num_neighbors=3, start_epoch=2)
    bank = make_bank(text=bank_text, domains=bank_domains)
    assert search(regions, bank, domains, epoch=1) == (None,)
    (found,) = search(regions, bank, domains, epoch=2)
    assert torch.equal(found, plain(captions, bank_text, domains, bank_domains, 3))
    with pytest.raises(ValueError, match='start_epoch must be'):
        TextNeighborSearch(start_epoch=-1)


def test_too_little_data_shows_before_training() -> None:
    search = TextNeighborSearch(num_neighbors=3)
    sizes = DataSizes(8, 2, 20, 3, 8, 16, 8)
    search.check_data(sizes)
    with pytest.raises(ValueError, match='only 0 images of other sources; train on two or more sources'):
        search.check_data(replace(sizes, num_elsewhere=0))


def _on_ranks(rank: int, ranks: int, folder: Path) -> None:
    from helpers.banks import make_bank

    from cmdg_plugin.models.losses import TextNeighborSearch, find_text_neighbors
    from cmdg_plugin.models.memory import own_rows

    torch.manual_seed(0)
    captions, text = torch.randn(3, 4, 8), torch.randn(11, 3, 8)
    domains, bank_domains = torch.tensor([0, 1, 2, 0]), torch.arange(11) % 3
    rows = own_rows(11)
    whole = find_text_neighbors(captions, text, domains, bank_domains, num_neighbors=4)
    bank = make_bank(text=text[rows], domains=bank_domains, first_row=rows.start)
    (found,) = TextNeighborSearch(4)(captions, bank, domains, epoch=0)
    assert torch.equal(found, whole), (found, whole)
    # More than there are in other domains: seven for a sample of domain 0 or 1, eight for one of domain 2.
    (found,) = TextNeighborSearch(8)(captions, bank, domains, epoch=0)
    assert (found < 0).sum(dim=1).tolist() == [1, 1, 0, 1]
    # Rows of one process that do not say where they begin would be taken for the whole bank.
    with pytest.raises(TypeError, match='a bare tensor does not say where its rows begin'):
        TextNeighborSearch(4)(captions, text[rows], domains, epoch=0)


def test_ranks_find_together_what_one_process_finds(tmp_path: Path) -> None:
    run_on_ranks(_on_ranks, tmp_path)


def test_a_broken_caption_does_not_stop_the_search_of_the_others() -> None:
    captions, bank_text, domains, bank_domains = problem()
    captions[0, 0] = float('nan')
    found = find_text_neighbors(captions, bank_text, domains, bank_domains, num_neighbors=3)
    expected = plain(captions[:, 1:], bank_text, domains[1:], bank_domains, 3)
    assert torch.equal(found[1:], expected)
