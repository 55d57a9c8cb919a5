"""Which gallery images may match a query under the Market-1501 rule."""

import numpy as np

from cmdg_plugin.evaluation.inputs import Labels, as_labels


class GalleryIndex:
    """Finds the gallery images of each query's identity without scanning the gallery.

    Args:
        query_ids: Shape (Q,).
        gallery_ids: Shape (G,).
        query_cameras: Shape (Q,).
        gallery_cameras: Shape (G,).
        shape: (Q, G), what the four must fit.

    Attributes:
        valid_queries: Whether each query has a gallery image of its identity taken by another camera, shape (Q,).
        num_valid_queries: How many have.

    Raises:
        ValueError: If lengths differ from `shape`.
        TypeError: If labels are not integers.
    """

    def __init__(
        self,
        query_ids: Labels,
        gallery_ids: Labels,
        query_cameras: Labels,
        gallery_cameras: Labels,
        shape: tuple[int, int],
    ) -> None:
        self.shape = shape
        self._query_cameras = as_labels(query_cameras, 'query_cameras', shape[0])
        self._gallery_cameras = as_labels(gallery_cameras, 'gallery_cameras', shape[1])
        queries = as_labels(query_ids, 'query_ids', shape[0])
        gallery = as_labels(gallery_ids, 'gallery_ids', shape[1])
        self._columns = np.argsort(gallery, kind='stable')
        grouped = gallery[self._columns]
        self._first = np.searchsorted(grouped, queries, side='left')
        self._counts = np.searchsorted(grouped, queries, side='right') - self._first
        self.valid_queries = self._counts > self._count_ignored(queries, gallery)
        self.num_valid_queries = int(np.count_nonzero(self.valid_queries))

    def candidates(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Gallery images of the identities of queries from `start` to before `stop`, padded to the longest list.

        Returns:
            Three arrays of shape (stop - start, M): gallery columns (0 where padded), whether an entry exists, and
            whether it exists but shares the query's camera too and is therefore ignored.
        """
        counts = self._counts[start:stop, None]
        slots = np.arange(max(1, int(counts.max())))
        exists = slots < counts
        columns = self._columns[np.where(exists, self._first[start:stop, None] + slots, 0)]
        ignored = exists & (self._gallery_cameras[columns] == self._query_cameras[start:stop, None])
        return np.where(exists, columns, 0), exists, ignored

    def require_a_valid_query(self) -> None:
        """Raise a `ValueError` that explains the rule if no query has a valid match."""
        if self.num_valid_queries:
            return
        present = int(np.count_nonzero(self._counts))
        advice = (
            f'{present} queries do find their identity, but in their own camera only: check the camera ids.'
            if present
            else 'No query finds its identity in any camera: check that query and gallery belong to the same split and '
            'number identities alike.'
        )
        raise ValueError(
            f'None of the {self.shape[0]} queries has a valid match among the {self.shape[1]} gallery images. A valid '
            'match is an image of the same identity from another camera; those of the same identity and camera are '
            f'ignored (Market-1501 rule). {advice}'
        )

    def _count_ignored(self, queries: np.ndarray, gallery: np.ndarray) -> np.ndarray:
        """How many gallery images share each query's identity and camera."""
        _, identities = np.unique(np.r_[gallery, queries], return_inverse=True)
        cameras = np.unique(np.r_[self._gallery_cameras, self._query_cameras], return_inverse=True)[1]
        _, pairs = np.unique(identities * (cameras.max() + 1) + cameras, return_inverse=True)
        in_gallery = np.bincount(pairs[: len(gallery)], minlength=len(pairs))
        return in_gallery[pairs[len(gallery) :]]
