"""k-reciprocal re-ranking against torchreid's function, which is its authors'."""

import warnings

import numpy as np
import pytest
import torch

from cmdg_plugin.evaluation import Reranking, rank_distances, rank_reranked, rank_retrieval, rerank_distances
from cmdg_plugin.evaluation import reranking as module


def make_features(
    num_queries: int, num_gallery: int, seed: int = 0
) -> tuple[tuple[torch.Tensor, torch.Tensor], np.ndarray]:
    """Unit features around twelve identities, with these."""
    generator = torch.Generator().manual_seed(seed)
    identities = torch.randint(12, (num_queries + num_gallery,), generator=generator)
    features = torch.randn(12, 16, generator=generator)[identities]
    features = features + 0.8 * torch.randn(len(identities), 16, generator=generator)
    return torch.nn.functional.normalize(features, dim=1).split([num_queries, num_gallery]), identities.numpy()


def torchreid_oracle(query: torch.Tensor, gallery: torch.Tensor, settings: Reranking) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        rerank = pytest.importorskip('torchreid.reid.utils.rerank')
    pairs = ((query, gallery), (query, query), (gallery, gallery))
    # The function squares the distances that it gets.
    distances = [torch.cdist(a.double(), b.double()).numpy() ** (settings.power / 2) for a, b in pairs]
    return rerank.re_ranking(*distances, settings.k1, settings.k2, settings.lambda_value)


@pytest.mark.parametrize(
    ('sizes', 'settings'),
    [
        ((40, 160), Reranking()),
        ((40, 160), Reranking(power=4)),
        ((40, 160), Reranking(k1=7, k2=1, lambda_value=0.0)),
        ((30, 100), Reranking(k1=3, k2=9)),
        ((40, 160), Reranking(k1=10, lambda_value=1.0)),
        ((5, 9), Reranking()),  # fewer images than neighbors
    ],
)
def test_same_distances_as_torchreid(sizes: tuple[int, int], settings: Reranking) -> None:
    (query, gallery), _ = make_features(*sizes)
    expected = torchreid_oracle(query, gallery, settings)
    found = rerank_distances(query, gallery.numpy(), settings, device='cpu')
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert expected.std() > 0.05


def test_torchreids_engine_squares_twice() -> None:
    warnings.simplefilter('ignore')
    rerank = pytest.importorskip('torchreid.reid.utils.rerank').re_ranking
    from torchreid.reid.metrics import compute_distance_matrix

    (query, gallery), _ = make_features(20, 60)
    pairs = ((query, gallery), (query, query), (gallery, gallery))
    expected = rerank(*(compute_distance_matrix(*pair, 'euclidean').numpy() for pair in pairs))
    np.testing.assert_allclose(rerank_distances(query, gallery, Reranking(power=4)), expected, atol=1e-5)
    assert np.abs(rerank_distances(query, gallery) - expected).max() > 0.01


@pytest.mark.parametrize('chunk_size', [None, 7, 1000])
def test_scores_are_those_of_the_distances(chunk_size: int | None) -> None:
    (query, gallery), identities = make_features(40, 160)
    rng = np.random.default_rng(0)
    labels = identities[:40], identities[40:], rng.integers(0, 3, 40), rng.integers(0, 3, 160)
    result = rank_reranked(query, gallery, *labels, chunk_size=chunk_size, max_rank=10)
    expected = rank_distances(rerank_distances(query, gallery), *labels, max_rank=10)
    assert result.mAP == pytest.approx(expected.mAP, abs=1e-12)
    np.testing.assert_array_equal(result.cmc, expected.cmc)
    # What it is for: identities that form clusters are found better.
    assert result.mAP > rank_retrieval(query, gallery, *labels).mAP + 0.02


def test_the_matrix_is_made_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    (query, gallery), _ = make_features(10, 30)
    expected = rerank_distances(query, gallery)
    monkeypatch.setattr(module, 'choose_chunk_size', lambda *sizes: 3)
    np.testing.assert_allclose(rerank_distances(query, gallery), expected, atol=1e-6)


def test_images_that_are_all_the_same() -> None:
    distance = rerank_distances(torch.ones(3, 4), torch.ones(30, 4), Reranking(k1=5))
    assert np.isfinite(distance).all()


def test_bad_input_is_refused() -> None:
    query, gallery = torch.randn(3, 4), torch.randn(5, 4)
    for settings in ({'k1': 0}, {'k2': -1}, {'k1': 2.5}, {'lambda_value': 1.5}, {'power': 0}):
        with pytest.raises(ValueError, match=f'{next(iter(settings))} must'):
            Reranking(**settings)
    with pytest.raises(ValueError, match='Query features have 4 dimensions, gallery features 3'):
        rerank_distances(query, gallery[:, :3])
    gallery[2, 1] = torch.nan
    with pytest.raises(ValueError, match=r'gallery_features: 1 of 5 rows .* row 2'):
        rerank_distances(query, gallery)
    with pytest.raises(ValueError, match='None of the 3 queries has a valid match'):
        rank_reranked(query, query, [1] * 3, [2] * 3, [0] * 3, [1] * 3)
