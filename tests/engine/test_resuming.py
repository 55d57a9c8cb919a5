import copy

import pytest
import torch
from mmengine.optim import OptimWrapper

from cmdg_plugin.engine.resuming import (
    check_optimizer,
    check_resume,
    compute_as_now,
    describe_position,
    say_changes,
)
from cmdg_plugin.engine.stages import parse_stages
from cmdg_plugin.saying import keep_lines

KNOWN = ('warmup', 'prompt', 'bridging')
SEEN = {'alpha': 'aa', 'beta': 'bb'}


def stages(*epochs: int) -> list:
    settings = [{'name': name, 'epochs': count, 'trainable': ['x']} for name, count in zip(KNOWN, epochs, strict=True)]
    return parse_stages(settings, KNOWN)


def meta(epoch: int, *epochs: int, fingerprints: dict | None = None) -> dict:
    return {
        'epoch': epoch,
        'iter': 10 * epoch,
        'stage_position': describe_position(stages(*epochs), epoch),
        'dataset_meta': {'fingerprints': fingerprints or SEEN},
    }


def saved(meta: dict) -> dict:
    return {'meta': meta, 'state_dict': {}, 'optimizer': {}, 'message_hub': {}}


def test_position_belongs_to_the_stage_that_just_ended() -> None:
    position = describe_position(stages(3, 120, 60), 3)
    assert (position['stage'], position['epochs_in_stage']) == ('warmup', 3)
    assert position['stages'] == [['warmup', 3], ['prompt', 120], ['bridging', 60]]


def test_what_has_not_begun_may_change() -> None:
    check_resume(saved(meta(3, 3, 120, 60)), stages(3, 5, 7), SEEN)
    check_resume(saved(meta(5, 3, 120, 60)), stages(3, 120, 0), SEEN)


@pytest.mark.parametrize('now', [(4, 120, 60), (3, 121, 60), (0, 120, 60)])
def test_what_has_begun_may_not(now: tuple) -> None:
    with pytest.raises(ValueError, match=r"after epoch 2 of stage 'prompt' of a run of 3 warmup \+ 120 prompt \+ 60"):
        check_resume(saved(meta(5, 3, 120, 60)), stages(*now), SEEN)


def test_a_change_counts_at_once_in_the_current_stage_also_after_one_of_no_epochs() -> None:
    def settings(batch_size: int) -> dict:
        listed = [{'name': name, 'epochs': epochs} for name, epochs in zip(KNOWN, (0, 1, 2), strict=True)]
        return {'train_cfg': {'stages': [*listed[:2], {**listed[2], 'train_dataloader': {'batch_size': batch_size}}]}}

    checkpoint = saved({**meta(2, 0, 1, 2), 'cfg': f'train_cfg = {settings(4)["train_cfg"]}'})
    with keep_lines() as lines:
        say_changes(checkpoint, settings(8), 'epoch_2.pth')
    assert ['from here on epochs have another number of steps' in line for line, _ in lines] == [True]


def test_other_images_are_named() -> None:
    with pytest.raises(ValueError, match='alpha, beta; this run has alpha, beta with other images of beta'):
        check_resume(saved(meta(1, 3, 1, 1)), stages(3, 1, 1), {'alpha': 'aa', 'beta': 'other'})
    with pytest.raises(ValueError, match='alpha, beta; this run has alpha'):
        check_resume(saved(meta(1, 3, 1, 1)), stages(3, 1, 1), {'alpha': 'aa'})


@pytest.mark.parametrize(
    ('lacks', 'named'), [({'optimizer'}, 'optimizer'), ({'meta'}, 'epoch, iter'), ({'message_hub'}, 'message_hub')]
)
def test_a_file_that_nothing_can_be_resumed_from(lacks: set, named: str) -> None:
    checkpoint = {name: value for name, value in saved(meta(1, 1, 1, 1)).items() if name not in lacks}
    with pytest.raises(ValueError, match=f'it lacks {named}, as published files .* load_from=FILE'):
        check_resume(checkpoint, stages(1, 1, 1), SEEN)


def test_the_state_of_another_optimizer_is_refused() -> None:
    weights = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    adam = OptimWrapper(torch.optim.Adam(weights))
    check_optimizer(adam.state_dict(), OptimWrapper(torch.optim.Adam(weights, lr=1.0)))
    with pytest.raises(ValueError, match=r'its state has .*betas.*, but SGD needs dampening, momentum'):
        check_optimizer(adam.state_dict(), OptimWrapper(torch.optim.SGD(weights, lr=0.1)))
    with pytest.raises(ValueError, match="optimizer trains 3 parameters in 1 groups, this run's 2 in 1"):
        check_optimizer(adam.state_dict(), OptimWrapper(torch.optim.Adam(weights[:2])))


@pytest.mark.parametrize('fused', [False, True])
def test_a_resumed_optimizer_computes_as_this_run_says(fused: bool) -> None:
    """Also in mixed precision, where a scaler believes what the optimizer was built as."""
    before, now = (torch.nn.Parameter(torch.ones(3)) for _ in range(2))
    old = OptimWrapper(torch.optim.Adam([before], lr=0.1, fused=not fused))
    old.update_params(before.square().sum())
    now.data.copy_(before.data)
    new = OptimWrapper(torch.optim.Adam([now], lr=0.1, fused=fused))
    state = copy.deepcopy(old.state_dict())
    compute_as_now(state, new)
    new.load_state_dict(state)
    assert new.optimizer.param_groups[0]['fused'] is fused
    old.update_params(before.square().sum())
    scaler = torch.amp.GradScaler('cpu')
    scaler.scale(now.square().sum()).backward()
    scaler.step(new.optimizer)
    torch.testing.assert_close(now, before)
