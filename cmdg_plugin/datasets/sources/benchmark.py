"""How a public dataset is described: where its images may lie, how many there are, how names tell people."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


@dataclass(frozen=True)
class Layout:
    """One place where a dataset's images may lie.

    Attributes:
        kind: Whose layout it is: `release` (the method's) or `torchreid`.
        folder: Root of the images, below the data root.
        shows: What it contains, each with an example or a remark; the folders among it identify the layout.
        links: Where torchreid's reader wants to find what: pairs of a path below its own root and one below `folder`.
            Empty if it cannot read this layout.
        needs: Files beside the images without which torchreid's reader cannot work.
        version: Which version of the dataset this is, where there are several.
        only: Folder below `folder` that the images lie in, where `folder` holds other things, such as other versions.
        options: What torchreid's reader must be told, as pairs of name and value.
        listing: Split file, below torchreid's own root, that makes its reader list all images, and their folder there;
            for a reader whose own splits leave images out.
    """

    kind: str
    folder: str
    shows: tuple[tuple[str, str], ...]
    links: tuple[tuple[str, str], ...] = ()
    needs: tuple[str, ...] = ()
    version: str = ''
    only: str = ''
    options: tuple[tuple[str, bool], ...] = ()
    listing: tuple[str, str] | None = None

    @property
    def markers(self) -> tuple[str, ...]:
        """Folders that must exist."""
        return tuple(name for name, _ in self.shows if name.endswith('/'))

    def draw(self, data_root: str) -> str:
        """Draw the folder tree."""
        lines = [f'{data_root}/{self.folder}/']
        for position, (name, remark) in enumerate(self.shows):
            branch = '└──' if position == len(self.shows) - 1 else '├──'
            lines.append(f'{branch} {name:<22} {remark}'.rstrip())
        return '\n'.join(lines)


class RoleCount(NamedTuple):
    """How many identities and images a role has; None where nobody says."""

    identities: int | None
    images: int | None


@dataclass(frozen=True)
class Benchmark:
    """One dataset.

    Attributes:
        name: Name in configs, tables and metric keys; also torchreid's.
        layouts: Where it may lie, the first found wins.
        caption_file: Name of the released caption file; of datasets for text search, that of their own.
        counts: Expected identities and images per role; per version where versions differ.
        cameras: Expected number of cameras.
        joins: Patterns whose named groups, by name, tell an image from all others in any layout.
        person: Pattern whose group in an image's path is the identity's number; None to trust torchreid's reader.
        distractors: Identities that stand in the gallery only.
        ten_splits: Where it is evaluated on ten splits, how they come about: `shipped` with it, or drawn, to look from
            one of `two cameras` into the other, or from one for another of `any two images` of a person.
        one_numbering: Whether the caption file numbers every identity once; else training and test people separately.
        text_search: Whether its caption file says in any number of sentences what each image shows, each of them a
            query, where those of the other datasets hold four.
        other_caption_file: Another name under which the caption file is found; '' if there is one name.
        holds: Datasets whose images are among its own.
    """

    name: str
    layouts: tuple[Layout, ...]
    caption_file: str
    counts: Mapping[str, Mapping[str, RoleCount]]
    cameras: int | None = None
    joins: tuple[re.Pattern[str], ...] = ()
    person: re.Pattern[str] | None = None
    distractors: frozenset[int] = field(default_factory=frozenset)
    ten_splits: str = ''
    one_numbering: bool = False
    text_search: bool = False
    other_caption_file: str = ''
    holds: tuple[str, ...] = ()

    @property
    def single_shot(self) -> bool:
        """Whether it is evaluated on ten splits."""
        return bool(self.ten_splits)

    @property
    def caption_files(self) -> tuple[str, ...]:
        """Names under which its caption file is found."""
        return tuple(filter(None, (self.caption_file, self.other_caption_file)))

    @property
    def versions(self) -> tuple[str, ...]:
        """Names of the versions, none where there is but one."""
        return tuple(dict.fromkeys(layout.version for layout in self.layouts if layout.version))

    def join_key(self, path: str) -> tuple[str, ...] | None:
        """Return what identifies an image in any layout; None if the path is not of this dataset."""
        for pattern in self.joins:
            if match := pattern.search(path):
                parts = (part for _, part in sorted(match.groupdict().items()))
                return tuple(part.lstrip('0') if part.isdigit() else _SYNONYMS.get(part, part) for part in parts)
        return None


_SYNONYMS = {'mask_train_v2': 'train', 'mask_test_v2': 'test', 'cam_a': '1', 'cam_b': '2'}
