"""Ends a run with a table of scores, ranked pictures and curves."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mmengine.dist import master_only
from mmengine.fileio import dump
from mmengine.hooks import Hook
from mmengine.runner import Runner

from cmdg_plugin.evaluation.score_table import format_score_table
from cmdg_plugin.registry import HOOKS
from cmdg_plugin.visualization import draw_curves, draw_ranked_queries

_BEFORE = 'scores_before_training'


@HOOKS.register_module()
class ResultsHook(Hook):
    """Writes what a run achieved into its work folder.

    After training: the last scores, beside those before the first epoch where they were taken, as a table in the log
    and in `results.md`, as numbers in `results.json`; pictures of ranked queries in `ranked/`; `curves.png`. After a
    test: the table, and pictures if `show_dir` is given.

    Args:
        show_dir: Folder for pictures after a test; set by `tools/test.py --show-dir`.
    """

    # After the logger, so that its files are complete.
    priority = 'LOWEST'

    def __init__(self, show_dir: str | None = None) -> None:
        self.show_dir = show_dir
        self._last: dict[str, float] = {}

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
            runner.logger.info(f'Scores (percent)\n{format_score_table(self._last, before=before)}')
            text = format_score_table(self._last, before=before, style='markdown')
            (folder / 'results.md').write_text(text + '\n', encoding='utf-8')
            dump({'before': before, 'after': self._last}, folder / 'results.json')
            self._draw_ranked(runner, runner.val_evaluator.metrics, folder / 'ranked')
        log = Path(runner.log_dir) / 'vis_data' / 'scalars.json'
        if log.is_file():
            draw_curves(log, folder / 'curves.png')
            runner.logger.info(f'Curves of losses and scores: {folder / "curves.png"}')

    @master_only
    def after_test_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Show the table, and draw pictures if a folder is given."""
        if metrics:
            runner.logger.info(f'Scores (percent)\n{format_score_table(metrics)}')
        if self.show_dir is not None:
            self._draw_ranked(runner, runner.test_evaluator.metrics, Path(self.show_dir))

    def _draw_ranked(self, runner: Runner, metrics: Iterable[Any], folder: Path) -> None:
        for metric in metrics:
            for queries in getattr(metric, 'ranked', {}).values():
                draw_ranked_queries(queries, folder)
        if folder.is_dir():
            runner.logger.info(f'Pictures of ranked queries: {folder}')
