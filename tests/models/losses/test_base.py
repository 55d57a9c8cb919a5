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


def test_every_member_of_the_base_gives_a_module_away_and_none_of_torchs() -> None:
    expected = {'has_loss', 'needed_by', 'reads_bank_captions', 'identity_source', 'renamed_inputs', 'start_epoch'}
    assert {*BASE_MEMBERS} == expected | {'bind_data', 'bind_backbone', 'check_data', 'begin'}
    assert not any(hasattr(torch.nn.Linear(2, 1), member) for member in BASE_MEMBERS)
