"""One photograph: a person before a camera, at some moment of its walk, behind whatever stands in the way."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from .backdrops import OBSTACLES, backdrop, draw_obstacle
from .cameras import Camera, develop
from .domains import Domain
from .drawing import SHEET_SIZE, Frame, Part, Sheet
from .figure import STATURE, draw_person, draw_shadow
from .people import Person, sample_person
from .poses import FACINGS, Pose


@dataclass(frozen=True)
class Picture:
    """A photograph and what can be seen in it.

    Attributes:
        image: The photograph, RGB.
        pose: How the person stood.
        visible: Share of the picture's pixels that show a part, (parts, 3): one column for each third of the height,
            from the top; rows as `Part` numbers them, of which `Part.SCENE` holds all the rest.
    """

    image: Image.Image
    pose: Pose
    visible: np.ndarray


def draw(person: Person, domain: Domain, camera: int, rng: np.random.Generator, place_seed: int = 0) -> Picture:
    """Photograph a person.

    Args:
        person: Whom.
        domain: Where.
        camera: Which camera of the domain, from 1 as in file names.
        rng: Pose, step, obstacles, framing and light of this moment.
        place_seed: Which of all places of the camera's kind.

    Returns:
        The photograph.

    Raises:
        ValueError: If the domain has no such camera.
    """
    if not 1 <= camera <= len(domain.cameras):
        raise ValueError(f'Domain {domain.name!r} has cameras 1 to {len(domain.cameras)}, not {camera}.')
    lens = domain.cameras[camera - 1]
    sheet = Sheet(backdrop(lens.place, 1000 * place_seed + camera, rng))
    if rng.random() < 0.3:
        _bystander(sheet, lens, rng, behind=True)
    pose = _pose(lens, rng)
    frame = _frame(lens, rng, STATURE[person.stature])
    draw_shadow(sheet, frame)
    draw_person(sheet, person, pose, frame)
    if rng.random() < lens.crowding:
        if rng.random() < 0.35:
            _bystander(sheet, lens, rng, behind=False)
        else:
            draw_obstacle(OBSTACLES[int(rng.integers(len(OBSTACLES)))], sheet, rng)
    box = _detector_box(rng)
    return Picture(develop(sheet.image.crop(box), lens, rng), pose, _visibility(sheet.parts.crop(box)))


def draw_nobody(domain: Domain, camera: int, rng: np.random.Generator, place_seed: int = 0) -> Picture:
    """Photograph a place in which a detector saw somebody who is not there.

    Args:
        domain: Where.
        camera: Which camera of the domain, from 1.
        rng: Obstacles, framing and light of this moment.
        place_seed: Which of all places of the camera's kind.
    """
    lens = domain.cameras[camera - 1]
    sheet = Sheet(backdrop(lens.place, 1000 * place_seed + camera, rng))
    for kind in rng.permutation(OBSTACLES)[:2]:
        draw_obstacle(str(kind), sheet, rng)
    if rng.random() < 0.5:
        _bystander(sheet, lens, rng, behind=False)
    return Picture(develop(sheet.image, lens, rng), _pose(lens, rng), _visibility(sheet.parts))


def _pose(lens: Camera, rng: np.random.Generator) -> Pose:
    odds = np.array(lens.facings)
    return Pose(
        facing=FACINGS[int(rng.choice(len(FACINGS), p=odds / odds.sum()))],
        phase=rng.uniform(0, 2 * np.pi),
        stride=rng.uniform(0.3, 1.0),
        bag_side=1 if rng.random() < 0.5 else -1,
        bag_in_front=rng.random() < 0.25,
    )


def _frame(lens: Camera, rng: np.random.Generator, stature: float) -> Frame:
    wide, high = SHEET_SIZE
    height = high * rng.uniform(0.86, 0.94) * stature
    return Frame(
        center=wide * rng.uniform(0.42, 0.58),
        top=high * rng.uniform(0.95, 0.98) - height,
        height=height,
        tilt=lens.tilt * rng.uniform(0.8, 1.2),
        lean=rng.uniform(-3, 3),
    )


def _bystander(sheet: Sheet, lens: Camera, rng: np.random.Generator, behind: bool) -> None:
    """Draw another person: smaller in the background, or cutting into the picture from one side."""
    other, pose = sample_person(rng), _pose(lens, rng)
    frame = _frame(lens, rng, 0.55 if behind else 1.0)
    side = 1 if rng.random() < 0.5 else -1
    shift = rng.uniform(0.2, 0.45) if behind else rng.uniform(0.4, 0.52)
    top = frame.top - (0.25 * SHEET_SIZE[1] if behind else 0)
    draw_person(sheet, other, pose, Frame(SHEET_SIZE[0] * (0.5 + side * shift), top, frame.height, frame.tilt), False)


def _detector_box(rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Cut the picture as a detector does: mostly well, sometimes without the feet or the top of the head."""
    wide, high = SHEET_SIZE
    left, right = (rng.uniform(0, 0.08, size=2) * wide).astype(int).tolist()
    top, bottom = (rng.uniform(0, 0.03, size=2) * high).astype(int).tolist()
    chance = rng.random()
    if chance < 0.12:
        bottom = int(rng.uniform(0.1, 0.25) * high)
    elif chance < 0.17:
        top = int(rng.uniform(0.06, 0.13) * high)
    return left, top, wide - right, high - bottom


def _visibility(parts: Image.Image) -> np.ndarray:
    labels = np.asarray(parts)
    thirds = np.array_split(labels, 3, axis=0)
    counts = [np.bincount(third.ravel(), minlength=len(Part)) for third in thirds]
    return np.stack(counts, axis=1) / labels.size
