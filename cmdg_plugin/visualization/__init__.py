"""Pictures of ranked queries and curves of a run."""

from cmdg_plugin.visualization.curves import draw_curves, plot_training_log
from cmdg_plugin.visualization.ranked_pictures import draw_ranked_queries, draw_ranked_query
from cmdg_plugin.visualization.training_log import StageSpan, TrainingLog, read_training_log

__all__ = [
    'StageSpan',
    'TrainingLog',
    'draw_curves',
    'draw_ranked_queries',
    'draw_ranked_query',
    'plot_training_log',
    'read_training_log',
]
