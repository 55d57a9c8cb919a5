import pytest
import torch

from cmdg_plugin.models.prompts import IdentityPrompt
from cmdg_plugin.registry import MODELS


def test_starts_from_the_stated_distribution() -> None:
    torch.manual_seed(0)
    context = MODELS.build({'type': 'IdentityPrompt', 'num_identities': 200, 'text_width': 64}).context
    assert context.shape == (200, 4, 64)
    assert context.requires_grad
    assert context.std().item() == pytest.approx(0.02, rel=0.02)
    assert abs(context.mean().item()) < 5e-4


def test_looks_identities_up_and_sends_gradients_only_there() -> None:
    prompt = IdentityPrompt(5, 8, num_context=2)
    chosen = prompt(torch.tensor([3, 1, 3]))
    assert torch.equal(chosen, torch.stack([prompt.context[3], prompt.context[1], prompt.context[3]]))
    chosen.sum().backward()
    assert prompt.context.grad[:, 0, 0].tolist() == [0, 1, 0, 2, 0]


@pytest.mark.parametrize('wrong', [(0, 8, 4), (5, 0, 4), (5, 8, 0)])
def test_empty_prompts_are_refused(wrong: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match='at least one'):
        IdentityPrompt(*wrong)


def test_wrong_template_and_labels_are_refused() -> None:
    with pytest.raises(ValueError, match='exactly one'):
        IdentityPrompt(5, 8, template='A photo of a person.')
    with pytest.raises(TypeError, match=r'int64, got torch\.float32'):
        IdentityPrompt(5, 8)(torch.zeros(2))


def test_checkpoint_of_other_identities_names_both_counts() -> None:
    prompt = IdentityPrompt(192, 8)
    prompt.load_state_dict(IdentityPrompt(192, 8).state_dict())
    with pytest.raises(ValueError, match=r'trained on 200 identities.*this data has 192'):
        prompt.load_state_dict(IdentityPrompt(200, 8).state_dict())


DOMAIN_TEMPLATE = 'A photo of a {} person from {} dataset.'


def test_domains_learn_from_their_sentences_and_identities_do_not() -> None:
    prompt = IdentityPrompt(5, 8, num_domains=3, num_domain_context=2, domain_template=DOMAIN_TEMPLATE)
    assert prompt.domain_context.shape == (3, 2, 8)
    people, places = prompt.in_domain(torch.tensor([4, 0]), torch.tensor([2, 2]))
    assert torch.equal(people, prompt.context[[4, 0]])
    (people.sum() + places.sum()).backward()
    assert prompt.context.grad is None
    assert prompt.domain_context.grad[:, 0, 0].tolist() == [0, 0, 2]


def test_domain_vectors_exist_only_where_a_template_asks_for_them() -> None:
    assert list(IdentityPrompt(5, 8, num_domains=3).state_dict()) == ['context']
    with pytest.raises(ValueError, match='exactly two'):
        IdentityPrompt(5, 8, domain_template='A photo of a {} person.')
    prompt = IdentityPrompt(5, 8, num_domains=3, domain_template=DOMAIN_TEMPLATE)
    with pytest.raises(ValueError, match=r'trained on 4 domains .*this data has 3'):
        prompt.load_state_dict(IdentityPrompt(5, 8, num_domains=4, domain_template=DOMAIN_TEMPLATE).state_dict())
