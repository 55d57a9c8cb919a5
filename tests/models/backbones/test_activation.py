"""What tells the activation, and who has the last word; features by every road: test_weight_roads.py."""

from pathlib import Path

import pytest

from cmdg_plugin.models.backbones.activation import choose_activation
from cmdg_plugin.models.backbones.architecture import find_model_config
from cmdg_plugin.models.backbones.weight_config import WeightConfig
from cmdg_plugin.models.backbones.weights import PretrainedWeights


def test_a_lone_file_of_a_quickgelu_model_needs_no_answer(tmp_path: Path) -> None:
    """The real names: open_clip's 'ViT-B-16-quickgelu' says it, 'ViT-B-16' does not, SigLIP has no such weights."""
    lone = PretrainedWeights({}, None, tmp_path)
    for name, expected in {'ViT-B-16-quickgelu': True, 'ViT-B-16-SigLIP': False, 'EVA02-B-16': False}.items():
        assert choose_activation(name, find_model_config(name), lone, None) is expected
    for name in ('ViT-B-16', 'ViT-L-14-336', 'RN50'):
        with pytest.raises(ValueError, match='quick_gelu=True'):
            choose_activation(name, find_model_config(name), lone, None)


@pytest.mark.parametrize(
    ('stated', 'told', 'asked', 'chosen', 'said'),
    [
        (None, True, None, True, 'run with QuickGELU, as its config says.'),
        (False, False, None, False, 'run with GELU, as its config says.'),
        (None, True, False, False, 'run with GELU, as quick_gelu=False says, against its config (QuickGELU).'),
        (True, False, True, True, 'run with QuickGELU, as quick_gelu=True says, against its config (GELU).'),
        (True, None, None, True, 'run with QuickGELU, as the configuration of the model says.'),
    ],
)
def test_user_file_and_config_tell_the_activation_in_this_order(
    stated: bool | None, told: bool | None, asked: bool | None, chosen: bool, said: str, log: pytest.LogCaptureFixture
) -> None:
    config = {'vision_cfg': {}, 'text_cfg': {}, 'quick_gelu': stated}
    weights = PretrainedWeights({}, told, Path('a.pt'), 'its config')
    assert choose_activation('a-model', config, weights, asked) is chosen
    assert log.messages == [f'Weights of a-model: a.pt, {said}']


def test_without_weights_the_model_and_its_user_decide() -> None:
    config = {'vision_cfg': {}, 'text_cfg': {}, 'quick_gelu': True}
    assert choose_activation('a-model', config, None, None)
    assert not choose_activation('a-model', config, None, False)


def test_contradictions_and_other_heads_are_refused() -> None:
    config = {'vision_cfg': {'width': 32, 'head_width': 16}, 'text_cfg': {'heads': 2}, 'quick_gelu': True}
    told = PretrainedWeights({}, False, Path('a.pt'), 'its config')
    with pytest.raises(ValueError, match="trained with GELU, as its config says, but 'a-model' is a model with Quick"):
        choose_activation('a-model', config, told, None)
    for heads, message in (((4, 2), '4 attention heads for images, the model has 2'), ((2, 4), '4 .* for texts')):
        told.config = WeightConfig(Path('c.json'), True, *heads)
        with pytest.raises(ValueError, match=message):
            choose_activation('a-model', config, told, True)
