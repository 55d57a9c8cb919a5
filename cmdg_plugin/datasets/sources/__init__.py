"""Where images, identities, cameras and captions come from."""

from cmdg_plugin.datasets.sources.benchmark_source import BenchmarkSource, TorchreidSource
from cmdg_plugin.datasets.sources.benchmarks import BENCHMARKS, TEXT_BENCHMARKS, get_benchmark
from cmdg_plugin.datasets.sources.caption_file_source import CaptionFileSource
from cmdg_plugin.datasets.sources.held_out_source import HeldOutSource
from cmdg_plugin.datasets.sources.index import ReIDSource, SourceIndex, SourceRecord, SourceSplit
from cmdg_plugin.datasets.sources.islands_source import IslandsSource
from cmdg_plugin.datasets.sources.own_source import OwnSource
from cmdg_plugin.datasets.sources.sentence_file_source import SentenceFileSource

__all__ = [
    'BENCHMARKS',
    'TEXT_BENCHMARKS',
    'BenchmarkSource',
    'CaptionFileSource',
    'HeldOutSource',
    'IslandsSource',
    'OwnSource',
    'ReIDSource',
    'SentenceFileSource',
    'SourceIndex',
    'SourceRecord',
    'SourceSplit',
    'TorchreidSource',
    'get_benchmark',
]
