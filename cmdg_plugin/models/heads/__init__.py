"""Heads: what training needs on top of the features."""

from cmdg_plugin.models.heads.reid_head import ReIDHead

__all__ = ['ReIDHead']
