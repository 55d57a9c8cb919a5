import numpy as np
import pytest

from cmdg_plugin.datasets.altered_captions import repeat_global, swap_captions

IDENTITIES = np.array([2, 0, 1, 0, 2, 2, 1, 0])
CAPTIONS = [(f'upper {n}', f'middle {n}', f'lower {n}', f'whole {n}') for n in range(8)]


@pytest.mark.parametrize(('fraction', 'count'), [(0.0, 0), (0.25, 2), (0.5, 4), (1.0, 8)])
def test_a_share_of_the_images_gets_captions_of_somebody_else(fraction: float, count: int) -> None:
    for seed in range(20):
        swapped = swap_captions(CAPTIONS, IDENTITIES, fraction, seed)
        givers = np.array([CAPTIONS.index(sentences) for sentences in swapped])
        changed = givers != np.arange(8)
        assert changed.sum() == count
        assert (IDENTITIES[givers] != IDENTITIES)[changed].all()
    assert swap_captions(CAPTIONS, IDENTITIES, fraction, 19) == swapped


def test_everybody_else_is_as_likely_to_give() -> None:
    given = np.zeros((8, 8), int)
    for seed in range(2000):
        for taker, sentences in enumerate(swap_captions(CAPTIONS, IDENTITIES, 1.0, seed)):
            given[taker, CAPTIONS.index(sentences)] += 1
    allowed = IDENTITIES[:, None] != IDENTITIES
    expected = (allowed / allowed.sum(axis=1, keepdims=True) * 2000)[allowed]
    # Six standard deviations of a count that is expected to be 333 to 400.
    np.testing.assert_allclose(given[allowed], expected, atol=120)
    assert not given[~allowed].any()


def test_one_identity_alone_has_nobody_to_swap_with() -> None:
    with pytest.raises(ValueError, match='all images show one identity'):
        swap_captions(CAPTIONS[:2], np.array([0, 0]), 0.5)
    assert swap_captions(CAPTIONS[:2], np.array([0, 0]), 0.0) == CAPTIONS[:2]


def test_the_whole_stands_for_its_parts() -> None:
    assert repeat_global(CAPTIONS[3]) == ('whole 3',) * 4
