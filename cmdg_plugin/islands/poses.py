"""How people stand and walk before a camera."""

from dataclasses import dataclass

FACINGS: tuple[str, ...] = ('front', 'back', 'left', 'right')


@dataclass(frozen=True)
class Pose:
    """How a person stands.

    Attributes:
        facing: What the camera sees: 'front', 'back', or the person walking 'left' or 'right'.
        phase: Walking phase in radians.
        stride: Length of the steps, 0 (standing) to 1.
        bag_side: -1 or 1, the picture's side on which a bag is carried.
        bag_in_front: Whether the bag is held before the belly.
    """

    facing: str
    phase: float
    stride: float
    bag_side: int
    bag_in_front: bool

    @property
    def sideways(self) -> bool:
        """Whether the body is seen from its side."""
        return self.facing in ('left', 'right')

    @property
    def ahead(self) -> int:
        """Direction of walking in the picture: -1 left, 1 right (1 also where it has no meaning)."""
        return -1 if self.facing == 'left' else 1
