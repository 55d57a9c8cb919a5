"""The islands themselves: four source domains and unseen targets."""

from dataclasses import dataclass, replace
from typing import Any

from .cameras import Camera

_MOSTLY_FRONT = (3.0, 0.5, 1.0, 1.0)
_MOSTLY_BACK = (0.5, 3.0, 1.0, 1.0)
_MOSTLY_SIDE = (0.6, 0.6, 2.0, 2.0)


@dataclass(frozen=True)
class Domain:
    """A domain: a name and the cameras that watch it; camera `n` of file names is `cameras[n - 1]`."""

    name: str
    cameras: tuple[Camera, ...]


_CAMERAS: dict[str, tuple[Camera, tuple[dict[str, Any], ...]]] = {
    'harbor': (
        Camera('quay', gains=(0.86, 0.98, 1.16), light=0.4, size=(56, 112), noise=2.5, tilt=0.08),
        (
            dict(facings=_MOSTLY_FRONT),
            dict(gains=(0.98, 1.0, 1.04), exposure=0.8, light=-0.5, facings=_MOSTLY_BACK),
            dict(gains=(0.8, 0.96, 1.2), haze=0.15, blur=0.6, facings=_MOSTLY_SIDE),
        ),
    ),
    'market': (
        Camera('stalls', gains=(1.16, 1.0, 0.8), saturation=1.15, noise=3, crowding=0.5, size=(48, 96), tilt=0.0),
        (
            dict(facings=_MOSTLY_FRONT),
            dict(gains=(1.08, 1.02, 0.9), exposure=0.7, gamma=1.15, blur=0.6, facings=_MOSTLY_SIDE),
        ),
    ),
    'campus': (
        Camera('lawn', tilt=0.4, light=0.5, size=(64, 128), noise=2, crowding=0.25),
        (
            dict(facings=_MOSTLY_FRONT),
            dict(gains=(0.95, 1.04, 0.92), exposure=1.15, facings=_MOSTLY_BACK),
            dict(exposure=0.75, gamma=0.9, light=-0.6, tilt=0.3, facings=_MOSTLY_SIDE),
            dict(gains=(1.06, 0.98, 0.94), haze=0.1, size=(48, 96), tilt=0.5),
        ),
    ),
    'station': (
        Camera('hall', gains=(0.92, 1.1, 0.94), saturation=0.8, noise=7, blur=0.5, size=(44, 88), tilt=0.25),
        (
            dict(facings=_MOSTLY_BACK),
            dict(gains=(1.0, 1.04, 0.9), mixing=0.1, exposure=0.8, noise=9, facings=_MOSTLY_FRONT),
            dict(gains=(0.9, 1.0, 1.1), haze=0.12, quality=70),
        ),
    ),
    'metro': (
        Camera(
            'tunnel',
            tilt=0.55,
            gains=(1.2, 1.0, 0.62),
            mixing=0.12,
            exposure=0.75,
            noise=8,
            blur=0.7,
            saturation=0.8,
            size=(40, 80),
            quality=72,
            light=0.6,
            crowding=0.45,
        ),
        (
            dict(facings=_MOSTLY_FRONT),
            dict(gains=(0.9, 1.05, 0.9), mixing=0.0, exposure=0.7, facings=_MOSTLY_BACK),
            dict(exposure=0.62, gamma=0.85, light=-0.7, blur=0.9, facings=_MOSTLY_SIDE),
        ),
    ),
    'alpine': (
        Camera(
            'slope',
            tilt=0.15,
            gains=(0.94, 1.0, 1.14),
            exposure=1.15,
            haze=0.2,
            saturation=0.75,
            noise=4,
            size=(32, 64),
            blur=0.4,
            quality=75,
            crowding=0.35,
        ),
        (
            dict(facings=_MOSTLY_BACK),
            dict(gains=(1.08, 0.96, 0.98), mixing=0.15, exposure=1.0, haze=0.1, facings=_MOSTLY_FRONT),
        ),
    ),
    'arcade': (
        Camera(
            'arcade',
            tilt=0.3,
            gains=(1.14, 0.86, 1.1),
            mixing=0.18,
            exposure=0.8,
            gamma=0.8,
            noise=6,
            blur=0.5,
            saturation=1.25,
            size=(44, 88),
            quality=74,
            light=-0.7,
            crowding=0.45,
        ),
        (
            dict(facings=_MOSTLY_BACK),
            dict(gains=(0.8, 1.02, 1.2), mixing=0.08, exposure=0.65, facings=_MOSTLY_FRONT),
            dict(gains=(1.2, 1.04, 0.7), light=0.7, blur=0.8, facings=_MOSTLY_SIDE),
        ),
    ),
}
"""By domain, what its cameras have in common, and how each differs from that."""

_DOMAINS: dict[str, Domain] = {
    name: Domain(name, tuple(replace(common, **own) for own in cameras)) for name, (common, cameras) in _CAMERAS.items()
}
SOURCE_DOMAINS: tuple[str, ...] = ('harbor', 'market', 'campus', 'station')
"""Domains to train on (and, with their held-out people, to choose hyperparameters on)."""

TARGET_DOMAINS: tuple[str, ...] = ('metro', 'alpine')
"""Domains that nothing may be trained or tuned on."""

LARGE_TARGET_DOMAINS: tuple[str, ...] = (*TARGET_DOMAINS, 'arcade')
"""Those of the large benchmark, which is for studies."""


def get_domain(name: str) -> Domain:
    """Look a domain of the benchmark up.

    Raises:
        ValueError: If no domain has this name.
    """
    if name not in _DOMAINS:
        raise ValueError(f'Islands has no domain {name!r}; there are {", ".join(_DOMAINS)}.')
    return _DOMAINS[name]
