"""Ranking, the metric on top of it, and the tables that show its scores."""

from cmdg_plugin.evaluation.ranked_queries import RankedQuery
from cmdg_plugin.evaluation.ranking import RetrievalResult, rank_distances, rank_retrieval
from cmdg_plugin.evaluation.reid_metric import ReIDMetric
from cmdg_plugin.evaluation.reranking import Reranking, rank_reranked, rerank_distances
from cmdg_plugin.evaluation.score_table import format_score_table

__all__ = [
    'RankedQuery',
    'ReIDMetric',
    'Reranking',
    'RetrievalResult',
    'format_score_table',
    'rank_distances',
    'rank_reranked',
    'rank_retrieval',
    'rerank_distances',
]
