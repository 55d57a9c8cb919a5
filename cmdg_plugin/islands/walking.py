"""How the people of a clip walk: two by two they meet, stand before each other, and go on or turn back."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .drawing import Frame
from .figure import STATURE
from .people import Person
from .poses import Pose

_SMOOTHED = 9
_STANDING = 0.5


@dataclass(frozen=True)
class Walker:
    """One person of a clip.

    Attributes:
        identity: From 1.
        person: Who it is.
        x: Of the body's axis in every frame, in pixels, (frames,).
        soles: y of the soles in pixels.
        height: In pixels.
        tilt: How far the camera looks down.
        stride: Length of the steps, 0 to 1.
        bag_side: -1 or 1, the picture's side on which a bag is carried.
    """

    identity: int
    person: Person
    x: np.ndarray
    soles: float
    height: float
    tilt: float
    stride: float
    bag_side: int

    def pose(self, frame: int) -> Pose:
        """Return how the person stands in a frame: from the side while walking, from the front while standing."""
        step = self.x[min(frame + 1, len(self.x) - 1)] - self.x[max(frame - 1, 0)]
        facing = 'front' if abs(step) < 2 * _STANDING else 'right' if step > 0 else 'left'
        walked = np.abs(np.diff(self.x[: frame + 1])).sum()
        # Two steps take four fifths of a body's height.
        return Pose(facing, 2 * np.pi * walked / (0.8 * self.height), self.stride, self.bag_side, bag_in_front=False)

    def frame(self, frame: int) -> Frame:
        """Return where the person stands in a frame."""
        return Frame(self.x[frame], self.soles - self.height, self.height, self.tilt)


def plan_walks(
    people: Sequence[Person], num_frames: int, size: tuple[int, int], tilt: float, rng: np.random.Generator
) -> list[Walker]:
    """Let people meet two by two, at different depths; an odd one walks alone.

    Until two have met, nothing in their walk tells whether they will pass each other or turn back: half of the pairs
    does either. Both hide one of the two for a while.

    Args:
        people: Who walks.
        num_frames: How long.
        size: Width and height of the scene in pixels.
        tilt: How far the camera looks down.
        rng: Source of all chance.

    Returns:
        The people, the farthest first.
    """
    wide, high = size
    walkers = []
    for first in range(0, len(people), 2):
        pair = people[first : first + 2]
        depth = rng.uniform(0.04, 0.96)
        for place, (person, x) in enumerate(zip(pair, _meet(num_frames, wide, rng), strict=False)):
            near = depth + (-0.04, 0.04)[place]
            walkers.append(
                Walker(
                    identity=first + place + 1,
                    person=person,
                    x=x,
                    soles=(0.7 + 0.27 * near) * high,
                    height=(0.36 + 0.12 * near) * high * STATURE[person.stature],
                    tilt=tilt,
                    stride=rng.uniform(0.6, 1.0),
                    bag_side=1 if rng.random() < 0.5 else -1,
                )
            )
    return sorted(walkers, key=lambda walker: walker.soles)


def _meet(num_frames: int, wide: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Plan two walks towards each other, each in x of every frame."""
    where, when = rng.uniform(0.25, 0.75) * wide, rng.uniform(0.25, 0.6) * num_frames
    stay, turn = rng.uniform(4, 26), -1 if rng.random() < 0.5 else 1
    # Some frames more at both ends, which smoothing takes.
    times = np.arange(num_frames + _SMOOTHED - 1) - _SMOOTHED // 2
    time = np.minimum(times - when, 0) + turn * np.maximum(times - when - stay, 0)
    right, left = rng.uniform(5, 9, size=2)
    smooth = np.full(_SMOOTHED, 1 / _SMOOTHED)
    return np.convolve(where + right * time, smooth, 'valid'), np.convolve(where - left * time, smooth, 'valid')
