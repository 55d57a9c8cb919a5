import pytest
import torch

from cmdg_plugin.models.losses.base import BASE_MEMBERS, LossTerm


def test_a_term_that_says_nothing_has_the_defaults() -> None:
    class Plain(LossTerm):
        def forward(self, feature: torch.Tensor) -> torch.Tensor:
            return feature.sum()

    term = Plain()
    assert (term.has_loss, term.needed_by, term.reads_bank_captions, term.start_epoch) == (True, {}, False, 0)
    assert term(torch.ones(3)) == 3
    assert list(term.parameters()) == []
    assert all(hasattr(LossTerm, member) for member in BASE_MEMBERS)


def test_a_term_without_forward_is_named() -> None:
    class Empty(LossTerm):
        pass

    with pytest.raises(NotImplementedError, match=r'Empty has no forward\.'):
        Empty()(1)
