"""Where images, identities, cameras and captions come from."""

from cmdg_plugin.datasets.sources.caption_file_source import CaptionFileSource
from cmdg_plugin.datasets.sources.index import ReIDSource, SourceIndex, SourceRecord, SourceSplit
from cmdg_plugin.datasets.sources.islands_source import IslandsSource

__all__ = ['CaptionFileSource', 'IslandsSource', 'ReIDSource', 'SourceIndex', 'SourceRecord', 'SourceSplit']
