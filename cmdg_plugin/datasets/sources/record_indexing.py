"""From a list of images, whoever wrote it, to the index of a source."""

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from pathlib import Path

from cmdg_plugin.datasets.caption_fields import SPLITS, CaptionRecord
from cmdg_plugin.datasets.faulty_rows import FaultyRows
from cmdg_plugin.datasets.repeats import Repeats
from cmdg_plugin.datasets.sources.image_files import draw_expected_tree, leave_out_missing
from cmdg_plugin.datasets.sources.index import SourceIndex, SourceRecord, SourceSplit, make_scope
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
    released: int = -1,
) -> SourceIndex:
    """Share images out by split and role; junk (people of negative number) is left out.

    Args:
        name: Name of the dataset.
        root: Folder that paths are relative to.
        images: The images.
        listed_in: The list, for messages.
        distractors: Numbers of people who only stand in the gallery.
        shared_identities: Whether a number means the same person in training and test images.
        released: Position of the split that results are compared on.

    Raises:
        ValueError: If nothing says who is in an image, or two of a split's say different things of one image, or
            all are junk.
    """
    repeats = Repeats('column' if listed_in.suffix.lower() == '.csv' else 'key')
    splits: dict[int, dict[str, dict[str, SourceRecord]]] = defaultdict(lambda: {role: {} for role in SPLITS})
    counts: Counter[str] = Counter()
    faults: list[str] = []
    some_roles = any(item.split is not None for item in images)
    for item in images:
        if item.identity is None:
            raise ValueError(
                f'{listed_in}: the record of {item.file_path} does not say who is in the image; add the key `identity`.'
            )
        try:
            if not repeats.is_new(item):
                continue
        except ValueError as error:
            faults.append(str(error))
            continue
        if item.identity < 0:
            counts['junk images left out'] += 1
            continue
        role = item.split or 'train'
        members = splits[item.split_index or 0][role]
        counts['images without a role, trained on'] += some_roles and item.split is None
        members[item.file_path] = SourceRecord(
            path=item.file_path,
            identity=item.identity,
            camera=item.camera,
            captions=item.captions,
            scope='' if shared_identities else make_scope(item.file_path, role),
            distractor=item.identity in distractors and _may_be_distractor(item.file_path, role),
        )
    if faults:
        raise FaultyRows(faults, [str(root / item.file_path) for item in images])
    if not splits:
        raise ValueError(f'{listed_in}: all images are junk (people of negative number), so none is left.')
    counts['images listed twice, counted once'] = repeats.count
    for what, count in counts.items():
        if count:
            warn(f'{name}: {count:,} {what}')
    return SourceIndex(
        name=name,
        root=str(root),
        splits=tuple(
            SourceSplit(**{role: tuple(members.values()) for role, members in splits[number].items()})
            for number in sorted(splits)
        ),
        released=released,
        has_cameras=all(item.camera is not None for item in images),
    )


def _may_be_distractor(file_path: str, role: str) -> bool:
    # Files that relabel the training people from 0 have an honest person 0 there, whose image is not named so.
    return role in ('query', 'gallery') or file_path.rpartition('/')[2].startswith('0000_')
