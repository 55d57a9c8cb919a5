from pathlib import Path

import pytest
from mmengine.config import Config

from cmdg_plugin.cli.choosing_alpha import check_held_out


def test_targets_and_trained_sources_are_refused(tiny_config: Config, tiny_data: Path) -> None:
    target = {**tiny_config.test_dataloader.dataset.targets[0]}
    with pytest.raises(ValueError, match='What is chosen by a target is fitted to it'):
        check_held_out(tiny_config, {})
    tiny_config.test_dataloader.dataset.targets = [{'type': 'HeldOutSource', 'source': target}]
    check_held_out(tiny_config, {'meta': {'dataset_meta': {'fingerprints': {'alpha': '1', 'beta': '2'}}}})
    with pytest.raises(ValueError, match='was trained on target, so its scores there say nothing'):
        check_held_out(tiny_config, {'meta': {'dataset_meta': {'fingerprints': {'alpha': '1', 'target': '2'}}}})
    with pytest.raises(ValueError, match=r'was moved back to its pretrained weights before \(alpha 0\.5\)'):
        check_held_out(tiny_config, {'meta': {'interpolation': {'alpha': 0.5}}})
