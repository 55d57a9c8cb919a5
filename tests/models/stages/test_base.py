import pytest
import torch
from helpers.stage_batches import IMAGE_SIDE, Given, batch, losses_of, prepare_bridging
from mmengine.config import Config

from cmdg_plugin.models import CMDGReID
from cmdg_plugin.registry import MODELS


def test_what_is_not_a_stage_is_refused(tiny_config: Config) -> None:
    """Stages that are: tests/docs/test_extend.py adds one, tests/models/test_cmdg_reid.py runs the method's three."""
    tiny_config.model.stages = {'captions': {'type': 'ReIDDataPreprocessor'}}
    with pytest.raises(ValueError, match=r'model\.stages\.captions: ReIDDataPreprocessor is not a TrainingStage'):
        MODELS.build(tiny_config.model)


@pytest.mark.parametrize(
    ('stage', 'trainable', 'hook'),
    [('prompt', ['prompts'], 'PromptLearningHook'), ('bridging', IMAGE_SIDE, 'DomainBridgingHook')],
)
def test_a_stage_whose_hook_did_not_run_says_so(model: CMDGReID, stage: str, trainable: list[str], hook: str) -> None:
    model.start_stage(stage, trainable)
    with pytest.raises(RuntimeError, match=f'add {hook} to custom_hooks'):
        model(image_index=torch.tensor([0]), mode='loss') if stage == 'prompt' else losses_of(model, [0, 1, 3])


@pytest.mark.parametrize('stage', ['warmup', 'prompt', 'bridging'])
def test_stages_give_the_fields_that_they_promise(model: CMDGReID, stage: str) -> None:
    model.start_stage(stage, ['prompts'] if stage == 'prompt' else IMAGE_SIDE)
    data = model.data_preprocessor(batch([0, 1, 3, 4]))
    if stage == 'bridging':
        prepare_bridging(model)
    if stage == 'prompt':
        model.prepare_stage(Given())
        data = {'image_index': torch.tensor([9, 0])}
    fields = vars(model.stages[stage].compute(model, data))
    assert set(model.stages[stage].provides(model)) == {name for name, value in fields.items() if value is not None}
