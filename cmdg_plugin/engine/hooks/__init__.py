"""Hooks that prepare stages and report results."""

from cmdg_plugin.engine.hooks.results_hook import ResultsHook
from cmdg_plugin.engine.hooks.sentence_query_hook import SentenceQueryHook
from cmdg_plugin.engine.hooks.stage_iter_timer_hook import StageIterTimerHook
from cmdg_plugin.engine.hooks.stage_preparation_hook import DomainBridgingHook, PromptLearningHook, StagePreparationHook
from cmdg_plugin.engine.hooks.stage_resume_hook import StageResumeHook
from cmdg_plugin.engine.hooks.term_gradient_hook import MeasuredTerms, TermGradientHook
from cmdg_plugin.engine.hooks.weight_averaging_hook import WeightAveragingHook

__all__ = [
    'DomainBridgingHook',
    'MeasuredTerms',
    'PromptLearningHook',
    'ResultsHook',
    'SentenceQueryHook',
    'StageIterTimerHook',
    'StagePreparationHook',
    'StageResumeHook',
    'TermGradientHook',
    'WeightAveragingHook',
]
