"""Ends a run with a table of scores, ranked pictures and curves."""

import logging
import traceback
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import Runner

from cmdg_plugin.checkpoints.stored_config import parse_stored_config
from cmdg_plugin.datasets.overlap import mark_overlaps, trained_datasets
from cmdg_plugin.evaluation.score_table import format_score_table
from cmdg_plugin.files.writing import dump_whole, write_whole
from cmdg_plugin.registry import HOOKS

_BEFORE = 'scores_before_training'
_LOGS = 'training_logs'
# What a full disk, an image that is gone, a font or a figure may raise.
_FAILURES = (OSError, ValueError, TypeError, RuntimeError, LookupError, ArithmeticError, MemoryError)


@HOOKS.register_module()
class ResultsHook(Hook):
    """Writes what a run achieved into its work folder.

    After training: the last scores, beside those before the first epoch where they were taken, as a table in the log
    and in `results.md`, as numbers in `results.json`; pictures of ranked queries in `ranked/`; `curves.png`. After a
    test: the table, and pictures if `show_dir` is given. What of these cannot be written is an error in the log and
    leaves the others, and the training, as they are.

    A target that holds images of a dataset on which the model was trained is marked in the tables, with the names, and
    is among the `overlaps` of `results.json`.

    Args:
        show_dir: Folder for pictures after a test; set by `tools/test.py --show-dir`.
    """

    # After the logger, so that its files are complete.
    priority = 'LOWEST'

    def __init__(self, show_dir: str | None = None) -> None:
        self.show_dir = show_dir
        self._last: dict[str, float] = {}
        self._trained_on: set[str] = set()
        self._knows_training = True

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Note what the weights were trained on."""
        try:
            settings = parse_stored_config(checkpoint, 'loaded')
        except ValueError:
            settings = {}
        self._note_training(settings)

    def before_train(self, runner: Runner) -> None:
        """Note this run's log beside those of the runs that it goes on from, for curves of the whole."""
        self._note_training(runner.cfg)
        earlier = runner.message_hub.get_info(_LOGS) or []
        runner.message_hub.update_info(_LOGS, [*earlier, str(_log_of(runner).resolve())])

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Keep the scores, and those before training also across a resume."""
        self._last = dict(metrics or {})
        if runner.epoch == 0:
            runner.message_hub.update_info(_BEFORE, self._last)

    @master_only
    def after_train(self, runner: Runner) -> None:
        """Write table, numbers and pictures."""
        folder = Path(runner.work_dir)
        if self._last:
            before = runner.message_hub.get_info(_BEFORE)
            marks = self.overlaps(self._last)
            numbers = {'before': before, 'after': self._last, **({'overlaps': marks} if marks else {})}
            _try(runner, 'results.json', lambda: dump_whole(numbers, folder / 'results.json'))
            _try(runner, 'results.md', lambda: _write_table(runner, before, self._last, folder, marks))
            _try(
                runner,
                'pictures of ranked queries',
                lambda: _draw_ranked(runner, runner.val_evaluator.metrics, folder / 'ranked'),
            )
        _try(runner, 'curves.png', lambda: _draw_curves(runner, folder))

    @master_only
    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Show the table, and draw pictures if a folder is given."""
        if metrics:
            runner.logger.info(f'Scores (percent)\n{format_score_table(metrics, marks=self.overlaps(metrics))}')
        if self.show_dir is not None:
            _draw_ranked(runner, runner.test_evaluator.metrics, Path(self.show_dir))

    def _note_training(self, settings: Mapping[str, Any]) -> None:
        found = trained_datasets(settings)
        self._trained_on |= found or set()
        self._knows_training &= found is not None

    def overlaps(self, metrics: Mapping[str, float]) -> dict[str, str]:
        """What must be said of targets that hold images which the model was trained on, by target."""
        targets = list(dict.fromkeys(key.rpartition('/')[0] for key in metrics))
        return mark_overlaps(targets, self._trained_on, self._knows_training)


def _try(runner: Runner, what: str, make: Callable[[], None]) -> None:
    """Make something that the training does not depend on."""
    try:
        make()
    except _FAILURES as error:
        runner.logger.error(
            f'{what} could not be made ({type(error).__name__}: {error}). The training is done, its checkpoint saved.'
        )
        runner.logger.log(logging.DEBUG, traceback.format_exc())


def _write_table(
    runner: Runner,
    before: dict[str, float] | None,
    after: dict[str, float],
    folder: Path,
    marks: dict[str, str],
) -> None:
    runner.logger.info(f'Scores (percent)\n{format_score_table(after, before=before, marks=marks)}')
    table = format_score_table(after, before=before, style='markdown', marks=marks)
    write_whole(folder / 'results.md', table + '\n')


def _draw_ranked(runner: Runner, metrics: Iterable[Any], folder: Path) -> None:
    from cmdg_plugin.visualization import draw_ranked_queries  # here, as matplotlib takes long to import

    for metric in metrics:
        for queries in getattr(metric, 'ranked', {}).values():
            draw_ranked_queries(queries, folder)
    if folder.is_dir():
        runner.logger.info(f'Pictures of ranked queries: {folder}')


def _draw_curves(runner: Runner, folder: Path) -> None:
    # A folder that was moved holds the logs of its own runs under another name.
    logs = [Path(log) for log in runner.message_hub.get_info(_LOGS) or [_log_of(runner)]]
    logs = [log if log.is_file() else folder.joinpath(*log.parts[-3:]) for log in logs]
    found = [log for log in logs if log.is_file()]
    if len(found) < len(logs):
        runner.logger.warning(
            f'curves.png lacks what {len(logs) - len(found)} earlier runs logged: their files are gone.'
        )
    if found:
        from cmdg_plugin.visualization import draw_curves  # here, as matplotlib takes long to import

        draw_curves(found, folder / 'curves.png')
        runner.logger.info(f'Curves of losses and scores: {folder / "curves.png"}')


def _log_of(runner: Runner) -> Path:
    return Path(runner.log_dir) / 'vis_data' / 'scalars.json'
