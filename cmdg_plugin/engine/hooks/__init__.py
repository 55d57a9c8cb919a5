"""Hooks that prepare stages and report results."""

from cmdg_plugin.engine.hooks.domain_bridging_hook import DomainBridgingHook
from cmdg_plugin.engine.hooks.prompt_learning_hook import PromptLearningHook
from cmdg_plugin.engine.hooks.results_hook import ResultsHook
from cmdg_plugin.engine.hooks.stage_resume_hook import StageResumeHook

__all__ = ['DomainBridgingHook', 'PromptLearningHook', 'ResultsHook', 'StageResumeHook']
