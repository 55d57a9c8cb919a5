"""Islands: a ReID benchmark of six domains, seven when large, drawn by code and made on first use."""

from .building import GENERATOR_VERSION, build_islands
from .clips import write_clip
from .describing import describe
from .domains import LARGE_TARGET_DOMAINS, SOURCE_DOMAINS, TARGET_DOMAINS, Domain, get_domain
from .people import Person, sample_person, vary_person
from .pictures import Picture, draw
from .planning import find_size

__all__ = [
    'GENERATOR_VERSION',
    'LARGE_TARGET_DOMAINS',
    'SOURCE_DOMAINS',
    'TARGET_DOMAINS',
    'Domain',
    'Person',
    'Picture',
    'build_islands',
    'describe',
    'draw',
    'find_size',
    'get_domain',
    'sample_person',
    'vary_person',
    'write_clip',
]
