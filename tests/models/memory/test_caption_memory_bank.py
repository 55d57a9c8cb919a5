from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.ranks import run_on_ranks
from torch import Tensor

from cmdg_plugin.models.memory import CaptionMemoryBank


def loops(
    memory: torch.Tensor, filled: torch.Tensor, indices: torch.Tensor, parts: torch.Tensor, momentum: float
) -> None:
    """One update, sample by sample."""
    for j, index in enumerate(indices.tolist()):
        memory[index] = (1 - momentum) * memory[index] + momentum * parts[:, j] if filled[index] else parts[:, j]
        filled[index] = True


def norms(bank: CaptionMemoryBank) -> torch.Tensor:
    return bank.image.square().sum(dim=-1)


def test_six_steps_with_repeats_are_the_released_ones(golden: dict[str, Tensor]) -> None:
    bank = CaptionMemoryBank(40, 3, 24, momentum=float(golden['bank_momentum'])).double()
    for step in zip(golden['bank_index'], golden['bank_image_parts'], golden['bank_text_parts'], strict=True):
        bank.update(*step)
    torch.testing.assert_close(bank.image, golden['bank_image_expected'], rtol=1e-6, atol=1e-12)
    torch.testing.assert_close(bank.text, golden['bank_text_expected'], rtol=1e-6, atol=1e-12)
    assert torch.equal(bank.filled, golden['bank_filled_expected'])
    torch.testing.assert_close(bank.image_norms, norms(bank))


@pytest.mark.parametrize('momentum', [0.3, 1.0])
def test_matches_loops_with_many_repeats(momentum: float) -> None:
    bank = CaptionMemoryBank(5, 2, 3, momentum=momentum)
    image, filled = bank.image.clone(), bank.filled.clone()
    for _ in range(4):
        indices, parts = torch.randint(4, (12,)), torch.randn(2, 12, 3)
        loops(image, filled, indices, parts, momentum)
        bank.update(indices, parts, -parts)
        torch.testing.assert_close(bank.image, image)
        torch.testing.assert_close(bank.text, -image)
    assert bank.filled.tolist() == [True] * 4 + [False]
    assert bank.image[4].abs().sum() == 0


def test_two_runs_give_the_same_bits() -> None:
    def run() -> Any:
        torch.manual_seed(1)
        bank = CaptionMemoryBank(9, 3, 16)
        for _ in range(5):
            parts = torch.randn(3, 32, 16)
            bank.update(torch.randint(9, (32,)), parts, parts)
        return bank.image

    assert torch.equal(run(), run())


def test_an_entry_does_not_see_another_entrys_broken_feature() -> None:
    bank = CaptionMemoryBank(4, 1, 2)
    parts = torch.ones(1, 3, 2)
    parts[0, 1] = torch.nan
    bank.update(torch.tensor([0, 1, 2]), parts, parts)
    assert bank.image.isnan().any(dim=-1).flatten().tolist() == [False, True, False, False]


def test_half_precision_features_are_upcast_and_get_no_graph() -> None:
    bank = CaptionMemoryBank(4, 1, 2)
    parts = torch.randn(1, 2, 2).bfloat16().requires_grad_()
    bank.update(torch.tensor([1, 3]), parts, parts)
    assert bank.image.dtype == torch.float32
    assert not bank.image.requires_grad
    assert torch.equal(bank.image[[1, 3], 0], parts.detach()[0].float())


def test_fill_stores_and_the_last_of_repeated_rows_stays() -> None:
    bank = CaptionMemoryBank(5, 2, 3)
    bank.update(torch.tensor([0]), torch.ones(2, 1, 3), torch.ones(2, 1, 3))
    image, text = torch.randn(2, 3, 3), torch.randn(2, 3, 3)
    bank.fill(torch.tensor([0, 2, 0]), image, text)
    assert torch.equal(bank.image[0], image[:, 2])
    assert torch.equal(bank.text[2], text[:, 1])
    assert bank.filled.tolist() == [True, False, True, False, False]
    torch.testing.assert_close(bank.image_norms, norms(bank))


def test_checkpoint_holds_the_buffers_and_restores_the_norms() -> None:
    bank = CaptionMemoryBank(6, 3, 4)
    bank.fill(torch.arange(4), torch.randn(3, 4, 4), torch.randn(3, 4, 4))
    state = bank.state_dict()
    assert set(state) == {'image', 'text', 'filled'}
    other = CaptionMemoryBank(6, 3, 4)
    other.load_state_dict(state)
    assert torch.equal(other.image, bank.image)
    assert torch.equal(other.filled, bank.filled)
    torch.testing.assert_close(other.image_norms, norms(bank))
    torch.testing.assert_close(other.text_norms, bank.text.norm(dim=-1))


def test_text_norms_follow_the_captions() -> None:
    bank = CaptionMemoryBank(5, 2, 3)
    bank.fill(torch.arange(4), torch.randn(2, 4, 3), torch.randn(2, 4, 3))
    torch.testing.assert_close(bank.text_norms, bank.text.norm(dim=-1))
    bank.update(torch.tensor([1, 1, 4]), torch.randn(2, 3, 3), torch.randn(2, 3, 3))
    torch.testing.assert_close(bank.text_norms, bank.text.norm(dim=-1))
    bank.set_text(torch.randn(5, 2, 3))
    torch.testing.assert_close(bank.text_norms, bank.text.norm(dim=-1))
    torch.testing.assert_close(bank.rows_to_search().text_norms, bank.text_norms)


