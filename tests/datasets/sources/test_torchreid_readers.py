import random
import re
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cmdg_plugin.datasets.sources import BENCHMARKS, BenchmarkSource, TorchreidSource


def test_official_splits_of_grid(release_data: Path) -> None:
    """Ten, from the .mat file, the last being the released one."""
    found = BenchmarkSource('grid', str(release_data), index='torchreid').load()
    assert found.positions() == (9,)
    people = (1, 2, 3, 5, 8, 13, 21, 34)
    for number, split in enumerate(found.splits):
        assert {record.identity for record in split.query} == set(people[(number + 1) % 2 :: 2])
        assert sum(record.distractor for record in split.gallery) == 2


def test_nothing_is_written_and_no_random_number_drawn(miniatures: ModuleType, tmp_path: Path) -> None:
    miniatures.write_miniatures(tmp_path, 'torchreid')
    before = sorted(tmp_path.rglob('*'))
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.rand()
    random.seed(3)
    np.random.seed(3)
    for name in BENCHMARKS:
        TorchreidSource(name, str(tmp_path)).load()
    assert (random.random(), np.random.rand()) == expected
    assert sorted(tmp_path.rglob('*')) == before


def test_what_the_reader_rejects(miniatures: ModuleType, tmp_path: Path) -> None:
    miniatures.write_miniature(tmp_path, 'cuhk02', 'torchreid')
    for image in (tmp_path / 'cuhk02/Dataset/P5').rglob('*.png'):
        image.unlink()
    with pytest.raises(ValueError, match=re.escape("torchreid's reader of cuhk02 cannot read")) as caught:
        TorchreidSource('cuhk02', str(tmp_path)).load()
    assert 'P5/' in str(caught.value)
