"""Features of images and of sentences as rows of one matrix, which the ranking compares."""

import numpy as np

_LEAST_LENGTH = 1e-12


def join_shared_rows(images: np.ndarray, sentences: np.ndarray) -> np.ndarray:
    """Bring images and sentences into the space that they share.

    A retrieval feature is an image's global feature in the tower's width W and, after it, in the width D of the space
    shared with texts. The latter is taken, and brought to length one.

    Args:
        images: Retrieval features (n, W + D).
        sentences: Text features (s, D), of any length.

    Returns:
        Rows of length one, (n + s, D), float32.

    Raises:
        ValueError: If images' features are shorter than those of sentences.
    """
    width = sentences.shape[1]
    if images.shape[1] < width:
        raise ValueError(
            f'Features of images have {images.shape[1]} numbers, those of sentences {width}: both must come from one '
            "model, and an image's feature ends with its part in the space shared with sentences."
        )
    rows = np.concatenate([images[:, -width:], sentences]).astype(np.float32, copy=False)
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows / np.maximum(lengths, _LEAST_LENGTH)
