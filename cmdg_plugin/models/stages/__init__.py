"""Stages of training, one object in one file each."""

from cmdg_plugin.models.stages.base import Preparation, TrainingStage
from cmdg_plugin.models.stages.bridging import BridgingFields, BridgingStage
from cmdg_plugin.models.stages.prompt import PromptFields, PromptStage
from cmdg_plugin.models.stages.warmup import ImageFields, WarmupStage

__all__ = [
    'BridgingFields',
    'BridgingStage',
    'ImageFields',
    'Preparation',
    'PromptFields',
    'PromptStage',
    'TrainingStage',
    'WarmupStage',
]
