"""Say which datasets are there, whether they are complete, and which protocols can be run on them."""

from cmdg_plugin.datasets.checking.caption_check import CaptionCheck, check_captions
from cmdg_plugin.datasets.checking.dataset_check import DatasetCheck, check_dataset, check_datasets
from cmdg_plugin.datasets.checking.protocols import PROTOCOLS, Protocol, find_obstacles
from cmdg_plugin.datasets.checking.report import draw_table, explain

__all__ = [
    'PROTOCOLS',
    'CaptionCheck',
    'DatasetCheck',
    'Protocol',
    'check_captions',
    'check_dataset',
    'check_datasets',
    'draw_table',
    'explain',
    'find_obstacles',
]
