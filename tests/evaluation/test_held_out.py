from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from cmdg_plugin.datasets.evaluation_set import EvaluationTarget
from cmdg_plugin.evaluation.held_out import HoldingOut, hold_out, score_open_set


@pytest.fixture
def crowd(make_target: Callable[..., EvaluationTarget]) -> EvaluationTarget:
    """200 people, each asked for once (camera 0) and once in the gallery (camera 1); 20 more are asked for only."""
    people = [*range(220), *range(200)]
    cameras = [0] * 220 + [1] * 200
    return make_target('crowd', people, cameras, [(list(range(220)), list(range(220, 420)))], 0)


def test_half_of_the_people_are_held_out(crowd: EvaluationTarget) -> None:
    split = hold_out(crowd, crowd.splits[0], HoldingOut())
    assert (len(split.query), len(split.gallery)) == (220, 100)
    assert (split.mated.sum(), split.absent.sum()) == (100, 120)  # the twenty are absent, too
    assert set(crowd.identities[split.gallery]) == set(crowd.identities[split.query[split.mated]])
    assert not set(crowd.identities[split.gallery]) & set(crowd.identities[split.query[split.absent]])
    again = hold_out(crowd, crowd.splits[0], HoldingOut())
    other = hold_out(crowd, crowd.splits[0], HoldingOut(seed=1))
    assert again.gallery.tolist() == split.gallery.tolist() != other.gallery.tolist()
    assert len(hold_out(crowd, crowd.splits[0], HoldingOut(share=0.001)).gallery) == 199
    assert len(hold_out(crowd, crowd.splits[0], HoldingOut(share=0.999)).gallery) == 1


def test_scores_by_hand(crowd: EvaluationTarget) -> None:
    split = hold_out(crowd, crowd.splits[0], HoldingOut())
    # One dimension a person in the gallery, and one for where absent people stand: the first gallery image, apart.
    features = np.zeros((420, 101), np.float32)
    features[split.gallery, np.arange(100)] = 1
    person = {int(crowd.identities[row]): place for place, row in enumerate(split.gallery)}
    mated, absent = split.query[split.mated], split.query[split.absent]
    for number, row in enumerate(mated):
        angle = 0.0 if number < 30 else 0.2 if number < 75 else 0.4
        features[row, [person[int(crowd.identities[row])], 100]] = np.cos(angle), np.sin(angle)
    for number, row in enumerate(absent):
        # One of 120 at angle 0 (allowed at 1%), eleven at 0.3 (with it twelve, allowed at 10%), the others at 0.5.
        angle = 0.0 if number < 1 else 0.1 if number < 2 else 0.3 if number < 12 else 0.5
        features[row, [0, 100]] = np.cos(angle), np.sin(angle)
    # 1%: only what is closer than 0.1; 10%: only what is closer than 0.5.
    assert score_open_set(features, crowd, HoldingOut()) == pytest.approx({'TPIR1': 30.0, 'TPIR10': 100.0})
    features[absent[12]] = features[absent[11]]  # one more: the whole tie at 0.3 is too many for 10%
    assert score_open_set(features, crowd, HoldingOut()) == pytest.approx({'TPIR1': 30.0, 'TPIR10': 75.0})


def test_too_few_absent_people_leave_scores_out(
    targets: tuple[EvaluationTarget, EvaluationTarget], crowd: EvaluationTarget
) -> None:
    features = np.random.default_rng(0).standard_normal((420, 4))
    # 79 held out and the twenty make 99; 80 make 100.
    assert set(score_open_set(features, crowd, HoldingOut(share=79 / 200))) == {'TPIR10'}
    assert set(score_open_set(features, crowd, HoldingOut(share=80 / 200))) == {'TPIR1', 'TPIR10'}
    hall = targets[1]
    assert score_open_set(features[:30], replace(hall, released=hall.splits[0]), HoldingOut()) == {}


def test_released_splits_and_means(crowd: EvaluationTarget) -> None:
    features = np.random.default_rng(0).standard_normal((420, 4))
    (first,) = crowd.splits
    second = replace(first, gallery=first.gallery[::2])
    alone = [score_open_set(features, replace(crowd, splits=(split,)), HoldingOut()) for split in (first, second)]
    both = score_open_set(features, replace(crowd, splits=(first, second), released=second), HoldingOut())
    assert both['TPIR10'] == pytest.approx((alone[0]['TPIR10'] + alone[1]['TPIR10']) / 2)
    assert both['TPIR10_released'] == alone[1]['TPIR10']


def test_bad_settings_and_splits(make_target: Callable[..., EvaluationTarget]) -> None:
    for share in (0, 1, True, 'half', float('nan')):
        with pytest.raises(ValueError, match=r'open_set\.share must be a number between 0 and 1'):
            HoldingOut(share=share)
    with pytest.raises(ValueError, match=r'open_set\.seed'):
        HoldingOut(seed=-1)
    one = make_target('one', [1, 1, 2], [0, 1, 0], [([0], [1, 2])], 0)
    with pytest.raises(ValueError, match=r"Target 'one': open-set scores need two query identities .* there are 1"):
        hold_out(one, one.splits[0], HoldingOut())
    same_camera = make_target('same', [1, 2, 1, 2], [0, 0, 0, 0], [([0, 1], [2, 3])], 0)
    with pytest.raises(ValueError, match='1 of 2 identities held out, no query has a match from another camera'):
        hold_out(same_camera, same_camera.splits[0], HoldingOut())
