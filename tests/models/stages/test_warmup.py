import pytest
import torch
from helpers.stage_batches import DOMAINS, IMAGE_SIDE, Given, batch, bound_model
from mmengine.config import Config
from mmpretrain.structures import DataSample

from cmdg_plugin.models import CMDGReID


def test_fields_say_domain_and_epoch_of_every_sample(tiny_config: Config) -> None:
    model = bound_model(tiny_config.model, DOMAINS)
    model.start_stage('warmup', IMAGE_SIDE)
    model.start_epoch(3)
    fields = model.stages['warmup'].compute(model, model.data_preprocessor(batch([1, 7, 14])))
    assert fields.domains.tolist() == [0, 1, 1]
    assert fields.image_index.tolist() == [1, 7, 14]
    assert fields.epoch == 3
    model.start_stage('prompt', ['prompts'])
    model.prepare_stage(Given())
    fields = model.stages['prompt'].compute(model, {'image_index': torch.tensor([9, 0])})
    assert fields.domains.tolist() == [1, 0]


def test_samples_without_position_are_refused(model: CMDGReID) -> None:
    model.start_stage('warmup', IMAGE_SIDE)
    wrong = batch([0, 1])
    wrong['data_samples'][1] = DataSample().set_gt_label(0)
    with pytest.raises(ValueError, match="add 'image_index'"):
        model(**model.data_preprocessor(wrong), mode='loss')
