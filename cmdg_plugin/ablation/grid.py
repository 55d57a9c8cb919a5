"""The file that names the variations of a config."""

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

_KEYS = ('rows', 'grid', 'shared_until', 'only_later')
_ROW_KEYS = {'config', 'options'}


@dataclass(frozen=True)
class Row:
    """One variation.

    Args:
        name: What the table calls it.
        options: Config options by dotted key.
        config: Its own config file; None stands for the one all rows start from.
    """

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)
    config: str | None = None

    @property
    def folder(self) -> str:
        """The name as a folder's name."""
        return re.sub(r'[^\w.,=+-]+', '_', self.name).strip('_.') or '_'


@dataclass(frozen=True)
class Grid:
    """What a grid file says.

    Args:
        rows: The variations; the others are compared with the first.
        shared_until: Name of the last stage that rows which are alike up to there train once for all of them.
        only_later: Dotted beginnings of settings that no stage up to there reads.
    """

    rows: tuple[Row, ...]
    shared_until: str | None = None
    only_later: tuple[str, ...] = ()


def read_grid(path: str | Path) -> Grid:
    """Read a grid file (Python, YAML or JSON).

    It has `rows`, options by name of the row, or `grid`, several values by option, of which every combination becomes a
    row, or both::

        rows = {
            'released': {},
            'without part': {'model.losses.bridging.part.weight': 0},
            'id only': dict(config='configs/baselines/id-only_toy-vit_islands.py', options={}),
        }
        grid = {'model.losses.bridging.part.scale': [0.01, 0.04]}

    and optionally `shared_until` and `only_later` (see `Grid`).

    Returns:
        Its rows, those of `grid` after those of `rows`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it holds something else, no row, or two rows of one name.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f'No grid file at {path}.')
    try:
        content = Config.fromfile(path).to_dict()
    except (SyntaxError, yaml.YAMLError, json.JSONDecodeError) as error:
        raise ValueError(f'{path} cannot be read: {error}.') from error
    unknown = sorted(set(content) - set(_KEYS))
    if unknown:
        raise ValueError(f'{path} has {", ".join(unknown)}; a grid file has {", ".join(_KEYS)}.')
    rows = [_parse_row(path, name, row) for name, row in _mapping(path, 'rows', content).items()]
    rows += _combine(path, _mapping(path, 'grid', content))
    if not rows:
        raise ValueError(f'{path} names no variation: give it `rows` or `grid`.')
    _check_unique(path, rows)
    only_later = content.get('only_later', ())
    if isinstance(only_later, str):
        raise ValueError(f'{path}: only_later is a list of dotted beginnings, got {only_later!r}.')
    return Grid(tuple(rows), content.get('shared_until'), tuple(only_later))


def _mapping(path: str | Path, key: str, content: Mapping[str, Any]) -> Mapping[str, Any]:
    found = content.get(key) or {}
    if not isinstance(found, Mapping):
        raise ValueError(f'{path}: {key} must be a dict, got {type(found).__name__}.')
    return found


def _parse_row(path: str | Path, name: Any, row: Any) -> Row:
    row = row or {}
    if not isinstance(row, Mapping):
        raise ValueError(f'{path}: row {name!r} must be a dict of options, got {type(row).__name__}.')
    if row and set(row) <= _ROW_KEYS:
        return Row(str(name), dict(row.get('options') or {}), row.get('config'))
    if set(row) & _ROW_KEYS:
        raise ValueError(f'{path}: row {name!r} has config or options beside other keys; put those into options.')
    return Row(str(name), dict(row))


def _combine(path: str | Path, grid: Mapping[str, Any]) -> list[Row]:
    """One row for every combination of the values."""
    for option, values in grid.items():
        if isinstance(values, str) or not isinstance(values, Sequence) or not values:
            raise ValueError(f'{path}: grid must give {option} a list of values, got {values!r}.')
    if not grid:
        return []
    labels = _labels(list(grid))
    rows = []
    for values in itertools.product(*grid.values()):
        name = ', '.join(f'{label}={value}' for label, value in zip(labels, values, strict=True))
        rows.append(Row(name, dict(zip(grid, values, strict=True))))
    return rows


def _labels(options: Sequence[str]) -> list[str]:
    """Last words of the dotted keys, as many as tell all of them apart."""
    for count in range(2, max(option.count('.') for option in options) + 2):
        labels = ['.'.join(option.split('.')[-count:]) for option in options]
        if len(set(labels)) == len(labels):
            return labels
    return list(options)


def _check_unique(path: str | Path, rows: Sequence[Row]) -> None:
    seen: dict[str, str] = {}
    for row in rows:
        # Some file systems take two cases of a letter for the same.
        other = seen.setdefault(row.folder.lower(), row.name)
        if other is not row.name:
            raise ValueError(
                f'{path}: rows {other!r} and {row.name!r} would share the folder {row.folder}; rename one.'
            )
