import json
from pathlib import Path

import pytest

from cmdg_plugin.ablation import Grid, Row, read_grid

REPOSITORY = Path(__file__).parents[2]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_rows_of_all_kinds(tmp_path: Path) -> None:
    text = """
rows = {
    'as it is': {},
    'w/o part': {'model.losses.bridging.part.weight': 0},
    'other': dict(config='other.py', options={'a.b': (1, 2)}),
}
shared_until = 'prompt'
only_later = ['model.text']
"""
    assert read_grid(write(tmp_path / 'grid.py', text)) == Grid(
        (
            Row('as it is'),
            Row('w/o part', {'model.losses.bridging.part.weight': 0}),
            Row('other', {'a.b': (1, 2)}, 'other.py'),
        ),
        'prompt',
        ('model.text',),
    )


def test_yaml_and_json_say_the_same(tmp_path: Path) -> None:
    expected = Grid((Row('plain'), Row('low', {'a.b': 0.5, 'c': 'x'})))
    yaml = write(tmp_path / 'grid.yaml', 'rows:\n  plain:\n  low: {a.b: 0.5, c: x}\n')
    content = {'rows': {'plain': None, 'low': {'options': {'a.b': 0.5, 'c': 'x'}}}}
    assert read_grid(yaml) == read_grid(write(tmp_path / 'grid.json', json.dumps(content))) == expected


def test_every_combination_behind_the_rows(tmp_path: Path) -> None:
    text = "rows = {'base': {}}\ngrid = {'model.part.weight': [0, 1], 'model.part.scale': [0.1, None]}"
    first, *rows = read_grid(write(tmp_path / 'grid.py', text)).rows
    assert first == Row('base')
    assert rows == [
        Row(f'part.weight={w}, part.scale={s}', {'model.part.weight': w, 'model.part.scale': s})
        for w in (0, 1)
        for s in (0.1, None)
    ]


def test_names_of_combinations_tell_options_apart(tmp_path: Path) -> None:
    text = "grid = {'a.loss.weight': [1], 'b.loss.weight': [2]}"
    (row,) = read_grid(write(tmp_path / 'grid.py', text)).rows
    assert row.name == 'a.loss.weight=1, b.loss.weight=2'


@pytest.mark.parametrize(
    ('name', 'folder'),
    [
        ('released', 'released'),
        ('w/o part, k = 5', 'w_o_part,_k_=_5'),
        ('part.weight=0.5', 'part.weight=0.5'),
        ('../x', 'x'),
        ('_shared', 'shared'),
        ('?', '_'),
    ],
)
def test_a_row_has_a_folder_of_its_own(name: str, folder: str) -> None:
    assert Row(name).folder == folder


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'names no variation'),
        ('rows = {', r'grid\.py cannot be read: '),
        ('lines = {}', 'has lines; a grid file has rows, grid, shared_until, only_later'),
        ("rows = ['a']", 'rows must be a dict, got list'),
        ("rows = {'a': 3}", "row 'a' must be a dict of options, got int"),
        ("rows = {'a': dict(config='x.py', weight=3)}", "row 'a' has config or options beside other keys"),
        ("grid = {'a.b': 3}", r'must give a\.b a list of values, got 3'),
        ("grid = {'a.b': []}", r'must give a\.b a list of values'),
        ("rows = {'a b': {}, 'A/b': {}}", "rows 'a b' and 'A/b' would share the folder"),
        ("rows = {'a': {}}\nonly_later = 'model'", "only_later is a list of dotted beginnings, got 'model'"),
    ],
)
def test_what_makes_no_grid(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_grid(write(tmp_path / 'grid.py', text))


def test_no_file() -> None:
    with pytest.raises(FileNotFoundError, match=r'No grid file at nowhere\.py'):
        read_grid('nowhere.py')
