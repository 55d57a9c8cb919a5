"""Backbones: CLIP towers that read images and texts."""

from cmdg_plugin.models.backbones.region_pooling import pool_regions, pool_stripes
from cmdg_plugin.models.backbones.shipped_models import SHIPPED_MODELS, ShippedModel
from cmdg_plugin.models.backbones.text_aware_clip import ImageFeatures, TextAwareCLIP

__all__ = ['SHIPPED_MODELS', 'ImageFeatures', 'ShippedModel', 'TextAwareCLIP', 'pool_regions', 'pool_stripes']
