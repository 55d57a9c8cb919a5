"""SigLIP's texts: a tokenizer in a folder, no start token, and a tower in which all tokens see each other."""

from pathlib import Path

import pytest
import torch
from helpers.small_clips import WORDS, write_tokenizer

from cmdg_plugin.models.backbones import TextAwareCLIP

IDS = {word: place for place, word in enumerate(('<unk>', '</s>', *WORDS))}


def ids(text: str, length: int = 16) -> list[int]:
    tokens = [IDS[word] for word in text.split()] + [IDS['</s>']]
    return tokens + [IDS['</s>']] * (length - len(tokens))


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_tokenizer(tmp_path_factory.mktemp('tokenizer')))


@pytest.fixture
def backbone(folder: str) -> TextAwareCLIP:
    torch.manual_seed(0)
    return TextAwareCLIP('cmdg-small-siglip', tokenizer=folder).eval()


def test_tokens_keep_their_padding_which_the_tower_sees(backbone: TextAwareCLIP) -> None:
    tokens, truncated = backbone.tokenize(['A man in the red coat.', 'shoes'])
    assert truncated == 0
    assert tokens.tolist() == [ids('a man in the red coat'), ids('shoes')]
    expected = backbone.clip.encode_text(tokens)
    torch.testing.assert_close(backbone.encode_text(tokens), expected, atol=1e-6, rtol=0)
    # Alone, the text comes out the same.
    torch.testing.assert_close(backbone.encode_text(tokens[1:]), expected[1:], atol=1e-6, rtol=0)
    with pytest.raises(ValueError, match='expected all 16 of each text'):
        backbone.encode_text(tokens[:, :7])


def test_long_texts_are_cut_and_counted(backbone: TextAwareCLIP) -> None:
    exact, longer = ' '.join(['red'] * 15), ' '.join(['red'] * 16)
    tokens, truncated = backbone.tokenize([exact, longer, 'red'])
    assert truncated == 1
    assert tokens[0].tolist() == tokens[1].tolist() == ids(exact)
    assert backbone.tokenize([exact])[1] == 0


def test_prompts_of_placeholder_embeddings_equal_the_sentence(backbone: TextAwareCLIP) -> None:
    word = backbone.clip.text.token_embedding.weight[IDS['x']]
    for template, count in [('A photo of a {} person.', 4), ('{} man', 1), ('a man in {}', 2)]:
        sentence = template.replace('{}', ' '.join(['X'] * count))
        expected = backbone.encode_text(backbone.tokenize([sentence])[0])
        prompts = backbone.encode_prompts(word.expand(2, count, -1), template)
        torch.testing.assert_close(prompts, expected.expand(2, -1), atol=1e-6, rtol=0)
    context = torch.randn(2, 4, 16, requires_grad=True)
    backbone.encode_prompts(context).square().sum().backward()
    assert (context.grad.abs().sum(dim=(1, 2)) > 0).all()
    with pytest.raises(ValueError, match=r'19 tokens.*takes 16'):
        backbone.encode_prompts(torch.zeros(1, 13, 16))


def test_last_text_blocks_train_where_asked(folder: str) -> None:
    backbone = TextAwareCLIP('cmdg-small-siglip', tokenizer=folder, text_finetune_layers=1).train()
    backbone.encode_text(backbone.tokenize(['a man'])[0]).square().sum().backward()
    found = {name.split('.')[2] for name, parameter in backbone.named_parameters() if parameter.grad is not None}
    assert found == {'transformer', 'ln_final', 'text_projection'}


def test_tokenizers_that_cannot_be_had_are_told_with_a_way_out(tmp_path: Path) -> None:
    backbone = TextAwareCLIP('cmdg-small-siglip', tokenizer='no/such')
    with pytest.raises(FileNotFoundError, match=r"should be in 'no/such': no such folder"):
        backbone.tokenize(['a'])
    with pytest.raises(ValueError, match="'cmdg-test-tiny' has open_clip's own tokenizer"):
        TextAwareCLIP('cmdg-test-tiny', tokenizer=str(tmp_path))
    backbone = TextAwareCLIP('cmdg-small-siglip')
    with pytest.raises(FileNotFoundError, match=r'(?s)no/such/tokenizer.*could not be read.*folder as `tokenizer`'):
        backbone.tokenize(['a'])
    # Images need none.
    assert backbone(torch.randn(1, 3, 48, 48))[0].shape == (1, 64)
