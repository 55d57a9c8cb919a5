"""Ranking, the metric on top of it, and the tables that show its scores."""

from cmdg_plugin.evaluation.ranked_queries import RankedQuery
from cmdg_plugin.evaluation.ranking import RetrievalResult, rank_distances, rank_retrieval
from cmdg_plugin.evaluation.reid_metric import ReIDMetric
from cmdg_plugin.evaluation.score_table import format_score_table

__all__ = ['RankedQuery', 'ReIDMetric', 'RetrievalResult', 'format_score_table', 'rank_distances', 'rank_retrieval']
