import open_clip.model
import pytest
import torch

from cmdg_plugin.models.backbones.position_embedding import find_source_grid, resize_position_embedding


def _ramp(rows: int, columns: int) -> torch.Tensor:
    """Embeddings of two numbers: the patch center's height and place across, from 0 to 1."""
    y = (torch.arange(rows) + 0.5) / rows
    x = (torch.arange(columns) + 0.5) / columns
    patches = torch.stack(torch.meshgrid(y, x, indexing='ij'), dim=-1).reshape(-1, 2)
    return torch.cat([torch.tensor([[7.0, -7.0]]), patches])


@pytest.mark.parametrize(
    ('source', 'target'),
    [((12, 6), (24, 12)), ((24, 12), (12, 6)), ((12, 3), (6, 6)), ((6, 6), (12, 3)), ((14, 14), (16, 8))],
    ids=['grow', 'shrink', 'tall to square', 'square to tall', 'official to 256x128'],
)
def test_a_ramp_stays_a_ramp(source: tuple[int, int], target: tuple[int, int]) -> None:
    resized = resize_position_embedding(_ramp(*source), source, target)
    assert resized.shape == (1 + target[0] * target[1], 2)
    assert torch.equal(resized[0], torch.tensor([7.0, -7.0]))
    inner = resized[1:].reshape(*target, 2)[1:-1, 1:-1]
    expected = _ramp(*target)[1:].reshape(*target, 2)[1:-1, 1:-1]
    # Bicubic weights reproduce a ramp but for the borders, which an antialiased window reaches further into.
    torch.testing.assert_close(inner, expected, atol=0.03, rtol=0)


@pytest.mark.parametrize('target', [(4, 8), (9, 5), (3, 3)])
def test_square_sources_give_what_open_clip_gives(target: tuple[int, int]) -> None:
    embedding = torch.randn(1 + 36, 5)
    visual = torch.nn.Module()
    setattr(visual, 'grid_size', target)  # noqa: B010
    model = torch.nn.Module()
    model.visual = visual
    state = {'visual.positional_embedding': embedding}
    open_clip.model.resize_pos_embed(state, model)
    torch.testing.assert_close(
        resize_position_embedding(embedding, (6, 6), target), state['visual.positional_embedding']
    )


def test_same_grid_is_left_alone_and_half_precision_stays() -> None:
    embedding = torch.randn(1 + 18, 4).half()
    assert resize_position_embedding(embedding, (6, 3), (6, 3)) is embedding
    assert resize_position_embedding(embedding, (6, 3), (3, 6)).dtype == torch.float16


def test_source_grid_is_native_then_square_then_target() -> None:
    assert find_source_grid(36, (12, 3), (6, 6)) == (12, 3)
    assert find_source_grid(36, (5, 5), (12, 3)) == (6, 6)
    assert find_source_grid(128, (14, 14), (16, 8)) == (16, 8)
    with pytest.raises(ValueError, match=r'50 patches.*14x14.*16x8'):
        find_source_grid(50, (14, 14), (16, 8))
