"""Where images, identities, cameras and captions come from."""

from cmdg_plugin.datasets.sources.benchmark_source import BenchmarkSource
from cmdg_plugin.datasets.sources.benchmarks import BENCHMARKS, get_benchmark
from cmdg_plugin.datasets.sources.caption_file_source import CaptionFileSource
from cmdg_plugin.datasets.sources.index import ReIDSource, SourceIndex, SourceRecord, SourceSplit
from cmdg_plugin.datasets.sources.islands_source import IslandsSource
from cmdg_plugin.datasets.sources.own_source import OwnSource
from cmdg_plugin.datasets.sources.torchreid_source import TorchreidSource

__all__ = [
    'BENCHMARKS',
    'BenchmarkSource',
    'CaptionFileSource',
    'IslandsSource',
    'OwnSource',
    'ReIDSource',
    'SourceIndex',
    'SourceRecord',
    'SourceSplit',
    'TorchreidSource',
    'get_benchmark',
]
