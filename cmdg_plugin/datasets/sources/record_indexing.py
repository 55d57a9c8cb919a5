"""From a list of images, whoever wrote it, to the index of a source."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from cmdg_plugin.datasets.caption_fields import SPLITS, CaptionRecord
from cmdg_plugin.datasets.faulty_rows import read_all
from cmdg_plugin.datasets.repeats import Repeats
from cmdg_plugin.datasets.sources.image_files import draw_expected_tree, leave_out_missing
from cmdg_plugin.datasets.sources.index import SourceIndex, SourceRecord, make_scope, make_split
from cmdg_plugin.saying import warn


def check_missing_choice(name: str, choice: str) -> None:
    """Refuse a setting that does not say how to treat images that do not exist.

    Raises:
        ValueError: If it is neither `'error'` nor `'skip'`.
    """
    if choice not in ('error', 'skip'):
        raise ValueError(f"{name}: expected on_missing_image 'error' or 'skip', got {choice!r}.")


def keep_existing(
    name: str, root: Path, images: Sequence[CaptionRecord], listed_in: Path, on_missing: str
) -> list[CaptionRecord]:
    """Leave out, or refuse, images that are listed and do not exist.

    Args:
        name: Name of the dataset.
        root: Folder that paths are relative to.
        images: What is listed.
        listed_in: Where, for messages.
        on_missing: `'error'`, or `'skip'` and log how many.

    Raises:
        FileNotFoundError: If the root, an image or every image is not there; shows the expected folders.
    """
    paths = dict.fromkeys(item.file_path for item in images)
    if not root.is_dir():
        raise FileNotFoundError(
            f'{name}: no folder {root}. {listed_in.name} lists images of this layout; '
            f'put the dataset there or set `root`:\n{draw_expected_tree(root, paths)}'
        )
    gone = leave_out_missing(name, root, paths, on_missing, f'listed in {listed_in.name}', show_tree=True)
    return [item for item in images if item.file_path not in gone]


def index_images(
    name: str,
    root: Path,
    images: Sequence[CaptionRecord],
    listed_in: Path,
    *,
    distractors: Collection[int] = (),
    shared_identities: bool = False,
    captions_are_queries: bool = False,
    released: int = -1,
) -> SourceIndex:
    """Share images out by split and role; junk (identities of negative number) is left out.

    Args:
        name: Name of the dataset.
        root: Folder that paths are relative to.
        images: The images.
        listed_in: The list, for messages.
        distractors: Identities that only stand in the gallery.
        shared_identities: Whether a number means the same identity in training and test images.
        captions_are_queries: Whether captions are sentences for text search, in any number, rather than four.
        released: Position of the split that results are compared on.

    Raises:
        ValueError: If nothing says who is in an image, or two of a split's say different things of one image, or
            all are junk.
    """
    distinct = _without_repeats(root, images, listed_in)
    kept = [(item, identity) for item in distinct if (identity := _identity(item, listed_in)) >= 0]
    if not kept:
        raise ValueError(f'{listed_in}: all images are junk (identities of negative number), so none is left.')
    without_role = sum(item.split is None for item, _ in kept)
    counts = {
        'junk images left out': len(distinct) - len(kept),
        # Where no image has a role, that is what the list means.
        'images without a role, trained on': without_role if any(item.split is not None for item in images) else 0,
        'images listed twice, counted once': len(images) - len(distinct),
    }
    for what, count in counts.items():
        if count:
            warn(f'{name}: {count:,} {what}')
    splits: dict[int, dict[str, list[SourceRecord]]] = defaultdict(lambda: {role: [] for role in SPLITS})
    for item, identity in kept:
        role = item.split or 'train'
        record = SourceRecord(
            path=item.file_path,
            identity=identity,
            camera=item.camera,
            captions=None if captions_are_queries else item.captions,
            scope='' if shared_identities else make_scope(item.file_path, role),
            distractor=identity in distractors and _may_be_distractor(item.file_path, role),
            sentences=(item.captions or ()) if captions_are_queries else (),
        )
        splits[item.split_index or 0][role].append(record)
    return SourceIndex(
        name=name,
        root=str(root),
        splits=tuple(make_split(splits[number]) for number in sorted(splits)),
        released=released,
        has_cameras=all(item.camera is not None for item in images),
    )


def _without_repeats(root: Path, images: Sequence[CaptionRecord], listed_in: Path) -> list[CaptionRecord]:
    """Drop rows that say again what an earlier one did; refuse, all at once, those that say something else."""
    repeats = Repeats('column' if listed_in.suffix.lower() == '.csv' else 'key')
    firsts = read_all(images, repeats.first, lambda item: str(root / item.file_path))
    return [item for item, first in zip(images, firsts, strict=True) if item is first]


def _identity(item: CaptionRecord, listed_in: Path) -> int:
    if item.identity is None:
        raise ValueError(
            f'{listed_in}: the record of {item.file_path} does not say who is in the image; add the key `identity`.'
        )
    return item.identity


def _may_be_distractor(file_path: str, role: str) -> bool:
    # Files that relabel the training people from 0 have an honest person 0 there, whose image is not named so.
    return role in ('query', 'gallery') or file_path.rpartition('/')[2].startswith('0000_')
