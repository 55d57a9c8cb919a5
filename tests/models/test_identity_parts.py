import copy

import pytest
import torch
from helpers.stage_batches import DOMAINS, IDENTITIES, bound_model
from mmengine.config import Config

from cmdg_plugin.models import CMDGReID
from cmdg_plugin.registry import MODELS


def test_features_need_no_identities_and_leave_those_of_a_checkpoint_aside(
    model: CMDGReID, tiny_config: Config
) -> None:
    plain = MODELS.build(copy.deepcopy(tiny_config.model))
    missing, unexpected = plain.load_state_dict(model.state_dict(), strict=False)
    assert not missing
    assert not unexpected
    inputs = torch.rand(2, 3, 24, 16)
    assert torch.equal(plain.eval()(inputs), model.eval()(inputs))


def test_checkpoint_of_other_identities_is_refused_with_both_numbers(model: CMDGReID, tiny_config: Config) -> None:
    other = MODELS.build(copy.deepcopy(tiny_config.model))
    other.bind_identities([0, 0, 1, 1])
    with pytest.raises(ValueError, match=r'5 identities .*this data has 2'):
        other.load_state_dict(model.state_dict())


def test_weights_of_another_model_are_refused(model: CMDGReID, tiny_config: Config) -> None:
    plain = MODELS.build(copy.deepcopy(tiny_config.model))
    with pytest.raises(ValueError, match=r'belongs to another model: backbone\.\S+ is missing; .* more'):
        plain.load_state_dict({'foo.bar': torch.zeros(2)}, strict=False)
    state = model.state_dict()
    state['backbone.clip.visual.proj'] = torch.zeros(3, 3)
    with pytest.raises(ValueError, match=r'backbone\.clip\.visual\.proj is \(3, 3\), here \(32, 16\)'):
        plain.load_state_dict(state)
    tiny_config.model.backbone.part_attention = True
    parts = MODELS.build(copy.deepcopy(tiny_config.model))
    with pytest.raises(ValueError, match=r'part_tokens\.offsets is missing\. .*part_attention'):
        parts.load_state_dict(plain.state_dict())
    with pytest.raises(ValueError, match=r'part_tokens\.offsets has no place here\. .*part_attention'):
        plain.load_state_dict(parts.state_dict())


@pytest.mark.parametrize('identities', [[0, 2], [1, 2], [], [[0, 1]]], ids=str)
def test_identities_with_gaps_are_refused(tiny_config: Config, identities: list) -> None:
    with pytest.raises(ValueError, match='numbered from 0 without gaps'):
        MODELS.build(tiny_config.model).bind_identities(identities)


def test_a_model_is_bound_to_one_set_of_images(model: CMDGReID) -> None:
    model.bind_identities(IDENTITIES)
    with pytest.raises(ValueError, match='bound to 15 images and cannot be bound to 3 others'):
        model.bind_identities([0, 1, 1])
    with pytest.raises(ValueError, match='cannot be bound'):
        model.bind_identities(IDENTITIES, DOMAINS)


def test_parts_have_the_sizes_of_data_and_backbone(model: CMDGReID) -> None:
    assert model.head.classifier_width.weight.shape == (5, 32)
    assert model.head.classifier_shared.weight.shape == (5, 16)
    assert len(model.prompts.context) == 5
    assert model.memory.image.shape == (15, 3, 16)
    assert not model.memory.save_text


def test_there_is_a_bank_where_a_term_of_any_stage_reads_it(model: CMDGReID, tiny_config: Config) -> None:
    tiny_config.model.losses.bridging = [term for term in tiny_config.model.losses.bridging if term.name == 'prompt']
    without = bound_model(tiny_config.model)
    assert without.memory is None
    assert not any(name.startswith('memory') for name in without.state_dict())
    missing, unexpected = without.load_state_dict(model.state_dict(), strict=False)
    assert not missing
    assert not unexpected


def test_cached_tensors_follow_the_model(model: CMDGReID) -> None:
    model.image_features = torch.zeros(15, 4, 16)
    model.stages['bridging'].prompt_features = torch.zeros(5, 16)
    model.double()
    assert model.image_features.dtype == model.stages['bridging'].prompt_features.dtype == torch.float64
    assert model.stages['bridging'].caption_global is None
    assert not any('stages' in name for name in model.state_dict())
