import pytest
import torch

from cmdg_plugin.models.backbones.architecture import build_clip, find_model_config
from cmdg_plugin.models.backbones.text_tower import TextTower

TOKENS = torch.tensor([[3, 9, 7, 0], [3, 7, 0, 0]])


@pytest.fixture(params=['cmdg-test-tiny', 'cmdg-test-custom'])
def tower(request: pytest.FixtureRequest) -> TextTower:
    torch.manual_seed(0)
    return TextTower(build_clip(find_model_config(request.param), None).eval())


def test_end_is_the_highest_token_or_the_named_one(tower: TextTower) -> None:
    assert tower.ends(TOKENS).tolist() == [1, 1]
    tower.pool_type, tower.end = 'eos', 7
    assert tower.ends(TOKENS).tolist() == [2, 1]


def test_tokens_behind_the_end_change_nothing(tower: TextTower) -> None:
    embeddings = torch.randn(2, 20, 16)
    ends = torch.tensor([4, 2])
    whole = tower.encode(embeddings, ends)
    torch.testing.assert_close(tower.encode(embeddings[:, :5], ends), whole, atol=1e-6, rtol=0)
    embeddings[0, 5:] = 9
    torch.testing.assert_close(tower.encode(embeddings, ends), whole, atol=1e-6, rtol=0)
    embeddings[1, 2] = 9
    assert not torch.allclose(tower.encode(embeddings, ends)[1], whole[1], atol=1e-3)


def test_a_tower_without_projection_returns_its_width(tower: TextTower) -> None:
    tower.pieces.text_projection = None
    assert tower.encode(torch.randn(2, 5, 16), torch.tensor([4, 2])).shape == (2, 16)
    tower.set_trainable(1)
    assert not tower.pieces.positional_embedding.requires_grad
