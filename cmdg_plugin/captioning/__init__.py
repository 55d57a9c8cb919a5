"""Captions for people's own images: generation at scale, checks, and a report on caption files."""

from cmdg_plugin.captioning.backends import CAPTION_BACKENDS, CaptionAnswer, CaptionBackend, CaptionRequest
from cmdg_plugin.captioning.generation import CaptionJob, generate_captions
from cmdg_plugin.captioning.items import iterate_items
from cmdg_plugin.captioning.merging import merge_shards
from cmdg_plugin.captioning.output import RunSummary
from cmdg_plugin.captioning.prompts import DEFAULT_PROMPTS, PromptBook, load_prompts
from cmdg_plugin.captioning.settings import CaptionSettings
from cmdg_plugin.captioning.shards import Shard
from cmdg_plugin.clip_length import ClipLength

__all__ = [
    'CAPTION_BACKENDS',
    'DEFAULT_PROMPTS',
    'CaptionAnswer',
    'CaptionBackend',
    'CaptionJob',
    'CaptionRequest',
    'CaptionSettings',
    'ClipLength',
    'PromptBook',
    'RunSummary',
    'Shard',
    'generate_captions',
    'iterate_items',
    'load_prompts',
    'merge_shards',
]
