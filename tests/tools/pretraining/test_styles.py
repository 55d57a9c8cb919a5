from collections.abc import Callable

import numpy as np
import pytest
from pretraining.styles import sample_camera

from cmdg_plugin.islands.backdrops import PRETRAINING_PLACES
from cmdg_plugin.islands.domains import SOURCE_DOMAINS, get_domain


def test_all_places_are_used() -> None:
    rng = np.random.default_rng(0)
    assert {sample_camera(rng).place for _ in range(100)} == set(PRETRAINING_PLACES)


@pytest.mark.parametrize(
    ('setting', 'harsher'),
    [
        ('tilt', max),
        ('mixing', max),
        ('saturation', min),
        ('exposure', min),
        ('gamma', min),
        ('haze', max),
        ('blur', max),
        ('noise', max),
        ('quality', min),
    ],
)
def test_styles_elsewhere_are_no_harsher_than_the_sources(
    setting: str, harsher: Callable[[list[float]], float]
) -> None:
    of_sources = [getattr(camera, setting) for name in SOURCE_DOMAINS for camera in get_domain(name).cameras]
    rng = np.random.default_rng(0)
    drawn = [getattr(sample_camera(rng), setting) for _ in range(600)]
    harshest = harsher([harsher(of_sources), harsher(drawn)])
    assert harshest == pytest.approx(harsher(of_sources), abs=0.01)
