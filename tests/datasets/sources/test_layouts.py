from pathlib import Path
from types import ModuleType

import pytest

from cmdg_plugin.datasets.sources.benchmarks import BENCHMARKS, TEXT_BENCHMARKS
from cmdg_plugin.datasets.sources.layouts import LAYOUTS


@pytest.mark.parametrize('kind', ['release', 'torchreid'])
@pytest.mark.parametrize('name', list(BENCHMARKS))
def test_what_identifies_a_layout_is_in_the_real_one(
    release_data: Path, torchreid_data: Path, miniatures: ModuleType, name: str, kind: str
) -> None:
    """Folders, lists and links of a layout exist where the dataset lies in it."""
    root = {'release': release_data, 'torchreid': torchreid_data}[kind]
    # Its splits are read from the released caption file, unless torchreid reads them.
    indexed = (name, kind) == ('cuhk03', 'release')
    found = [
        layout
        for layout in LAYOUTS[name]
        if kind in layout.kind
        and all((root / layout.folder / folder).is_dir() for folder in layout.markers)
        and (indexed or all((root / layout.folder / file).is_file() for file in layout.needs))
    ]
    assert found
    for layout in found:
        assert not layout.links or any((root / layout.folder / below).exists() for _, below in layout.links)


def test_every_dataset_has_the_layout_of_the_release_and_of_torchreid() -> None:
    assert LAYOUTS.keys() == BENCHMARKS.keys() | TEXT_BENCHMARKS.keys()
    for name, benchmark in BENCHMARKS.items():
        layouts = benchmark.layouts
        kinds = ' '.join(layout.kind for layout in layouts)
        assert 'release' in kinds, name
        assert 'torchreid' in kinds, name
        assert len(set(layouts)) == len(layouts), name
