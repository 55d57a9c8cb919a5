"""Which pictures a domain holds: who is seen by which camera, in which folder and under which name."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .domains import LARGE_TARGET_DOMAINS, SOURCE_DOMAINS, TARGET_DOMAINS, Domain, get_domain
from .people import Person, sample_crowd, sample_person

TRAIN, QUERY, GALLERY = 'bounding_box_train', 'query', 'bounding_box_test'
FOLDERS: tuple[str, ...] = (TRAIN, QUERY, GALLERY)
"""Market-1501's folders."""

JUNK, DISTRACTOR = -1, 0
"""Market-1501's labels of boxes that are to be ignored, and of people (or no people) that nobody looks for."""

NUM_PROTOTYPES = 30
"""Looks that people of all domains resemble."""

_LARGEST_IDENTITY = 1500


@dataclass(frozen=True)
class Census:
    """How many people and pictures a domain has.

    Attributes:
        train: Identities in `bounding_box_train`.
        test: Other identities, in `query` and `bounding_box_test`.
        images: Fewest and most pictures of one identity, queries included.
        distractors: Pictures in the gallery of people and things that nobody looks for.
        junk: Pictures in the gallery that are to be ignored.
    """

    train: int
    test: int
    images: tuple[int, int]
    distractors: int
    junk: int


@dataclass(frozen=True)
class Size:
    """How large a benchmark is.

    Attributes:
        sources: People and pictures of a domain to train on.
        targets: People and pictures of an unseen domain.
        target_domains: Names of the unseen domains.
    """

    sources: Census
    targets: Census
    target_domains: tuple[str, ...]

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of all domains."""
        return SOURCE_DOMAINS + self.target_domains


# Nothing is trained on the targets' training people; readers that insist on a training set find one.
SIZES: dict[str, Size] = {
    'small': Size(
        sources=Census(train=48, test=20, images=(6, 10), distractors=0, junk=0),
        targets=Census(train=16, test=60, images=(6, 10), distractors=40, junk=12),
        target_domains=TARGET_DOMAINS,
    ),
    # Trains on as many people as the small one, so that a run takes as long; five seeds decide a point of mAP.
    'large': Size(
        sources=Census(train=48, test=150, images=(6, 10), distractors=0, junk=0),
        targets=Census(train=16, test=300, images=(6, 10), distractors=200, junk=60),
        target_domains=LARGE_TARGET_DOMAINS,
    ),
}
"""Benchmarks by name: `small` for a run of minutes, `large` for studies."""

_PROTOTYPES = 6
"""Seeds the looks that all domains share."""

DOMAIN_NUMBERS = {'harbor': 0, 'market': 1, 'campus': 2, 'station': 3, 'metro': 4, 'alpine': 5, 'arcade': 7}
"""Seeds a domain's people and pictures."""


@dataclass(frozen=True)
class Shot:
    """One picture to be taken.

    Attributes:
        file_path: Where it goes below the domain's folder, with forward slashes.
        identity: The label in its name.
        camera: From 1.
        person: Who is in it; None for an empty place.
        seed: Seeds the picture and its captions, whatever else is made before or after.
    """

    file_path: str
    identity: int
    camera: int
    person: Person | None
    seed: tuple[int, ...]


def find_size(size: str) -> Size:
    """Look a size up.

    Raises:
        ValueError: If there is no such size.
    """
    if size not in SIZES:
        raise ValueError(f'Islands comes in the sizes {", ".join(SIZES)}, not {size!r}.')
    return SIZES[size]


def plan_domain(name: str, seed: int, size: str = 'small') -> list[Shot]:
    """Plan all pictures of a domain; the same for the same seed and size.

    Args:
        name: One of the domains.
        seed: The benchmark's seed.
        size: Which of `SIZES`.

    Returns:
        The pictures, ordered by path.

    Raises:
        ValueError: If no domain has this name, or there is no such size.
    """
    domain = get_domain(name)
    census = find_size(size).sources if name in SOURCE_DOMAINS else find_size(size).targets
    index = DOMAIN_NUMBERS[name]
    rng = np.random.default_rng([seed, index])
    shots = [
        Shot(f'{folder}/{_file_name(identity, camera, number, rng)}', identity, camera, person, (seed, index, number))
        for number, (folder, identity, camera, person) in enumerate(_moments(domain, census, seed, rng))
    ]
    return sorted(shots, key=lambda shot: shot.file_path)


def _moments(
    domain: Domain, census: Census, seed: int, rng: np.random.Generator
) -> Iterator[tuple[str, int, int, Person | None]]:
    """Yield folder, identity, camera and person of every picture, ordered by identity."""
    shared = np.random.default_rng([seed, _PROTOTYPES])
    prototypes = [sample_person(shared) for _ in range(NUM_PROTOTYPES)]
    crowd = sample_crowd(census.train + census.test, prototypes, rng)
    labels = rng.choice(np.arange(1, _LARGEST_IDENTITY + 1), size=len(crowd), replace=False).tolist()
    num_cameras = len(domain.cameras)
    for number, (person, label) in enumerate(zip(crowd, labels, strict=True)):
        cameras = (rng.permutation(num_cameras) + 1).tolist()
        for image in range(int(rng.integers(census.images[0], census.images[1] + 1))):
            # The first two pictures are queries of two cameras, so both have matches elsewhere in the gallery.
            folder = TRAIN if number < census.train else QUERY if image < 2 else GALLERY
            yield folder, label, cameras[image % num_cameras], person
    for _ in range(census.distractors):
        stranger = sample_person(rng) if rng.random() < 0.6 else None
        yield GALLERY, DISTRACTOR, int(rng.integers(num_cameras)) + 1, stranger
    for _ in range(census.junk):
        yield GALLERY, JUNK, int(rng.integers(num_cameras)) + 1, crowd[int(rng.integers(len(crowd)))]


def _file_name(identity: int, camera: int, number: int, rng: np.random.Generator) -> str:
    label = '-1' if identity == JUNK else f'{identity:04d}'
    frame = 25 * number + int(rng.integers(25))
    return f'{label}_c{camera}s{rng.integers(1, 4)}_{frame:06d}_{rng.integers(1, 5):02d}.jpg'