def test_norms_stay_exact_in_a_half_precision_bank() -> None:
    bank = CaptionMemoryBank(3, 1, 512)
    bank.fill(torch.arange(3), torch.randn(1, 3, 512), torch.randn(1, 3, 512))
    bank.bfloat16()
    assert bank.image_norms.dtype == torch.float32
    torch.testing.assert_close(bank.image_norms, bank.image.float().square().sum(dim=-1))


def test_checkpoint_of_another_size_names_both_counts() -> None:
    saved = CaptionMemoryBank(1536, 3, 4)
    saved.update(torch.tensor([5]), torch.ones(3, 1, 4), torch.ones(3, 1, 4))
    state = {f'bank.{name}': value for name, value in saved.state_dict().items()}
    model = torch.nn.ModuleDict({'bank': CaptionMemoryBank(2048, 3, 4)})
    with pytest.raises(ValueError, match='holds 1,536 training images, this run has 2,048'):
        model.load_state_dict(state)
    with pytest.raises(ValueError, match=r'\(3, 4\), this run \(3, 8\)'):
        CaptionMemoryBank(1536, 3, 8).load_state_dict(saved.state_dict())


@pytest.mark.parametrize('method', ['update', 'fill'])
def test_bad_input_is_named(method: str) -> None:
    call = getattr(CaptionMemoryBank(4, 3, 2), method)
    good = torch.zeros(3, 2, 2)
    with pytest.raises(IndexError, match=r'indices must lie in 0..3 \(there are 4 training images in the bank\)'):
        call(torch.tensor([0, 4]), good, good)
    with pytest.raises(ValueError, match='image_parts must have shape'):
        call(torch.tensor([0, 1]), torch.zeros(2, 2, 2), good)
    with pytest.raises(ValueError, match='text_parts must have shape'):
        call(torch.tensor([0, 1]), good, torch.zeros(3, 1, 2))
    with pytest.raises(ValueError, match='indices is empty'):
        call(torch.zeros(0, dtype=torch.long), torch.zeros(3, 0, 2), torch.zeros(3, 0, 2))


@pytest.mark.parametrize('options', [dict(num_samples=0), dict(momentum=0.0), dict(momentum=1.5), dict(dim=0)])
def test_bad_configuration_is_refused(options: dict) -> None:
    with pytest.raises(ValueError, match=f'{next(iter(options))} must'):
        CaptionMemoryBank(**(dict(num_samples=4, num_parts=3, dim=2) | options))


def test_an_empty_bank_takes_no_room_in_a_checkpoint_and_empties_the_one_that_loads_it() -> None:
    bank, other = CaptionMemoryBank(6, 2, 3), CaptionMemoryBank(6, 2, 3)
    other.fill(torch.arange(6), torch.ones(2, 6, 3), torch.ones(2, 6, 3))
    assert list(bank.state_dict()) == ['filled']
    other.load_state_dict(bank.state_dict())
    assert not other.filled.any()
    assert other.image.abs().sum() == other.text.abs().sum() == other.image_norms.sum() == 0


def test_captions_may_be_kept_in_half_and_out_of_checkpoints() -> None:
    bank = CaptionMemoryBank(4, 1, 2, text_dtype='float16', save_text=False)
    text = torch.randn(4, 1, 2)
    bank.set_text(text)
    bank.update(torch.tensor([1, 2]), torch.ones(1, 2, 2))
    assert torch.equal(bank.text, text.half())
    assert set(bank.state_dict()) == {'image', 'filled'}
    empty = CaptionMemoryBank(4, 1, 2, save_text=False)
    empty.load_state_dict(empty.state_dict())
    bank.load_state_dict({**empty.state_dict(), 'text': text})
    assert torch.equal(bank.text, text.half())
    with pytest.raises(ValueError, match=r"text_dtype must be one of .*'int8'"):
        CaptionMemoryBank(4, 1, 2, text_dtype='int8')
    with pytest.raises(ValueError, match='text_parts must have shape'):
        bank.set_text(text[:3])


def _on_ranks(rank: int, ranks: int, folder: Path) -> None:
    from cmdg_plugin.models.memory import CaptionMemoryBank

    torch.manual_seed(0)
    whole, shard = CaptionMemoryBank(7, 2, 3), CaptionMemoryBank(7, 2, 3, sharded=True)
    assert len(shard.image) == 3 + rank
    assert len(whole.image) == 7
    for bank in (whole, shard):
        assert bank.rows_to_search().first_row == (0, 3)[rank]
    for step in range(4):
        # The first step touches rows of the first rank alone.
        indices, parts = torch.randint(3 if step == 0 else 7, (5,)), torch.randn(2, 5, 3)
        for bank in (whole, shard):
            (bank.fill if step == 2 else bank.update)(indices, parts, -parts)
    rows = shard.held
    for name in ('image', 'text', 'filled', 'image_norms', 'text_norms'):
        assert torch.equal(getattr(shard, name), getattr(whole, name)[rows]), name
    assert torch.equal(shard.rows_to_search().image, whole.rows_to_search().image)
    assert not shard.state_dict()
    # Before bridging a whole bank is empty, and a sharded run may go on from its checkpoint.
    shard.load_state_dict(CaptionMemoryBank(7, 2, 3).state_dict())
    assert torch.equal(shard.image, whole.image[rows])


def test_a_sharded_bank_holds_its_rows_of_the_whole_one(tmp_path: Path) -> None:
    run_on_ranks(_on_ranks, tmp_path)
