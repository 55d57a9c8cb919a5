"""Short clips for trackers: people walk past each other, turn back, hide each other, and it is known who is who."""

import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from cmdg_plugin.progress import track

from .backdrops import panorama
from .cameras import at_a_moment, expose
from .domains import Domain, get_domain
from .drawing import SHEET_SIZE, Part, Sheet
from .figure import draw_person, draw_shadow
from .people import Person, sample_crowd, sample_person
from .planning import DOMAIN_NUMBERS, NUM_PROTOTYPES, plan_domain
from .walking import Walker, plan_walks

CLIP_SIZE: tuple[int, int] = (10 * SHEET_SIZE[0], 2 * SHEET_SIZE[1])
"""Width and height of a clip's frames in pixels."""

FRAMES_PER_SECOND = 25
_CLIPS = (0, 1)
"""Seeds clips, other than pictures."""

_IN_VIEW = 0.2
_LEAST_DETECTED = 0.25

# Boxes keep one shape while legs open and close, as those of pedestrian datasets do: 0.41 times as wide as high (Dollar
# et al., Pedestrian Detection: An Evaluation of the State of the Art, 2012).
_ASPECT = 0.41
_MARGIN = 0.03


@dataclass(frozen=True)
class Sighting:
    """One person in one frame.

    Attributes:
        identity: Who.
        box: Left, top, width and height in pixels, from 0, of what is within the frame.
        in_view: Share of the person that is within the frame, whether hidden or not.
        visible: Share of the person that is seen.
    """

    identity: int
    box: tuple[int, int, int, int]
    in_view: float
    visible: float


def write_clip(
    folder: str | os.PathLike[str],
    domain: str,
    seed: int = 0,
    *,
    camera: int = 1,
    num_people: int = 8,
    num_frames: int = 200,
) -> Path:
    """Draw a clip in MOTChallenge's layout.

    `img1/000001.jpg` and on; `gt/gt.txt` (frame, identity, left, top, width, height, 1 if at least a fifth is seen,
    class 1, visible share); `det/det.txt` (frame, -1, box, score), what a detector sees of them: boxes a little off,
    nobody who is mostly hidden; `det/identities.txt`, who each line of `det.txt` shows, for judging what the best
    features could do; `seqinfo.ini`. Pixels count from 0. Nobody looks like anybody in Islands of seed 0.

    Args:
        folder: Where; it must not exist, or be empty.
        domain: Any domain of Islands.
        seed: Seed of people, walks, light and detections.
        camera: Which camera of the domain, from 1.
        num_people: How many people walk.
        num_frames: How long, at 25 frames a second.

    Returns:
        The folder.

    Raises:
        ValueError: If there is no such domain or camera, or a number is too small.
        FileExistsError: If the folder holds something.
    """
    folder, place = Path(folder), get_domain(domain)
    if not 1 <= camera <= len(place.cameras):
        raise ValueError(f'Domain {domain!r} has cameras 1 to {len(place.cameras)}, not {camera}.')
    for name, value, least in (('seed', seed, 0), ('num_people', num_people, 1), ('num_frames', num_frames, 2)):
        if value < least:
            raise ValueError(f'{name} must be at least {least}, got {value}.')
    if folder.exists() and any(folder.iterdir()):
        raise FileExistsError(f'{folder} is not empty: choose another folder for the clip.')
    folder.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng([seed, DOMAIN_NUMBERS[domain], *_CLIPS])
    people = _sample_strangers(num_people, rng)
    walkers = plan_walks(people, num_frames, CLIP_SIZE, place.cameras[camera - 1].tilt, rng)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f'.{folder.name}-') as workshop:
        unfinished = Path(workshop) / 'clip'
        for name in ('img1', 'gt', 'det'):
            (unfinished / name).mkdir(parents=True)
        frames = track(_film(walkers, place, camera, num_frames, rng), f'Drawing {folder}', num_frames, unit='frame')
        _write(unfinished, folder.name, frames, num_frames, rng)
        unfinished.replace(folder)
    return folder


def _sample_strangers(count: int, rng: np.random.Generator) -> list[Person]:
    """Sample people with look-alikes among themselves, none of whom any training has seen."""
    known = {shot.person for name in DOMAIN_NUMBERS for shot in plan_domain(name, seed=0) if shot.person}
    prototypes = [sample_person(rng) for _ in range(NUM_PROTOTYPES)]
    return sample_crowd(count, prototypes, rng, known)


def _film(
    walkers: list[Walker], domain: Domain, camera: int, num_frames: int, rng: np.random.Generator
) -> Iterator[tuple[Image.Image, list[Sighting]]]:
    """Yield every frame and who is in it."""
    lens = at_a_moment(domain.cameras[camera - 1], rng)
    scene = panorama(lens.place, int(rng.integers(2**31))).resize(CLIP_SIZE, Image.Resampling.BICUBIC)
    # As coarse as the benchmark's pictures, and then enlarged: detectors and trackers count in pixels of videos.
    wide, high = (round(side * lens.size[0] / SHEET_SIZE[0]) for side in CLIP_SIZE)
    lens = replace(lens, size=(wide, high))
    for number in range(num_frames):
        clean, sightings = _draw_frame(scene, walkers, number)
        yield expose(clean, lens, rng).resize(CLIP_SIZE, Image.Resampling.BICUBIC), sightings


