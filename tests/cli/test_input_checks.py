from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from cmdg_plugin.cli.input_checks import check_checkpoint, check_data


def test_a_checkpoint_is_what_torch_writes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'^No checkpoint at nowhere\.pth\.$'):
        check_checkpoint('nowhere.pth')
    for name, new in (('new.pth', True), ('old.pth', False)):
        torch.save({'state_dict': {}}, tmp_path / name, _use_new_zipfile_serialization=new)
        check_checkpoint(tmp_path / name)
    check_checkpoint('https://example.org/weights.pth')
    (tmp_path / 'README.md').write_text('# CMDG')
    with pytest.raises(ValueError, match=r'README\.md is not a checkpoint that torch has written'):
        check_checkpoint(tmp_path / 'README.md')


def test_missing_data_lead_to_the_tool_that_finds_all_of_it(tmp_path: Path) -> None:
    sources = [{'type': 'BenchmarkSource', 'name': 'viper', 'data_root': str(tmp_path)}]
    config = Config({'train_dataloader': {'dataset': {'sources': sources}}}, filename=str(Path(__file__)))
    with pytest.raises(FileNotFoundError, match=r'(?s)viper was not found.*check_data\.py --config \S+\.py`'):
        check_data(config, 'train_dataloader')
