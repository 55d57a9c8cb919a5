"""Images, people and captions: sources, datasets, samplers, transforms."""

from cmdg_plugin.datasets import transforms
from cmdg_plugin.datasets.caption_fields import CaptionRecord
from cmdg_plugin.datasets.captions import load_captions
from cmdg_plugin.datasets.evaluation_set import EvaluationSplit, EvaluationTarget, ReIDEvaluationSet, make_target
from cmdg_plugin.datasets.reid_dataset import CaptionedReIDDataset
from cmdg_plugin.datasets.sample_indices import SampleIndices, collate_sample_indices
from cmdg_plugin.datasets.sentence_files import load_sentences
from cmdg_plugin.datasets.text_search_set import TextSearchSet
from cmdg_plugin.datasets.worker_seeding import seed_worker

__all__ = [
    'CaptionRecord',
    'CaptionedReIDDataset',
    'EvaluationSplit',
    'EvaluationTarget',
    'ReIDEvaluationSet',
    'SampleIndices',
    'TextSearchSet',
    'collate_sample_indices',
    'load_captions',
    'load_sentences',
    'make_target',
    'seed_worker',
    'transforms',
]
