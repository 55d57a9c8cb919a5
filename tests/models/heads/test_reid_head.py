import pytest
import torch

from cmdg_plugin.models.heads import ReIDHead
from cmdg_plugin.registry import MODELS


def test_equals_a_hand_written_neck_and_classifier() -> None:
    torch.manual_seed(0)
    head = MODELS.build({'type': 'ReIDHead', 'num_identities': 6, 'width': 5, 'embed_dim': 3}).train()
    features = torch.randn(8, 5), torch.randn(8, 3)
    logits = head(*features)
    for feature, logit, classifier in zip(
        features, logits, (head.classifier_width, head.classifier_shared), strict=True
    ):
        normed = (feature - feature.mean(0)) / (feature.var(0, unbiased=False) + 1e-5).sqrt()
        torch.testing.assert_close(logit, normed @ classifier.weight.T)


def test_starts_from_the_stated_distribution_and_freezes_the_neck_bias() -> None:
    torch.manual_seed(0)
    head = ReIDHead(100, 64, 32)
    frozen = {name for name, parameter in head.named_parameters() if not parameter.requires_grad}
    assert frozen == {'neck_width.bias', 'neck_shared.bias'}
    assert head.classifier_width.bias is None
    assert head.classifier_width.weight.std().item() == pytest.approx(0.001, rel=0.05)
    assert head.classifier_shared.weight.std().item() == pytest.approx(0.001, rel=0.05)
    assert torch.equal(head.neck_width.weight, torch.ones(64))
    assert not head.neck_width.bias.any()


def test_init_weights_leaves_them() -> None:
    head = ReIDHead(10, 8, 4)
    before = {name: value.clone() for name, value in head.state_dict().items()}
    head.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in head.state_dict().items())


@pytest.mark.parametrize('count', [0, 1])
def test_too_few_identities_are_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f'at least 2.*has {count}'):
        ReIDHead(count, 8, 4)


def test_a_batch_of_one_is_refused_only_while_training() -> None:
    head = ReIDHead(4, 8, 4)
    with pytest.raises(ValueError, match='batch of 1'):
        head(torch.randn(1, 8), torch.randn(1, 4))
    assert head.eval()(torch.randn(1, 8), torch.randn(1, 4))[0].shape == (1, 4)


def test_checkpoint_of_other_identities_names_both_counts() -> None:
    model = torch.nn.ModuleDict({'head': ReIDHead(192, 8, 4)})
    model.load_state_dict(torch.nn.ModuleDict({'head': ReIDHead(192, 8, 4)}).state_dict())
    with pytest.raises(ValueError, match=r'200 identities.*head\.classifier_width\.weight.*has 192'):
        model.load_state_dict(torch.nn.ModuleDict({'head': ReIDHead(200, 8, 4)}).state_dict())
