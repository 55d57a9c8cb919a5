import pytest
from mmengine.config import Config

from cmdg_plugin.registry import MODELS


def test_what_is_not_a_stage_is_refused(tiny_config: Config) -> None:
    """Stages that are: tests/docs/test_extend.py adds one, tests/models/test_cmdg_reid.py runs the method's three."""
    tiny_config.model.stages = {'captions': {'type': 'ReIDDataPreprocessor'}}
    with pytest.raises(ValueError, match=r'model\.stages\.captions: ReIDDataPreprocessor is not a TrainingStage'):
        MODELS.build(tiny_config.model)
