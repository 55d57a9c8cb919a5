from pathlib import Path
from typing import Any

import pytest
import torch

from cmdg_plugin.checkpoints.reading import read_checkpoint

POSITION = {'stage': 'prompt', 'epochs_in_stage': 1, 'stages': [['warmup', 3], ['prompt', 2]]}
WRITTEN: dict[str, Any] = {
    'epoch': 4,
    'iter': 80,
    'seed': None,
    'world_size': 1,
    'experiment_name': 'run',
    'mmengine_version': '0.10.7',
    'cfg': 'model = dict()',
    'quick_gelu': True,
    'dataset_meta': {'fingerprints': {'market': 'a1'}, 'num_images': 3},
    'stage_position': POSITION,
    'interpolation': {'alpha': 0.5},
    'of_somebody_else': [1, 2],
}


def saved(folder: Path, meta: object) -> Path:
    path = folder / 'a.pth'
    torch.save({'meta': meta, 'state_dict': {}}, path)
    return path


def test_what_trainings_write_is_taken(tmp_path: Path) -> None:
    assert read_checkpoint(saved(tmp_path, WRITTEN))['meta'] == WRITTEN
    assert read_checkpoint(saved(tmp_path, {}))['meta'] == {}
    of_others = {'dataset_meta': {'classes': ['person']}, 'seed': 0}
    assert read_checkpoint(saved(tmp_path, of_others))['meta'] == of_others


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        *[(name, value) for name in ('epoch', 'iter', 'seed', 'world_size') for value in ('4', 1.5, [])],
        *[(name, value) for name in ('experiment_name', 'mmengine_version', 'cfg') for value in (3, {})],
        ('quick_gelu', 1),
        *[('dataset_meta', value) for value in ([], {'fingerprints': ['a1']}, {'fingerprints': {'market': None}})],
        *[('interpolation', value) for value in (0.5, [0.5], {}, {'alpha': '0.5'})],
        *[
            ('stage_position', value)
            for value in (
                [],
                {},
                {**POSITION, 'stage': 'bridging'},
                {**POSITION, 'epochs_in_stage': None},
                {**POSITION, 'stages': [['prompt']]},
                {**POSITION, 'stages': [['prompt', 'two']]},
                {**POSITION, 'stages': [[['prompt'], 2]]},
            )
        ],
    ],
)
def test_anything_else_is_refused_by_name(tmp_path: Path, name: str, value: object) -> None:
    path = saved(tmp_path, {**WRITTEN, name: value})
    with pytest.raises(ValueError, match=rf'a\.pth is damaged, .* its meta\.{name} should be ') as caught:
        read_checkpoint(path)
    assert '\n' not in str(caught.value)


def test_it_is_a_dictionary(tmp_path: Path) -> None:
    for meta in (None, [1], 'text'):
        with pytest.raises(ValueError, match='its meta should be a dictionary, got'):
            read_checkpoint(saved(tmp_path, meta))
