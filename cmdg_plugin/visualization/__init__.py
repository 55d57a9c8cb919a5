"""Pictures of a run: ranked results and curves."""

from cmdg_plugin.visualization.curves import draw_curves, read_scalars
from cmdg_plugin.visualization.ranked_pictures import draw_ranked_queries, draw_ranked_query

__all__ = ['draw_curves', 'draw_ranked_queries', 'draw_ranked_query', 'read_scalars']
