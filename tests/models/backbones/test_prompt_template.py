import open_clip
import pytest
import torch

from cmdg_plugin.models.backbones.architecture import build_clip, find_model_config
from cmdg_plugin.models.backbones.prompt_template import TokenizedTemplate, check_template, tokenize_template
from cmdg_plugin.models.backbones.text_tower import TextTower


def test_gap_is_found_even_among_words_like_the_placeholder() -> None:
    clip = build_clip(find_model_config('cmdg-test-tiny'), None)
    tokenizer = open_clip.get_tokenizer('cmdg-test-tiny')
    prompt = tokenize_template(tokenizer, TextTower(clip).ends, 'X x {} x.', (2,))
    assert prompt.gaps == (slice(3, 5),)
    assert torch.equal(prompt.tokens, tokenizer(['X x X X x.'])[0, : len(prompt.tokens)])
    assert prompt.tokens[-1] == tokenizer.eot_token_id


def test_filling_replaces_the_gap_and_nothing_else() -> None:
    embeddings, context = torch.randn(5, 3), torch.randn(4, 2, 3)
    filled = TokenizedTemplate(torch.arange(5), (slice(1, 3),)).fill(embeddings, context)
    for prompt, vectors in zip(filled, context, strict=True):
        assert torch.equal(prompt, torch.stack([embeddings[0], *vectors, embeddings[3], embeddings[4]]))


def test_two_gaps_are_found_and_filled_apart() -> None:
    clip = build_clip(find_model_config('cmdg-test-tiny'), None)
    tokenizer = open_clip.get_tokenizer('cmdg-test-tiny')
    prompt = tokenize_template(tokenizer, TextTower(clip).ends, 'A {} person from {} dataset.', (3, 1))
    # Start token, A, three words, person, from, one word, dataset (two tokens), full stop, end token.
    assert prompt.gaps == (slice(2, 5), slice(7, 8))
    assert torch.equal(prompt.tokens, tokenizer(['A X X X person from X dataset.'])[0, :12])
    embeddings, first, second = torch.randn(12, 3), torch.randn(2, 3, 3), torch.randn(2, 1, 3)
    for filled, one, two in zip(prompt.fill(embeddings, first, second), first, second, strict=True):
        assert torch.equal(filled, torch.cat([embeddings[:2], one, embeddings[5:7], two, embeddings[8:]]))


@pytest.mark.parametrize('template', ['from {} to {}y.', 'from{} to {} .', '{}{}.'])
def test_each_gap_must_stand_alone(template: str) -> None:
    clip = build_clip(find_model_config('cmdg-test-tiny'), None)
    with pytest.raises(ValueError, match=r'A gap in .* must stand between'):
        tokenize_template(open_clip.get_tokenizer('cmdg-test-tiny'), TextTower(clip).ends, template, (2, 1))


@pytest.mark.parametrize('template', ['', 'A person.', '{} {}'])
def test_template_needs_one_gap(template: str) -> None:
    with pytest.raises(ValueError, match='exactly one'):
        check_template(template)
    with pytest.raises(ValueError, match=r'exactly two .* person from \{\} dataset'):
        check_template('A {} person.', num_gaps=2)
