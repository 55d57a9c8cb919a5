import pytest

from cmdg_plugin.engine.resuming import check_resume, describe_position
from cmdg_plugin.engine.stages import parse_stages

KNOWN = ('warmup', 'prompt', 'bridging')
SEEN = {'alpha': 'aa', 'beta': 'bb'}


def stages(*epochs: int) -> list:
    settings = [{'name': name, 'epochs': count, 'trainable': ['x']} for name, count in zip(KNOWN, epochs, strict=True)]
    return parse_stages(settings, KNOWN)


def meta(epoch: int, *epochs: int, fingerprints: dict | None = None) -> dict:
    return {
        'epoch': epoch,
        'stage_position': describe_position(stages(*epochs), epoch),
        'dataset_meta': {'fingerprints': fingerprints or SEEN},
    }


def test_position_belongs_to_the_stage_that_just_ended():
    position = describe_position(stages(3, 120, 60), 3)
    assert (position['stage'], position['epochs_in_stage']) == ('warmup', 3)
    assert position['stages'] == [['warmup', 3], ['prompt', 120], ['bridging', 60]]


def test_what_has_not_begun_may_change():
    check_resume(meta(3, 3, 120, 60), stages(3, 5, 7), SEEN)
    check_resume(meta(5, 3, 120, 60), stages(3, 120, 0), SEEN)


@pytest.mark.parametrize('now', [(4, 120, 60), (3, 121, 60), (0, 120, 60)])
def test_what_has_begun_may_not(now: tuple):
    with pytest.raises(ValueError, match=r"after epoch 2 of stage 'prompt' of a run of 3 warmup \+ 120 prompt \+ 60"):
        check_resume(meta(5, 3, 120, 60), stages(*now), SEEN)


def test_other_images_are_named():
    with pytest.raises(ValueError, match='alpha, beta; this run has alpha, beta with other images of beta'):
        check_resume(meta(1, 3, 1, 1), stages(3, 1, 1), {'alpha': 'aa', 'beta': 'other'})
    with pytest.raises(ValueError, match='alpha, beta; this run has alpha'):
        check_resume(meta(1, 3, 1, 1), stages(3, 1, 1), {'alpha': 'aa'})


def test_a_file_without_epochs_is_no_checkpoint_to_resume():
    with pytest.raises(ValueError, match='no checkpoint of a training run'):
        check_resume({}, stages(1, 1, 1), SEEN)
