"""Model, backbone, prompts, head, memory bank and losses."""

from cmdg_plugin.models.augmentation import BatchAugmentation
from cmdg_plugin.models.backbones import TextAwareCLIP
from cmdg_plugin.models.cmdg_reid import CMDGReID
from cmdg_plugin.models.data_preprocessor import ReIDDataPreprocessor
from cmdg_plugin.models.feature_retriever import FeatureRetriever
from cmdg_plugin.models.heads import ReIDHead
from cmdg_plugin.models.losses import LossTerms
from cmdg_plugin.models.memory import CaptionMemoryBank
from cmdg_plugin.models.prompts import IdentityPrompt

__all__ = [
    'BatchAugmentation',
    'CMDGReID',
    'CaptionMemoryBank',
    'FeatureRetriever',
    'IdentityPrompt',
    'LossTerms',
    'ReIDDataPreprocessor',
    'ReIDHead',
    'TextAwareCLIP',
]
