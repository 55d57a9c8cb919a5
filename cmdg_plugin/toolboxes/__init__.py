"""Bridges to ReID toolboxes: our data and models in their hands."""

from cmdg_plugin.toolboxes.torchreid_datasets import register_benchmarks, register_islands, register_source
from cmdg_plugin.toolboxes.torchreid_evaluation import evaluate_with_torchreid
from cmdg_plugin.toolboxes.torchreid_training import train_with_torchreid
from cmdg_plugin.toolboxes.torchreid_transform import TorchreidTransform

__all__ = [
    'TorchreidTransform',
    'evaluate_with_torchreid',
    'register_benchmarks',
    'register_islands',
    'register_source',
    'train_with_torchreid',
]
