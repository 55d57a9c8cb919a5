"""Say what is wrong with the data of a config, which public datasets are there, and which protocols they allow."""

from cmdg_plugin.datasets.checking.caption_check import CaptionCheck, check_captions
from cmdg_plugin.datasets.checking.config_check import ConfigCheck, Problem, check_config
from cmdg_plugin.datasets.checking.config_report import draw_config_check
from cmdg_plugin.datasets.checking.dataset_check import DatasetCheck, check_dataset, check_datasets
from cmdg_plugin.datasets.checking.protocols import PROTOCOLS, Protocol, find_obstacles
from cmdg_plugin.datasets.checking.report import draw_table, explain

__all__ = [
    'PROTOCOLS',
    'CaptionCheck',
    'ConfigCheck',
    'DatasetCheck',
    'Problem',
    'Protocol',
    'check_captions',
    'check_config',
    'check_dataset',
    'check_datasets',
    'draw_config_check',
    'draw_table',
    'explain',
    'find_obstacles',
]
