"""What a source of ReID data hands over: named images with their people, cameras, captions and roles."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from cmdg_plugin.datasets.caption_fields import SPLITS
from cmdg_plugin.files.witness import note_stranger
from cmdg_plugin.registry import SOURCES

_CUHK02_PAIR = re.compile(r'(?:^|/)(P\d)/cam[12]/')


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """One image of a source.

    Attributes:
        path: Path below the root of the index, with forward slashes.
        identity: Who is in the image, as the dataset numbers people.
        camera: Which camera took it, as the dataset numbers cameras; None if unknown.
        captions: Four sentences in file order (global, upper, middle, lower); None if there are none.
        scope: Whose numbering `identity` belongs to. The same number in two scopes means two people, as in MSMT17,
            where person 0 of the training set and person 0 of the test set differ.
        distractor: Whether it stands in the gallery only, as nobody that a query asks for; never trained on.
        sentences: What it shows, in any number of sentences; each may ask for its identity in text search.
    """

    path: str
    identity: int
    camera: int | None = None
    captions: tuple[str, ...] | None = None
    scope: str = ''
    distractor: bool = False
    sentences: tuple[str, ...] = ()


@dataclass(frozen=True)
class SourceSplit:
    """The roles of a source's images in one split."""

    train: tuple[SourceRecord, ...] = ()
    val: tuple[SourceRecord, ...] = ()
    query: tuple[SourceRecord, ...] = ()
    gallery: tuple[SourceRecord, ...] = ()

    def members(self) -> Iterator[tuple[str, SourceRecord]]:
        """Go through the images, each with its role."""
        return ((role, record) for role in SPLITS for record in getattr(self, role))


def make_split(roles: Mapping[str, Iterable[SourceRecord]]) -> SourceSplit:
    """Make a split of its images by role."""
    return SourceSplit(**{role: tuple(records) for role, records in roles.items()})


@dataclass(frozen=True)
class SourceIndex:
    """Everything a source knows, before any image is read.

    Attributes:
        name: Name of the dataset, as tables and metric keys show it.
        root: Folder that the records' paths are relative to.
        splits: One or several ways to share the images out.
        released: Position in `splits` of the split that results are compared on.
        has_cameras: Whether cameras are known; without them the same-camera rule cannot apply.
        num_listed: How many of the splits, from the first, results are averaged over; None for every one. The released
            split may come after them without being one of them.
    """

    name: str
    root: str
    splits: tuple[SourceSplit, ...]
    released: int = 0
    has_cameras: bool = True
    num_listed: int | None = None

    def split(self, which: str | int = 'released') -> SourceSplit:
        """Return one split.

        Args:
            which: `'released'` or the position of a split; where there is one split, any position is its.

        Raises:
            ValueError: If there is no such split.
        """
        return self.splits[self.positions(which)[0]]

    def positions(self, which: str | int = 'released') -> tuple[int, ...]:
        """Return the positions of the asked splits: one, or every one for `'all'`; see `split`.

        Raises:
            ValueError: If there is no such split.
        """
        if which == 'released':
            return (self.released % len(self.splits),)
        if which == 'all':
            return tuple(range(len(self.splits) if self.num_listed is None else self.num_listed))
        if isinstance(which, int) and len(self.splits) == 1:
            # The number is meant for the other sources beside it.
            return (0,)
        if isinstance(which, int) and not isinstance(which, bool) and 0 <= which < len(self.splits):
            return (which,)
        raise ValueError(
            f"{self.name}: expected split 'released', 'all' or a number below {len(self.splits)}, got {which!r}."
        )

    def select(self, subsets: Iterable[str], which: str | int = 'released') -> list[SourceRecord]:
        """List the images of some roles to train on: distractors left out, every image once.

        Args:
            subsets: Any of `train`, `val`, `query`, `gallery`, or `all` for the four.
            which: Which split.

        Raises:
            ValueError: If a role is unknown.
        """
        names = check_subsets(subsets)
        split = self.split(which)
        chosen: dict[str, SourceRecord] = {}
        for name in names:
            for record in getattr(split, name):
                if not record.distractor:
                    chosen.setdefault(record.path, record)
        # By path: a dataset indexed in another way, or on another machine, gives the same order.
        return [chosen[path] for path in sorted(chosen)]

    def images(self) -> dict[str, SourceRecord]:
        """Images of all roles and splits by path, each once."""
        return {record.path: record for split in self.splits for _, record in split.members()}

    def absolute(self, record: SourceRecord) -> str:
        """Return where the image of a record lies."""
        # Joined as text: a Path for each of 100,000 images takes seconds.
        return os.path.join(self.root, record.path)


@runtime_checkable
class ReIDSource(Protocol):
    """Anything that can be registered in `SOURCES`.

    A source may also have a method `check`, without arguments, that raises a FileNotFoundError at once where there is
    nothing to index; runs ask it before they build a model.

    Its index is kept by a dataset's `index_cache` only if its own class, and not just one above it, has an attribute
    `index_version`: it promises that whatever its index is made of, beside its arguments, is read by functions of this
    package or noted by those of `cmdg_plugin.files.witness` before it is looked at, and counts up whenever the same
    files give another index.
    """

    name: str

    def load(self) -> SourceIndex:
        """Index the source; reads no image."""
        ...


def build_source(source: Mapping[str, Any] | ReIDSource) -> ReIDSource:
    """Build a source from its config; a source stays as it is.

    Raises:
        TypeError: If it is neither.
    """
    if isinstance(source, Mapping):
        # MMEngine knows no such registry in the scope of another project's config, and warns of it without this.
        return SOURCES.build({'_scope_': 'cmdg_plugin', **source})
    if isinstance(source, ReIDSource):
        return source
    raise TypeError(f'expected the config of a source, such as dict(type=...), got {type(source).__name__}.')


def load_source(source: ReIDSource) -> SourceIndex:
    """Index a source, and note it if it does not promise to note what it reads."""
    if 'index_version' not in vars(type(source)):
        note_stranger(f'{source.name} ({type(source).__name__})')
    return source.load()


def check_source(source: ReIDSource) -> None:
    """Let a source that can tell say whether it is there.

    Raises:
        FileNotFoundError: If it is not.
    """
    if hasattr(source, 'check'):
        source.check()


def check_subsets(subsets: str | Iterable[str]) -> tuple[str, ...]:
    """Return the roles that are meant.

    Raises:
        ValueError: If one is unknown or none is given.
    """
    names = (subsets,) if isinstance(subsets, str) else tuple(subsets)
    if names == ('all',):
        return SPLITS
    unknown = [name for name in names if name not in SPLITS]
    if unknown or not names:
        raise ValueError(f"expected subsets out of {', '.join(SPLITS)}, or 'all'; got {list(names)}.")
    return names


def make_scope(path: str, role: str) -> str:
    """Name whose numbering a person's number belongs to, in the public datasets.

    Training and test images number people separately, and CUHK02 numbers them anew for each of its camera pairs.
    """
    part = 'train' if role in ('train', 'val') else 'test'
    pair = _CUHK02_PAIR.search(path)
    return f'{part}/{pair.group(1)}' if pair else part
