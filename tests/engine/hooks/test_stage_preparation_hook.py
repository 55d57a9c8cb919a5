"""The two hooks that prepare stages: what they leave on the model, and that a run without them stops."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.tiny_runs import different, going_on, set_epochs, train
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from cmdg_plugin.engine.encoding import EncodingOptions, encode_images
from cmdg_plugin.engine.hooks import DomainBridgingHook, PromptLearningHook, StagePreparationHook
from cmdg_plugin.engine.stages import Stage
from cmdg_plugin.registry import DATASETS, HOOKS
from cmdg_plugin.saying import keep_lines

FULL = Path(__file__).parents[3] / 'configs/_base_/models/cmdg_full_shared.py'


class Snapshot(Hook):
    """Copies what the model holds once a stage is prepared."""

    priority = 'LOWEST'

    def __init__(self) -> None:
        self.held: dict[str, dict[str, torch.Tensor]] = {}

    def before_stage(self, runner: Runner, stage: Stage) -> None:
        model = runner.model
        bridging = model.stages['bridging']
        names = ('caption_global', 'prompt_features')
        cached = {'image_features': model.image_features} | {name: getattr(bridging, name) for name in names}
        held = {name: value.clone() for name, value in cached.items() if value is not None}
        held |= {name: value.clone() for name, value in model.memory.named_buffers()}
        self.held[stage.name] = held
        if stage.name == 'prompt':
            self.encoded = encode_images(
                model, runner.train_loop.dataset, EncodingOptions(runner.cfg.custom_hooks[0].pipeline, 128, 0)
            )


def test_hooks_hand_over_features_captions_prompts_and_a_filled_bank(tiny_config: Config) -> None:
    snapshot = Snapshot()
    train(tiny_config, snapshot)
    prompt, bridging = snapshot.held['prompt'], snapshot.held['bridging']
    assert torch.equal(prompt['image_features'], snapshot.encoded)
    assert not prompt['filled'].any()
    # The tower stood still in the prompt stage: its features fill the bank without another pass.
    assert torch.equal(bridging['image'], snapshot.encoded[:, :3])
    assert bridging['filled'].all()
    assert bridging['text'].abs().sum(dim=-1).min() > 0
    assert 'image_features' not in bridging
    assert len(bridging['prompt_features']) == 12


def test_captions_stand_in_region_order(tiny_config: Config) -> None:
    """Upper, middle, lower, global: found by encoding the sentences of one image by hand."""
    snapshot = Snapshot()
    runner = train(tiny_config, snapshot)
    dataset = DATASETS.build(tiny_config.train_dataloader.dataset)
    dataset.full_init()
    sentences = dataset.captions[5]
    assert 'upper' in sentences[0]
    assert sentences[3].startswith('A person')
    by_hand, _ = runner.model.encode_sentences(sentences)
    held = snapshot.held['bridging']
    assert torch.allclose(torch.cat([held['text'][5], held['caption_global'][5:6]]), by_hand, atol=1e-5)


def test_bridging_alone_encodes_the_images_itself(tiny_config: Config) -> None:
    set_epochs(tiny_config, 0, 0, 2)
    del tiny_config.custom_hooks[0]
    tiny_config.custom_hooks[0]['batch_size'] = 7
    snapshot = Snapshot()
    train(tiny_config, snapshot)
    held = snapshot.held['bridging']
    assert held['filled'].all()
    assert held['image'].abs().sum() > 0


@pytest.mark.parametrize(('hook', 'stage'), [('PromptLearningHook', 'prompt'), ('DomainBridgingHook', 'bridging')])
def test_a_run_without_a_hook_stops_at_its_stage_and_names_it(tiny_config: Config, hook: str, stage: str) -> None:
    tiny_config.custom_hooks = [one for one in tiny_config.custom_hooks if one['type'] != hook]
    with pytest.raises(
        ValueError, match=rf"lets it: add dict\(type='StagePreparationHook', stage='{stage}', pipeline="
    ):
        train(tiny_config)
    assert not list(Path(tiny_config.work_dir).parent.rglob('*.pth'))


def test_a_sampler_that_nobody_prepares_is_refused_before_training(tiny_config: Config) -> None:
    tiny_config.train_dataloader.sampler = {'type': 'HardIdentitySampler', 'num_instances': 2}
    with pytest.raises(ValueError, match=r"add dict\(type='StagePreparationHook', stage='warmup', pipeline="):
        train(tiny_config)
    assert not list(Path(tiny_config.work_dir).parent.rglob('*.pth'))


def test_images_without_captions_are_left_out_and_refused_where_captions_guide(
    tiny_config: Config, tmp_path: Path
) -> None:
    sources = tiny_config.train_dataloader.dataset.sources
    records = [one for one in json.loads(Path(sources[0].caption_file).read_text()) if 'train' in one['file_path']]
    own = [{'path': one['file_path'], 'identity': one['id'], 'captions': one['captions']} for one in records]
    for one in own[:2]:
        del one['captions']
    (tmp_path / 'own.json').write_text(json.dumps(own))
    sources[0] = {'type': 'OwnSource', 'name': 'own', 'path': str(tmp_path / 'own.json'), 'root': sources[0].root}
    tiny_config.train_dataloader.dataset.on_missing = 'empty'
    plain = copy.deepcopy(tiny_config)
    tiny_config.model.losses.bridging = Config.fromfile(FULL).model.losses.bridging
    with pytest.raises(ValueError, match=r"2 of 36 training images have no part captions.*on_missing='skip'"):
        train(tiny_config)
    assert not list(Path(tiny_config.work_dir).parent.rglob('*.pth'))
    with keep_lines() as said:
        model = train(plain, name='plain').model
    lines = [line for line, _ in said if 'caption terms' in line]
    assert lines == ["2 of 36 training images have no captions: the caption terms of 'bridging' leave them out."]
    assert (~model.memory.text.any(dim=-1)).sum(dim=0).tolist() == [2, 2, 2]


def test_the_full_recipe_with_a_text_tower_that_trains_resumes_with_the_same_bits(tiny_config: Config) -> None:
    tiny_config.model.losses.bridging = Config.fromfile(FULL).model.losses.bridging
    tiny_config.model.backbone.update(part_attention=True, text_finetune_layers=1)
    set_epochs(tiny_config, 1, 1, 3)
    tiny_config.train_cfg.stages[2].trainable += ['backbone.clip.transformer', 'backbone.clip.text_projection']
    tiny_config.default_hooks.checkpoint.max_keep_ckpts = -1
    whole = train(tiny_config)
    folder, expected = Path(whole.work_dir), whole.model.state_dict()
    earlier = torch.load(folder / 'epoch_4.pth', weights_only=False)['state_dict']
    assert 'backbone.clip.text_projection' in different(earlier, expected)
    # The prompts' features, too, are those that the stage began with, not the moved tower's.
    resumed = train(going_on(tiny_config, folder / 'epoch_4.pth'), name='resumed')
    assert not different(resumed.model.state_dict(), expected)


def test_going_on_inside_bridging_without_its_bank_is_refused(tiny_config: Config) -> None:
    """As where a sharded bank's run goes on in one process: its rows are in files that nobody reads there."""
    set_epochs(tiny_config, 0, 0, 2)
    tiny_config.default_hooks.checkpoint.max_keep_ckpts = -1
    path = Path(train(tiny_config).work_dir) / 'epoch_1.pth'
    checkpoint = torch.load(path, weights_only=False)
    for name in [name for name in checkpoint['state_dict'] if name.startswith('memory.')]:
        del checkpoint['state_dict'][name]
    torch.save(checkpoint, path)
    with pytest.raises(ValueError, match="inside 'bridging', but holds no memory bank"):
        train(going_on(tiny_config, path), name='resumed')


@pytest.mark.parametrize(('kind', 'stage'), [(PromptLearningHook, 'prompt'), (DomainBridgingHook, 'bridging')])
def test_each_is_for_its_stage_by_default(kind: type[StagePreparationHook], stage: str) -> None:
    hook: Any = HOOKS.build({'type': kind.__name__, 'pipeline': [{'type': 'A'}], 'batch_size': 7, 'num_workers': 0})
    assert type(hook) is kind
    assert (hook.stage, hook.options.batch_size, hook.options.num_workers) == (stage, 7, 0)
    other: Any = HOOKS.build({'type': kind.__name__, 'pipeline': [], 'stage': 'another'})
    assert other.stage == 'another'
