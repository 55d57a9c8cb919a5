import pytest

from cmdg_plugin.islands.poses import FACINGS, Pose


@pytest.mark.parametrize(
    ('facing', 'sideways', 'ahead'), [('front', False, 1), ('back', False, 1), ('left', True, -1), ('right', True, 1)]
)
def test_directions_in_the_picture(facing: str, sideways: bool, ahead: int) -> None:
    pose = Pose(facing, phase=0.0, stride=1.0, bag_side=1, bag_in_front=False)
    assert facing in FACINGS
    assert (pose.sideways, pose.ahead) == (sideways, ahead)
