import numpy as np
import pytest

from cmdg_plugin.evaluation.shared_rows import join_shared_rows


def test_images_and_sentences_meet_in_the_shared_width() -> None:
    # The first number is of the tower's width; (3, 4) and (0, 2) are of the shared one.
    images = np.array([[9.0, 3.0, 4.0], [1.0, 0.0, 2.0]])
    sentences = np.array([[0.0, 5.0], [0.0, 0.0]])
    rows = join_shared_rows(images, sentences)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 1], [0, 1], [0, 0]], rtol=1e-6)


def test_features_of_two_models() -> None:
    with pytest.raises(ValueError, match='images have 2 numbers, those of sentences 3: both must come from one model'):
        join_shared_rows(np.ones((1, 2)), np.ones((1, 3)))
