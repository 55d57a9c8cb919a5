import pytest
import torch
from open_clip.model import CLIP

from cmdg_plugin.models.backbones.architecture import build_clip, find_model_config
from cmdg_plugin.models.backbones.text_tower import encode_embeddings, end_positions, set_text_trainable, text_module

TOKENS = torch.tensor([[3, 9, 7, 0], [3, 7, 0, 0]])


@pytest.fixture(params=['cmdg-test-tiny', 'cmdg-test-custom'])
def clip(request: pytest.FixtureRequest) -> CLIP:
    torch.manual_seed(0)
    return build_clip(find_model_config(request.param), None).eval()


def test_end_is_the_highest_token_or_the_named_one(clip: CLIP) -> None:
    assert end_positions(clip, TOKENS).tolist() == [1, 1]
    prefix = '' if hasattr(clip, 'text') else 'text_'
    setattr(text_module(clip), f'{prefix}pool_type', 'eos')
    setattr(text_module(clip), f'{prefix}eos_id', 7)
    assert end_positions(clip, TOKENS).tolist() == [2, 1]


def test_tokens_behind_the_end_change_nothing(clip: CLIP) -> None:
    embeddings = torch.randn(2, 20, 16)
    ends = torch.tensor([4, 2])
    whole = encode_embeddings(clip, embeddings, ends)
    torch.testing.assert_close(encode_embeddings(clip, embeddings[:, :5], ends), whole, atol=1e-6, rtol=0)
    embeddings[0, 5:] = 9
    torch.testing.assert_close(encode_embeddings(clip, embeddings, ends), whole, atol=1e-6, rtol=0)
    embeddings[1, 2] = 9
    assert not torch.allclose(encode_embeddings(clip, embeddings, ends)[1], whole[1], atol=1e-3)


def test_a_tower_without_projection_returns_its_width(clip: CLIP) -> None:
    text_module(clip).text_projection = None
    assert encode_embeddings(clip, torch.randn(2, 5, 16), torch.tensor([4, 2])).shape == (2, 16)
    set_text_trainable(clip, 1)
    assert not text_module(clip).positional_embedding.requires_grad
