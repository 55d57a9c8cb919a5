import numpy as np
import pytest

from cmdg_plugin.gallery.exact_scan import scan
from cmdg_plugin.gallery.scoring import Query, join_for_products, join_query, shared_scale, similarities


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def vectors() -> np.ndarray:
    return unit(np.random.default_rng(0).standard_normal((50, 12)))


@pytest.mark.parametrize('kind', ['image', 'text', 'both'])
def test_similarities_against_cosines_by_hand(vectors: np.ndarray, kind: str) -> None:
    rng = np.random.default_rng(1)
    image = unit(rng.standard_normal(12)) if kind != 'text' else None
    text = unit(rng.standard_normal(5)) if kind != 'image' else None
    query = Query(image, text, text_weight=0.3)
    expected = np.zeros(50)
    for row, vector in enumerate(vectors.astype(np.float64)):
        of_image = 0 if image is None else vector @ image
        of_text = 0 if text is None else vector[7:] @ text / np.linalg.norm(vector[7:])
        expected[row] = {'image': of_image, 'text': of_text, 'both': 0.7 * of_image + 0.3 * of_text}[kind]
    assert similarities(query, vectors, shared_scale(vectors, 5)) == pytest.approx(expected, abs=1e-6)
    assert join_for_products(vectors, 5) @ join_query(query, 12, 5) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize('size', [1, 7, 50])
@pytest.mark.parametrize('top', [1, 5, 80])
@pytest.mark.parametrize('filtered', [False, True])
def test_scan_against_a_full_sort(vectors: np.ndarray, size: int, top: int, filtered: bool) -> None:
    ids = np.arange(50) * 3 + 1
    vectors[20] = vectors[10]  # a tie: the older one comes first
    blocks = [
        (ids[at : at + size], vectors[at : at + size], shared_scale(vectors[at : at + size], 5))
        for at in range(0, 50, size)
    ]
    chosen = ids[::4] if filtered else None
    counted = np.isin(ids, chosen) if filtered else np.ones(50, bool)
    scores = vectors @ vectors[10]
    order = sorted(np.flatnonzero(counted), key=lambda row: (-round(float(scores[row]), 5), row))[:top]
    found, best = scan(Query(vectors[10], None), blocks, top, chosen)
    assert found.tolist() == ids[order].tolist()
    assert best == pytest.approx(scores[order], abs=1e-6)


def test_scan_of_nothing() -> None:
    found, best = scan(Query(np.ones(3, np.float32), None), [], 5)
    assert not len(found)
    assert not len(best)
