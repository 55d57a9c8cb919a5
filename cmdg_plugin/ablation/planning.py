"""From a grid to trainings: every row with every seed, and what several rows share."""

import copy
import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import MMLogger

from cmdg_plugin.ablation.grid import Grid, Row
from cmdg_plugin.ablation.results import read_scores
from cmdg_plugin.checkpoints.finding import list_checkpoints
from cmdg_plugin.cli.command_line import read_config
from cmdg_plugin.engine.log_filters import without_repeated_lines
from cmdg_plugin.nested import flatten, has_prefix

_SHOWN_CHANGES = 5


@dataclass(frozen=True)
class Run:
    """One training.

    Args:
        name: The row it belongs to, or what it is the shared beginning of.
        seed: Its seed.
        config: Its whole config.
        folder: Where it writes.
        beginning: The run whose last checkpoint it goes on from; None if it starts by itself.
        held_out: The source that it is scored on instead of the targets; None if it is scored on those.
    """

    name: str
    seed: int
    config: Config
    folder: Path
    beginning: 'Run | None' = None
    held_out: str | None = None

    @property
    def config_file(self) -> Path:
        """Where its config is written; beside the folder, into which MMEngine writes another of the same name."""
        return self.folder.with_suffix('.py')

    @property
    def results_file(self) -> Path:
        """What a finished run leaves."""
        return self.folder / 'results.json'

    @property
    def scores(self) -> dict[str, float] | None:
        """Its scores after training, by name; None if it has not finished."""
        return read_scores(self.results_file)


def plan_runs(
    config: str,
    grid: Grid,
    seeds: int,
    work_dir: Path,
    options: Mapping[str, Any],
    held_out: Sequence[str] = (),
) -> list[Run]:
    """Plan the trainings of a grid.

    Args:
        config: Config file of the rows that name none.
        grid: The rows.
        seeds: Number of seeds, from 0.
        work_dir: Folder of all runs.
        options: Config options for all rows, below their own.
        held_out: Sources to choose settings on: each row is trained once without each of them, and scored on its people
            (see `HeldOutSource`). None of them: trained on all, scored on the targets.

    Returns:
        One run per seed, held-out source and row, all rows of the first seed first.

    Raises:
        FileNotFoundError: If a config is missing.
        ValueError: If there is no seed, a row has an option without a place in its config, or its config cannot hold a
            source out; names the row.
    """
    if seeds < 1:
        raise ValueError(f'--seeds must be at least 1, got {seeds}.')
    planned = {}
    with without_repeated_lines(MMLogger.get_current_instance()):
        for source in held_out or (None,):
            configs = {row.name: _configure(row, config, options, source) for row in grid.rows}
            planned[source] = configs, _shared_beginnings(configs, grid)
    runs = []
    for seed in range(seeds):
        for source, (configs, beginnings) in planned.items():
            shared = {
                digest: Run(digest, seed, _seeded(cut, seed), work_dir / '_shared' / digest / f'seed{seed}')
                for digest, cut in dict(beginnings.values()).items()
            }
            for row in grid.rows:
                beginning = shared[beginnings[row.name][0]] if row.name in beginnings else None
                folder = work_dir / row.folder / f'without_{source}' if source else work_dir / row.folder
                own = _seeded(configs[row.name], seed)
                runs.append(Run(row.name, seed, own, folder / f'seed{seed}', beginning, source))
    return runs


def list_sources(config: str, options: Mapping[str, Any]) -> list[str]:
    """Name the sources that a config trains on, each of which can be held out.

    Raises:
        FileNotFoundError: If the config is missing.
        ValueError: If it cannot hold a source out.
    """
    dataset = read_config(config, {**options, 'held_out': ''}).train_dataloader.dataset
    return [source.get('domain') or source.name for source in dataset.sources]


