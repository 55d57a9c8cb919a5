"""The nine public datasets of CMDG's protocols, and three for text search."""

import re
from collections.abc import Mapping
from typing import Any

from cmdg_plugin.datasets.sources.benchmark import Benchmark, RoleCount
from cmdg_plugin.datasets.sources.layouts import LAYOUTS

_Roles = Mapping[str, tuple[int | None, int | None]]


def _benchmark(name: str, counts: _Roles | Mapping[str, _Roles], caption_file: str = '', **facts: Any) -> Benchmark:
    """Describe a dataset; its caption file is called as it, unless another name is given.

    Counts are identities and images by role, of each version where versions differ.
    """
    versions: Any = counts if isinstance(next(iter(counts.values())), dict) else {'': counts}
    expected = {
        version: {role: RoleCount(*pair) for role, pair in roles.items()} for version, roles in versions.items()
    }
    return Benchmark(name, LAYOUTS[name], caption_file or f'{name}.json', expected, **facts)


def _by_name(*benchmarks: Benchmark) -> dict[str, Benchmark]:
    return {benchmark.name: benchmark for benchmark in benchmarks}


BENCHMARKS: dict[str, Benchmark] = _by_name(
    _benchmark(
        'market1501',
        dict(train=(751, 12_936), query=(750, 3_368), gallery=(None, 15_913)),
        cameras=6,
        joins=(re.compile(r'(?P<a>bounding_box_train|bounding_box_test|query)/(?P<b>[^/]+)$'),),
        person=re.compile(r'/(-?\d+)_c\d'),
        distractors=frozenset({0}),
    ),
    _benchmark(
        'msmt17',
        dict(train=(1_041, 30_248), val=(None, 2_373), query=(3_060, 11_659), gallery=(3_060, 82_161)),
        cameras=15,
        joins=(re.compile(r'(?P<a>train|test|mask_train_v2|mask_test_v2)/(?P<b>\d+/[^/]+)$'),),
    ),
    _benchmark(
        'cuhk03',
        {
            'labeled': dict(train=(767, 7_368), query=(700, 1_400), gallery=(700, 5_328)),
            'detected': dict(train=(767, 7_365), query=(700, 1_400), gallery=(700, 5_332)),
        },
        cameras=10,
        joins=(re.compile(r'(?P<a>images_labeled|images_detected)/(?P<b>[^/]+)$'),),
    ),
    _benchmark(
        'cuhk02',
        dict(train=(1_577, 6_308), query=(239, 478), gallery=(239, 478)),
        cameras=10,
        joins=(re.compile(r'(?P<a>P\d)/(?P<b>cam\d)/(?P<c>[^/]+)$'),),
        person=re.compile(r'/(\d+)_[^/]*$'),
        # To be safe: its first pair of cameras has as many identities, 971, as CUHK01, which CUHK-PEDES holds.
        holds=('cuhk01',),
    ),
    _benchmark(
        'cuhksysu',
        dict(train=(11_934, 34_574)),
        cameras=1,
        joins=(re.compile(r'cropped_images/(?P<a>[^/]+)$'),),
        person=re.compile(r'/p(\d+)_'),
    ),
    _benchmark(
        'prid',
        dict(train=(100, 200), query=(100, 100), gallery=(649, 649)),
        cameras=2,
        joins=(re.compile(r'(?P<a>cam_[ab])/(?P<b>[^/]+)$'),),
        person=re.compile(r'/person_(\d+)'),
        distractors=frozenset(range(201, 750)),
        ten_splits='two cameras',
        one_numbering=True,
    ),
    _benchmark(
        'grid',
        dict(train=(125, 250), query=(125, 125), gallery=(None, 900)),
        cameras=8,
        joins=(re.compile(r'(?P<a>probe|gallery)/(?P<b>[^/]+)$'),),
        person=re.compile(r'/(\d+)_[^/]*$'),
        distractors=frozenset({0}),
        ten_splits='shipped',
    ),
    _benchmark(
        'viper',
        dict(train=(316, 632), query=(316, 316), gallery=(316, 316)),
        cameras=2,
        # The release renamed VIPeR's images: p336_c2_d180.png is 336_180.bmp of the second camera.
        joins=(
            re.compile(r'p(?P<person>\d+)_c(?P<camera>\d)_d(?P<angle>\d+)\.[^/]+$'),
            re.compile(r'(?P<camera>cam_[ab])/(?P<person>\d+)_(?P<angle>\d+)\.[^/]+$'),
        ),
        person=re.compile(r'/p?(\d+)_[^/]*$'),
        ten_splits='two cameras',
        one_numbering=True,
    ),
    _benchmark(
        'ilids',
        dict(train=(59, None), query=(60, 60), gallery=(60, 60)),
        caption_file='ilds.json',
        joins=(re.compile(r'(?P<a>[^/]+)$'),),
        person=re.compile(r'/(\d{4})\d{3}[^/]*$'),
        ten_splits='any two images',
    ),
)
"""The nine, by name."""

TEXT_BENCHMARKS: dict[str, Benchmark] = _by_name(
    _benchmark(
        'cuhk-pedes',
        dict(train=(11_003, 34_054), val=(1_000, 3_078), gallery=(1_000, 3_074)),
        caption_file='reid_raw.json',
        text_search=True,
        holds=('cuhk03', 'market1501', 'cuhksysu', 'viper', 'cuhk01'),
    ),
    _benchmark(
        'icfg-pedes',
        dict(train=(3_102, 34_674), gallery=(1_000, 19_848)),
        caption_file='ICFG-PEDES.json',
        text_search=True,
        holds=('msmt17',),
        other_caption_file='ICFG_PEDES.json',
    ),
    _benchmark(
        'rstpreid',
        dict(train=(3_701, 18_505), val=(200, 1_000), gallery=(200, 1_000)),
        caption_file='data_captions.json',
        text_search=True,
        holds=('msmt17',),
    ),
)
"""Datasets whose queries are sentences, by name; their test images are the gallery."""


def get_benchmark(name: str) -> Benchmark:
    """Look a dataset up.

    Raises:
        ValueError: If it is not one of these.
    """
    known = {**BENCHMARKS, **TEXT_BENCHMARKS}
    if name not in known:
        raise ValueError(f'expected one of the datasets {", ".join(known)}, got {name!r}.')
    return known[name]
