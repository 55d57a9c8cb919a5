"""Variations of a config over seeds, and what each of them brings."""

from cmdg_plugin.ablation.grid import Grid, Row, read_grid
from cmdg_plugin.ablation.planning import Run, check_unchanged, list_sources, plan_runs
from cmdg_plugin.ablation.report import write_report
from cmdg_plugin.ablation.running import Outcome, Trainings
from cmdg_plugin.ablation.statistics import Estimate, estimate_difference, estimate_mean

__all__ = [
    'Estimate',
    'Grid',
    'Outcome',
    'Row',
    'Run',
    'Trainings',
    'check_unchanged',
    'estimate_difference',
    'estimate_mean',
    'list_sources',
    'plan_runs',
    'read_grid',
    'write_report',
]