def check_unchanged(runs: Sequence[Run]) -> None:
    """Refuse runs that were begun with other settings: their results would stand in the wrong row.

    Raises:
        ValueError: If one was; says what has changed.
    """
    for run in runs:
        if not run.results_file.is_file() and not list_checkpoints(run.folder):
            continue
        changes = _describe_changes(run)
        if changes:
            raise ValueError(
                f'{run.folder} was begun with other settings ({changes}). Delete the folder, rename the row, or choose '
                'another --work-dir.'
            )


def _describe_changes(run: Run) -> str:
    """Name the first few settings that differ from those a run was begun with; empty if none does."""
    begun = Config.fromfile(run.config_file).to_dict() if run.config_file.is_file() else {}
    old, new = ({key: repr(value) for key, value in flatten(each).items()} for each in (begun, run.config.to_dict()))
    changed = sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
    shown = [f'{key}: {old.get(key, "absent")}, now {new.get(key, "absent")}' for key in changed[:_SHOWN_CHANGES]]
    if len(changed) > len(shown):
        shown.append(f'and {len(changed) - len(shown)} more')
    return '; '.join(shown)


def _configure(row: Row, config: str, options: Mapping[str, Any], held_out: str | None) -> Config:
    path, options = row.config or config, {**options, **row.options}
    if held_out is not None:
        options['held_out'] = held_out
    try:
        configured = read_config(path, options)
        if held_out is not None:
            _check_scored_on(held_out, configured)
    except FileNotFoundError as error:
        raise FileNotFoundError(f'row {row.name!r}: {error}') from error
    except ValueError as error:
        raise ValueError(f'row {row.name!r}: {error}') from error
    return configured


def _check_scored_on(held_out: str, config: Config) -> None:
    """Refuse a config that would look at a target, so that nobody chooses by one."""
    targets = config.val_dataloader.dataset.targets
    if [target.type for target in targets] != ['HeldOutSource']:
        names = ', '.join(target.get('domain') or target.get('name') or target.type for target in targets)
        raise ValueError(f'with {held_out} held out, it is to be scored on that source alone, not on {names}.')


def _seeded(config: Config, seed: int) -> Config:
    seeded = copy.deepcopy(config)
    seeded.merge_from_dict({'randomness.seed': seed})
    return seeded


def _shared_beginnings(configs: Mapping[str, Config], grid: Grid) -> dict[str, tuple[str, Config]]:
    """Find rows that are alike up to the shared stage; gives each one the name and the config of its beginning."""
    if grid.shared_until is None:
        return {}
    stages = {row: (config.get('train_cfg') or {}).get('stages', []) for row, config in configs.items()}
    known = sorted({stage.name for listed in stages.values() for stage in listed})
    if grid.shared_until not in known:
        raise ValueError(f'shared_until is {grid.shared_until!r}, but the stages are {", ".join(known) or "none"}.')
    alike = defaultdict(list)
    for row, listed in stages.items():
        names = [stage.name for stage in listed]
        if grid.shared_until not in names:
            continue
        cut = names.index(grid.shared_until) + 1
        if any(stage.epochs for stage in listed[:cut]) and any(stage.epochs for stage in listed[cut:]):
            alike[_digest(configs[row], names[cut:], cut, grid.only_later)].append((row, cut))
    return {
        row: (f'until_{grid.shared_until}_{digest}', _cut(configs[members[0][0]], cut))
        for digest, members in alike.items()
        if len(members) > 1
        for row, cut in members
    }


def _digest(config: Config, later: Sequence[str], cut: int, only_later: Sequence[str]) -> str:
    """Name of all settings that stages before the cut may read."""
    unread = [f'train_cfg.stages.{cut + number}' for number in range(len(later))]
    unread += [f'model.losses.{name}' for name in later] + list(only_later)
    read = {
        key: value
        for key, value in flatten(config.to_dict()).items()
        if not any(has_prefix(key, place) for place in unread)
    }
    return hashlib.sha256(json.dumps(read, sort_keys=True, default=repr).encode()).hexdigest()[:8]


def _cut(config: Config, cut: int) -> Config:
    beginning = copy.deepcopy(config)
    for stage in beginning.train_cfg.stages[cut:]:
        stage.epochs = 0
    return beginning
