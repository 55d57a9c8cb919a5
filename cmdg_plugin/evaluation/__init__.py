"""Ranking, the metric on top of it, and the tables that show its scores."""

from cmdg_plugin.evaluation.ranking import RetrievalResult, rank_distances, rank_retrieval

__all__ = ['RetrievalResult', 'rank_distances', 'rank_retrieval']
