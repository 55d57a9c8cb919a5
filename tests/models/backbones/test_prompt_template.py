import open_clip
import pytest
import torch

from cmdg_plugin.models.backbones.architecture import build_clip, find_model_config
from cmdg_plugin.models.backbones.prompt_template import TokenizedTemplate, check_template, tokenize_template


def test_gap_is_found_even_among_words_like_the_placeholder():
    clip = build_clip(find_model_config('cmdg-test-tiny'), None)
    tokenizer = open_clip.get_tokenizer('cmdg-test-tiny')
    prompt = tokenize_template(clip, tokenizer, 'X x {} x.', 2)
    assert (prompt.start, prompt.num_context) == (3, 2)
    assert torch.equal(prompt.tokens, tokenizer(['X x X X x.'])[0, : len(prompt.tokens)])
    assert prompt.tokens[-1] == tokenizer.eot_token_id


def test_filling_replaces_the_gap_and_nothing_else():
    embeddings, context = torch.randn(5, 3), torch.randn(4, 2, 3)
    filled = TokenizedTemplate(torch.arange(5), start=1, num_context=2).fill(embeddings, context)
    for prompt, vectors in zip(filled, context, strict=True):
        assert torch.equal(prompt, torch.stack([embeddings[0], *vectors, embeddings[3], embeddings[4]]))


@pytest.mark.parametrize('template', ['', 'A person.', '{} {}'])
def test_template_needs_one_gap(template):
    with pytest.raises(ValueError, match='exactly one'):
        check_template(template)
