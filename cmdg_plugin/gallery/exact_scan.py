"""The entries most similar to a query, found by comparing it with every one of them, block by block."""

from collections.abc import Iterable

import numpy as np

from cmdg_plugin.gallery.scoring import Query, similarities

Block = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Numbers of entries (N,), ascending; their retrieval features (N, W + D); factors of `shared_scale` (N,)."""


def scan(
    query: Query, blocks: Iterable[Block], top: int, chosen: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Find the best entries.

    Args:
        query: What is searched for.
        blocks: All entries.
        top: How many to find.
        chosen: Numbers, ascending, of the entries that count, all of them in blocks; None counts all.

    Returns:
        Numbers and scores of the best, best first; the older entry first among equals.

    Raises:
        ValueError: If a score is not a number.
    """
    best_ids, best = np.zeros(0, np.int64), np.zeros(0, np.float32)
    for ids, vectors, scale in blocks:
        if chosen is not None:
            part = chosen[slice(*np.searchsorted(chosen, (ids[0], ids[-1] + 1)))]
            rows = np.searchsorted(ids, part)
            if not len(rows):
                continue
            # Copying rows costs about as much as multiplying with them.
            if 2 * len(rows) < len(ids):
                ids, vectors, scale, rows = ids[rows], vectors[rows], scale[rows], np.arange(len(rows))
            scores = similarities(query, vectors, scale)[rows]
            ids = ids[rows]
        else:
            scores = similarities(query, vectors, scale)
        if not np.isfinite(scores).all():  # which would have no place in an order
            raise ValueError('The gallery is damaged: it holds vectors that are not numbers; verify lists them.')
        best_ids, best = _merge(best_ids, best, ids, scores, top)
    return best_ids, best


def _merge(
    ids: np.ndarray, scores: np.ndarray, more_ids: np.ndarray, more: np.ndarray, top: int
) -> tuple[np.ndarray, np.ndarray]:
    ids, scores = np.concatenate([ids, more_ids]), np.concatenate([scores, more])
    if len(scores) > top:
        # All that tie with the last place stay for now, so that which of them is taken does not depend on blocks.
        least = np.partition(scores, len(scores) - top)[len(scores) - top]
        kept = np.flatnonzero(scores >= least)
        ids, scores = ids[kept], scores[kept]
    order = np.lexsort((ids, -scores))[:top]
    return ids[order], scores[order]
