"""How alike a query and images are."""

from dataclasses import dataclass

import numpy as np

_LEAST_LENGTH = 1e-12


@dataclass(frozen=True)
class Query:
    """What is searched for, in vectors of length one.

    Attributes:
        image: Retrieval feature (W + D,) of a person's pictures, or None.
        text: Feature (D,) of a sentence, or None.
        text_weight: Weight of the sentence where there are both, from 0 to 1.
    """

    image: np.ndarray | None
    text: np.ndarray | None
    text_weight: float = 0.5

    @property
    def weights(self) -> tuple[float, float]:
        """Weights of image and sentence."""
        if self.image is None or self.text is None:
            return float(self.image is not None), float(self.text is not None)
        return 1 - self.text_weight, self.text_weight

    @property
    def kind(self) -> str:
        """What decides its scores: `image`, `text`, or `both`."""
        of_image, of_text = self.weights
        return 'both' if of_image and of_text else 'image' if of_image else 'text'


def shared_scale(vectors: np.ndarray, shared: int) -> np.ndarray:
    """What brings the shared part of each vector, its last D numbers, to length one.

    Args:
        vectors: Retrieval features (N, W + D).
        shared: D.

    Returns:
        Factors (N,).
    """
    return 1 / np.maximum(np.linalg.norm(vectors[:, -shared:], axis=1), _LEAST_LENGTH)


def similarities(query: Query, vectors: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Cosine similarities of a query and images; the weighted mean of both where it has an image and a sentence.

    A sentence is compared with the shared part of a retrieval feature, brought to length one.

    Args:
        query: The query.
        vectors: Retrieval features (N, W + D) of length one, float32.
        scale: From `shared_scale`.

    Returns:
        Similarities (N,), float32.
    """
    of_image, of_text = query.weights
    scores = np.zeros(len(vectors), np.float32)
    if query.image is not None and of_image:
        scores += of_image * (vectors @ query.image)
    if query.text is not None and of_text:
        scores += of_text * (vectors[:, -len(query.text) :] @ query.text) * scale
    return scores


def join_for_products(vectors: np.ndarray, shared: int) -> np.ndarray:
    """Vectors whose inner product with `join_query` is what `similarities` gives, for databases that know only that.

    Args:
        vectors: Retrieval features (N, W + D) of length one.
        shared: D.

    Returns:
        Each with its shared part once more, brought to length one, (N, W + 2 D).
    """
    scale = shared_scale(vectors, shared)[:, None]
    return np.concatenate([vectors, vectors[:, -shared:] * scale], axis=1).astype(np.float32)


def join_query(query: Query, dimension: int, shared: int) -> np.ndarray:
    """The other side of `join_for_products`.

    Args:
        query: The query.
        dimension: W + D.
        shared: D.

    Returns:
        A vector (W + 2 D,).
    """
    of_image, of_text = query.weights
    joined = np.zeros(dimension + shared, np.float32)
    if query.image is not None:
        joined[:dimension] = of_image * query.image
    if query.text is not None:
        joined[dimension:] = of_text * query.text
    return joined
