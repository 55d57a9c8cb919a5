"""The staged run: loop, hooks, schedules, logging."""

from cmdg_plugin.engine.atomic_backend import AtomicLocalBackend
from cmdg_plugin.engine.hooks import DomainBridgingHook, PromptLearningHook, ResultsHook, StagePreparationHook
from cmdg_plugin.engine.layer_decay import LayerDecayConstructor
from cmdg_plugin.engine.mixed_precision import CPUBFloat16OptimWrapper
from cmdg_plugin.engine.schedules import WarmupCosineLR
from cmdg_plugin.engine.stage_logging import StageLogProcessor
from cmdg_plugin.engine.staged_train_loop import StagedTrainLoop

__all__ = [
    'AtomicLocalBackend',
    'CPUBFloat16OptimWrapper',
    'DomainBridgingHook',
    'LayerDecayConstructor',
    'PromptLearningHook',
    'ResultsHook',
    'StageLogProcessor',
    'StagePreparationHook',
    'StagedTrainLoop',
    'WarmupCosineLR',
]
