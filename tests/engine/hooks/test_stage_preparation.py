"""The two hooks that prepare stages: what they leave on the model, and that a run without them stops."""

import copy

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from cmdg_plugin.engine.encoding import EncodingOptions, encode_images
from cmdg_plugin.registry import DATASETS


class Snapshot(Hook):
    """Copies what the model holds once a stage is prepared."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.held: dict[str, dict[str, torch.Tensor]] = {}

    def before_stage(self, runner: Runner, stage) -> None:
        model = runner.model
        names = ('image_regions', 'caption_global', 'prompt_features')
        held = {name: getattr(model, name).clone() for name in names if getattr(model, name) is not None}
        held |= {name: value.clone() for name, value in model.memory.named_buffers()}
        self.held[stage.name] = held
        if stage.name == 'prompt':
            self.encoded = encode_images(
                model, runner.train_loop.dataset, EncodingOptions(runner.cfg.custom_hooks[0].pipeline, 128, 0)
            )


def run(config: Config) -> Snapshot:
    runner = Runner.from_cfg(copy.deepcopy(config))
    snapshot = Snapshot()
    runner.register_hook(snapshot)
    runner.train()
    return snapshot


def test_hooks_hand_over_features_captions_prompts_and_a_filled_bank(tiny_config: Config):
    snapshot = run(tiny_config)
    prompt, bridging = snapshot.held['prompt'], snapshot.held['bridging']
    assert torch.equal(prompt['image_regions'], snapshot.encoded)
    assert not prompt['filled'].any()
    # The tower stood still in the prompt stage: its features fill the bank without another pass.
    assert torch.equal(bridging['image'], snapshot.encoded[:, :3])
    assert bridging['filled'].all()
    assert bridging['text'].abs().sum(dim=-1).min() > 0
    assert 'image_regions' not in bridging
    assert len(bridging['prompt_features']) == 12


def test_captions_stand_in_region_order(tiny_config: Config):
    """Upper, middle, lower, global: found by encoding the sentences of one image by hand."""
    runner = Runner.from_cfg(copy.deepcopy(tiny_config))
    snapshot = Snapshot()
    runner.register_hook(snapshot)
    runner.train()
    dataset = DATASETS.build(tiny_config.train_dataloader.dataset)
    dataset.full_init()
    sentences = dataset.captions[5]
    assert 'upper' in sentences[0]
    assert sentences[3].startswith('A person')
    by_hand, _ = runner.model.encode_sentences(sentences)
    held = snapshot.held['bridging']
    assert torch.allclose(torch.cat([held['text'][5], held['caption_global'][5:6]]), by_hand, atol=1e-5)


def test_bridging_alone_encodes_the_images_itself(tiny_config: Config):
    tiny_config.merge_from_dict({'train_cfg.stages.0.epochs': 0, 'train_cfg.stages.1.epochs': 0})
    del tiny_config.custom_hooks[0]
    tiny_config.custom_hooks[0]['batch_size'] = 7
    held = run(tiny_config).held['bridging']
    assert held['filled'].all()
    assert held['image'].abs().sum() > 0


@pytest.mark.parametrize('hook', ['PromptLearningHook', 'DomainBridgingHook'])
def test_a_run_without_a_hook_stops_at_its_stage_and_names_it(tiny_config: Config, hook: str):
    tiny_config.custom_hooks = [one for one in tiny_config.custom_hooks if one['type'] != hook]
    with pytest.raises(RuntimeError, match=f'add {hook} to custom_hooks'):
        Runner.from_cfg(tiny_config).train()
