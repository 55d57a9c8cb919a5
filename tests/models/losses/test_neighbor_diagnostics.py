import pytest
import torch
from helpers.banks import make_bank

from cmdg_plugin.models.losses import NeighborDiagnostics, describe_neighbors

# Rows 0-3 are of domain 0, rows 4-7 of domain 1; two images an identity.
BANK = dict(bank_labels=torch.arange(8) // 2, bank_domains=torch.arange(8) // 4)
SAMPLES = dict(labels=torch.tensor([0, 3]), domains=torch.tensor([0, 1]))
# Two parts: sample 0 sees itself again (row 1), its domain (2) and the other (4, 5); sample 1 its domain only.
NEIGHBORS = torch.tensor([[[1, 2], [7, 4]], [[1, 5], [5, 7]]])


def test_shares_counted_by_hand() -> None:
    text = torch.tensor([[4, 5, 6], [0, 1, -1]])
    shares = describe_neighbors(NEIGHBORS, **SAMPLES, **BANK, text_neighbors=text)
    assert {key: float(value) for key, value in shares.items()} == pytest.approx(
        {
            'visual_same_identity': 4 / 8,
            'visual_cross_domain': 1 / 8,
            'text_same_identity': 0,
            'text_cross_domain': 1,
            'agreement': 1 / 5,
        }
    )


def test_wrong_text_neighbors_show() -> None:
    shares = describe_neighbors(NEIGHBORS, **SAMPLES, **BANK, text_neighbors=torch.tensor([[1, 4], [0, 2]]))
    assert float(shares['text_same_identity']) == pytest.approx(1 / 4)
    assert float(shares['text_cross_domain']) == pytest.approx(3 / 4)


def test_visual_neighbors_alone_before_there_are_others() -> None:
    bank = make_bank(labels=BANK['bank_labels'], domains=BANK['bank_domains'])
    assert set(NeighborDiagnostics()(NEIGHBORS, **SAMPLES, bank=bank)) == {
        'visual_same_identity',
        'visual_cross_domain',
    }
