import argparse
import os
from pathlib import Path

import pytest

from cmdg_plugin.apis.command_line import DATA_ROOT_VARIABLE, add_shared_arguments, load_config

REPOSITORY = Path(__file__).parents[2]
TOY = str(REPOSITORY / 'configs/cmdg/cmdg_toy-vit_islands.py')


def parse(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    add_shared_arguments(parser)
    return parser.parse_args([TOY, *arguments])


def test_work_dir_comes_from_the_arguments_or_the_configs_name():
    assert load_config(parse()).work_dir == 'work_dirs/cmdg_toy-vit_islands'
    assert load_config(parse('--work-dir', 'elsewhere')).work_dir == 'elsewhere'


def test_options_reach_single_stages():
    config = load_config(parse('--cfg-options', 'train_cfg.stages.0.epochs=1'))
    assert config.train_cfg.stages[0].epochs == 1


def test_data_root_reaches_every_path_below_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(os.environ, DATA_ROOT_VARIABLE, 'unused')
    config = load_config(parse('--cfg-options', 'data_root=/somewhere'))
    sources = [*config.train_dataloader.dataset.sources, *config.test_dataloader.dataset.targets]
    assert {source.root for source in sources} == {'/somewhere/islands'}


def test_missing_config_is_named():
    arguments = parse()
    arguments.config = 'nowhere.py'
    with pytest.raises(FileNotFoundError, match=r'nowhere\.py'):
        load_config(arguments)