def _draw_frame(scene: Image.Image, walkers: list[Walker], number: int) -> tuple[Image.Image, list[Sighting]]:
    ground = Sheet(scene)
    for walker in walkers:
        draw_shadow(ground, walker.frame(number))
    picture, owners = ground.image, Image.new('L', CLIP_SIZE)
    bodies = []
    for place, walker in enumerate(walkers, start=1):
        sheet, corner = _draw_alone(walker, number)
        body = np.asarray(sheet.parts) != Part.SCENE
        mask = Image.fromarray(body)
        picture.paste(sheet.image, corner, mask)
        owners.paste(place, (*corner, corner[0] + body.shape[1], corner[1] + body.shape[0]), mask)
        bodies.append((body, corner))
    seen = np.bincount(np.asarray(owners).ravel(), minlength=len(walkers) + 1)[1:]
    sightings = [
        _look(walker.identity, *body, int(count)) for walker, body, count in zip(walkers, bodies, seen, strict=True)
    ]
    return picture, [sighting for sighting in sightings if sighting.in_view >= _IN_VIEW]


def _draw_alone(walker: Walker, number: int) -> tuple[Sheet, tuple[int, int]]:
    """Draw a person on a sheet of its own; returns it and where its corner lies in the scene."""
    frame = walker.frame(number)
    margin = round(0.08 * frame.height)
    wide, high = round(1.2 * frame.height), round(frame.height) + 2 * margin
    left, top = round(frame.center) - wide // 2, round(frame.top) - margin
    sheet = Sheet(Image.new('RGB', (wide, high)))
    draw_person(
        sheet, walker.person, walker.pose(number), replace(frame, center=frame.center - left, top=frame.top - top)
    )
    return sheet, (left, top)


def _look(identity: int, body: np.ndarray, corner: tuple[int, int], num_seen: int) -> Sighting:
    """Measure a person from the pixels of its body, (height, width) boolean, and how many of them are seen."""
    rows, columns = np.nonzero(body)
    rows, columns = rows + corner[1], columns + corner[0]
    inside = (rows >= 0) & (rows < CLIP_SIZE[1]) & (columns >= 0) & (columns < CLIP_SIZE[0])
    tall = int(rows.max()) - int(rows.min()) + 1
    margin, middle = round(_MARGIN * tall), (int(columns.min()) + int(columns.max()) + 1) / 2
    reach = max(_ASPECT * (tall + 2 * margin), int(columns.max()) - int(columns.min()) + 1) / 2
    left, right = max(round(middle - reach), 0), min(round(middle + reach), CLIP_SIZE[0])
    top, bottom = max(int(rows.min()) - margin, 0), min(int(rows.max()) + 1 + margin, CLIP_SIZE[1])
    return Sighting(identity, (left, top, right - left, bottom - top), float(inside.mean()), num_seen / inside.size)


def _detect(sighting: Sighting, rng: np.random.Generator) -> tuple[tuple[float, ...], float] | None:
    """See a person as a detector does: box and score; None where it is missed."""
    # All chance is taken whether or not it is needed, so that one miss changes nothing else.
    shifts, luck, doubt = rng.normal(0, 0.02, size=4), rng.random(), rng.normal(0, 0.04)
    if sighting.visible < _LEAST_DETECTED or luck < 0.02:
        return None
    left, top, wide, high = sighting.box
    box = (left + shifts[0] * wide, top + shifts[1] * high, wide * (1 + shifts[2]), high * (1 + shifts[3]))
    return box, float(np.clip(0.45 + 0.5 * sighting.visible + doubt, 0.05, 0.99))


def _write(
    folder: Path, name: str, frames: Iterable[tuple[Image.Image, list[Sighting]]], length: int, rng: np.random.Generator
) -> None:
    truth, detections, identities = [], [], []
    chance = rng.spawn(1)[0]
    for number, (picture, sightings) in enumerate(frames, start=1):
        picture.save(folder / 'img1' / f'{number:06d}.jpg', quality=90)
        for sighting in sightings:
            box = ','.join(map(str, sighting.box))
            seen = sighting.visible
            truth.append(f'{number},{sighting.identity},{box},{int(seen >= _IN_VIEW)},1,{seen:.3f}')
            found = _detect(sighting, chance)
            if found:
                box = ','.join(f'{value:.2f}' for value in found[0])
                detections.append(f'{number},-1,{box},{found[1]:.3f},-1,-1,-1')
                identities.append(str(sighting.identity))
    (folder / 'gt/gt.txt').write_text('\n'.join(truth) + '\n')
    (folder / 'det/det.txt').write_text('\n'.join(detections) + '\n')
    (folder / 'det/identities.txt').write_text('\n'.join(identities) + '\n')
    wide, high = CLIP_SIZE
    (folder / 'seqinfo.ini').write_text(
        f'[Sequence]\nname={name}\nimDir=img1\nframeRate={FRAMES_PER_SECOND}\nseqLength={length}\n'
        f'imWidth={wide}\nimHeight={high}\nimExt=.jpg\n'
    )
