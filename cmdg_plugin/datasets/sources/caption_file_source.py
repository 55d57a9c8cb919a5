"""A dataset indexed from its caption file alone."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path

from mmengine.logging import print_log

from cmdg_plugin.datasets.caption_fields import SPLITS
from cmdg_plugin.datasets.captions import CaptionRecord, load_captions
from cmdg_plugin.datasets.sources.image_files import draw_expected_tree, find_missing
from cmdg_plugin.datasets.sources.index import SourceIndex, SourceRecord, SourceSplit, make_scope
from cmdg_plugin.registry import SOURCES

_MARKET_FOLDERS = ('bounding_box_train/', 'bounding_box_test/', 'query/')


@SOURCES.register_module()
class CaptionFileSource:
    """Images, identities, cameras, captions and splits as one caption file lists them.

    People of negative number are junk and left out. Person 0 of Market-1501 (recognized by its folders) and GRID is a
    distractor: in the gallery, nobody's match, never trained on.

    Args:
        name: Name of the dataset, as tables and metric keys show it.
        root: Folder that the file's paths are relative to.
        caption_file: The JSON file; see `load_captions`. A relative path that does not exist is tried below `root` too.
        distractors: Numbers of people who only stand in the gallery; `None` decides by the dataset as above.
        shared_identities: Whether a number means the same person in training and test images. It does not in the
            released files (MSMT17 counts from 0 twice).
        only: Folder below the root whose images count, as for CUHK03's labeled and detected ones; '' for every one.
        released: Position of the split that results are compared on: the last one, as in the release.
        on_missing_image: What to do with listed images that do not exist: `'error'`, or `'skip'` and log how many.

    Raises:
        ValueError: If `on_missing_image` is neither.
    """

    def __init__(
        self,
        name: str,
        root: str,
        caption_file: str,
        *,
        distractors: Iterable[int] | None = None,
        shared_identities: bool = False,
        only: str = '',
        released: int = -1,
        on_missing_image: str = 'error',
    ) -> None:
        if on_missing_image not in ('error', 'skip'):
            raise ValueError(f"{name}: expected on_missing_image 'error' or 'skip', got {on_missing_image!r}")
        self.name = name
        self.root = Path(root).expanduser()
        self.caption_file = Path(caption_file).expanduser()
        self.distractors = None if distractors is None else frozenset(distractors)
        self.shared_identities = shared_identities
        self.only = f'{only.strip("/")}/' if only else ''
        self.released = released
        self.on_missing_image = on_missing_image

    def load(self) -> SourceIndex:
        """Index the caption file.

        Raises:
            FileNotFoundError: If the caption file, the root or an image is not there; shows the expected folders.
            ValueError: If a record does not say who is in its image.
        """
        captions = self._read_records()
        self._check_root(captions)
        captions = self._existing(captions)
        distractors = self._distractors(captions)
        splits: dict[int, dict[str, dict[str, SourceRecord]]] = defaultdict(lambda: {role: {} for role in SPLITS})
        counts: Counter[str] = Counter()
        for item in captions:
            identity = _identity(item, self.caption_file)
            if identity < 0:
                counts['junk images left out'] += 1
                continue
            role = item.split or 'train'
            images = splits[item.split_index or 0][role]
            counts['images listed twice, counted once'] += item.file_path in images
            images[item.file_path] = SourceRecord(
                path=item.file_path,
                identity=identity,
                camera=item.camera,
                captions=item.captions,
                scope='' if self.shared_identities else make_scope(item.file_path, role),
                distractor=identity in distractors and _may_be_distractor(item.file_path, role),
            )
        self._log(counts)
        return SourceIndex(
            name=self.name,
            root=str(self.root),
            splits=tuple(
                SourceSplit(**{role: tuple(images.values()) for role, images in splits[index].items()})
                for index in sorted(splits)
            ),
            released=self.released,
            has_cameras=all(item.camera is not None for item in captions),
        )

    def _read_records(self) -> list[CaptionRecord]:
        path = self.caption_file
        if not path.is_absolute() and not path.is_file():
            path = self.root / path
        records = load_captions(path if path.is_file() else self.caption_file)
        chosen = [record for record in records if record.file_path.startswith(self.only)]
        if not chosen:
            raise ValueError(
                f'{self.name}: {self.caption_file} lists no image below {self.only}; the first of its {len(records):,} '
                f'is {records[0].file_path}'
            )
        return chosen

    def _check_root(self, captions: list[CaptionRecord]) -> None:
        if not self.root.is_dir():
            tree = draw_expected_tree(self.root, (item.file_path for item in captions))
            raise FileNotFoundError(
                f'{self.name}: no folder {self.root}. {self.caption_file.name} lists images of this layout; '
                f'put the dataset there or set `root`:\n{tree}'
            )

    def _existing(self, captions: list[CaptionRecord]) -> list[CaptionRecord]:
        missing = find_missing(self.root, dict.fromkeys(item.file_path for item in captions))
        if not missing:
            return captions
        total = len({item.file_path for item in captions})
        found = f'{len(missing):,} of {total:,} images listed in {self.caption_file.name} do not exist'
        if self.on_missing_image == 'error' or len(missing) == total:
            tree = draw_expected_tree(self.root, (item.file_path for item in captions))
            raise FileNotFoundError(
                f'{self.name}: {found}, the first is {self.root / missing[0]}. Complete the dataset, or leave them out '
                f"with on_missing_image='skip'. Expected layout:\n{tree}"
            )
        print_log(f'{self.name}: {found}; left out', logger='current', level=30)
        gone = set(missing)
        return [item for item in captions if item.file_path not in gone]

    def _distractors(self, captions: list[CaptionRecord]) -> frozenset[int]:
        if self.distractors is not None:
            return self.distractors
        market_like = captions[0].file_path.startswith(_MARKET_FOLDERS)
        return frozenset({0}) if market_like or self.name.lower() == 'grid' else frozenset()

    def _log(self, counts: Counter[str]) -> None:
        for what, count in counts.items():
            if count:
                print_log(f'{self.name}: {count:,} {what}', logger='current')


def _identity(item: CaptionRecord, caption_file: Path) -> int:
    if item.identity is None:
        raise ValueError(
            f'{caption_file}: the record of {item.file_path} does not say who is in the image; add the key `identity`'
        )
    return item.identity


def _may_be_distractor(file_path: str, role: str) -> bool:
    # Files that relabel the training people from 0 have an honest person 0 there, whose image is not named so.
    return role in ('query', 'gallery') or file_path.rpartition('/')[2].startswith('0000_')
