from typing import Any

import pytest

from cmdg_plugin.engine.stages import overlay, parse_stages

KNOWN = ['warmup', 'prompt', 'bridging']


def stage(name: str, epochs: int, **settings: Any) -> dict:
    return {'name': name, 'epochs': epochs, 'trainable': ['head'], **settings}


def test_stages_follow_each_other_and_empty_ones_are_left_out() -> None:
    parsed = parse_stages([stage('warmup', 3), stage('prompt', 0), stage('bridging', 5)], KNOWN)
    assert [(s.name, s.start, s.end) for s in parsed] == [('warmup', 0, 3), ('bridging', 3, 8)]


@pytest.mark.parametrize(
    ('stages', 'message'),
    [
        ([stage('warm-up', 3)], r"train_cfg.stages.0 is stage 'warm-up', .* it knows warmup, prompt, bridging"),
        ([stage('warmup', -1)], '`epochs`, a whole number from 0; it has -1'),
        ([stage('warmup', 2.5)], r'it has 2\.5'),
        ([stage('warmup', 1, lr=3)], r"unknown settings \['lr'\]"),
        ([stage('warmup', 1) | {'trainable': []}], 'needs `trainable`'),
        ([stage('warmup', 1) | {'trainable': 'head'}], 'needs `trainable`, a list'),
        ([stage('warmup', 1), stage('warmup', 1)], 'stands twice'),
        ([stage('warmup', 0)], 'nothing to train'),
    ],
)
def test_mistakes_in_the_stage_list_are_named(stages: list[dict], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_stages(stages, KNOWN)


def test_overlay_merges_nested_settings_and_leaves_the_base_alone() -> None:
    base = {'optimizer': {'type': 'Adam', 'lr': 1.0}, 'sampler': {'type': 'A', 'size': 3}}
    merged = overlay(base, {'optimizer': {'lr': 2.0}, 'sampler': {'_delete_': True, 'type': 'B'}})
    assert merged == {'optimizer': {'type': 'Adam', 'lr': 2.0}, 'sampler': {'type': 'B'}}
    assert base == {'optimizer': {'type': 'Adam', 'lr': 1.0}, 'sampler': {'type': 'A', 'size': 3}}
