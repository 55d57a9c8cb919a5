"""A stage of a user's own: one class, one entry in `model.stages`, its terms and its place in the run."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import Tensor

from cmdg_plugin.models import CMDGReID
from cmdg_plugin.models.stages import Preparation, TrainingStage
from cmdg_plugin.registry import MODELS


@dataclass
class CaptionPair:
    image: Tensor
    text: Tensor


@MODELS.register_module()
class CaptionStage(TrainingStage):
    """Images learn the direction of their global captions before they learn identities."""

    fields: ClassVar = CaptionPair
    reads_text = True
    captions: Tensor

    def prepare(self, model: CMDGReID, preparation: Preparation) -> None:
        self.captions = preparation.caption_features(None)[:, -1]

    def compute(self, model: CMDGReID, batch: Mapping[str, Any]) -> CaptionPair:
        rows = torch.tensor([sample.image_index for sample in batch['data_samples']])
        return CaptionPair(model.backbone.encode_image(batch['inputs']).shared_regions[-1], self.captions[rows])


def with_caption_stage(config: Config) -> Config:
    config = copy.deepcopy(config)
    config.model.stages = {'captions': {'type': 'CaptionStage'}}
    config.model.losses.captions = [{'type': 'DistributionAlignmentLoss', 'name': 'alignment'}]
    config.train_cfg.stages.insert(0, {'name': 'captions', 'epochs': 1, 'trainable': ['image']})
    config.custom_hooks.append({**config.custom_hooks[0], 'type': 'StagePreparationHook', 'stage': 'captions'})
    return config


def test_it_trains_before_the_others_and_resumes(tiny_config: Config):
    config = with_caption_stage(tiny_config)
    config.default_hooks.checkpoint.max_keep_ckpts = -1
    runner = Runner.from_cfg(config)
    runner.train()
    scalars = runner.message_hub.log_scalars
    assert len(scalars['train/loss_alignment'].data[0]) > 0
    whole = {name: value.clone() for name, value in runner.model.state_dict().items()}
    again = with_caption_stage(tiny_config)
    folder = tiny_config.work_dir
    again.update(resume=True, load_from=f'{folder}/epoch_1.pth', work_dir=f'{folder}_again', experiment_name='again')
    resumed = Runner.from_cfg(again)
    resumed.train()
    assert [name for name, value in resumed.model.state_dict().items() if not torch.equal(value, whole[name])] == []


def test_its_fields_are_known_before_training(tiny_config: Config):
    config = with_caption_stage(tiny_config)
    config.model.losses.captions[0]['inputs'] = {'text': 'captions'}
    with pytest.raises(ValueError, match="reads the field 'captions', but there are only: image, text"):
        Runner.from_cfg(config).train()


def test_what_is_not_a_stage_is_refused(tiny_config: Config):
    tiny_config.model.stages = {'captions': {'type': 'ReIDDataPreprocessor'}}
    with pytest.raises(ValueError, match=r'model\.stages\.captions: ReIDDataPreprocessor is not a TrainingStage'):
        MODELS.build(tiny_config.model)
