"""Pictures of training images and ranked queries, and curves of a run."""

from cmdg_plugin.visualization.curves import draw_curves, plot_training_log
from cmdg_plugin.visualization.ranked_pictures import draw_ranked_queries, draw_ranked_query
from cmdg_plugin.visualization.training_grid import draw_training_grid
from cmdg_plugin.visualization.training_log import StageSpan, TrainingLog, read_training_log
from cmdg_plugin.visualization.training_pictures import TrainingPicture, take_training_pictures

__all__ = [
    'StageSpan',
    'TrainingLog',
    'TrainingPicture',
    'draw_curves',
    'draw_ranked_queries',
    'draw_ranked_query',
    'draw_training_grid',
    'plot_training_log',
    'read_training_log',
    'take_training_pictures',
]
