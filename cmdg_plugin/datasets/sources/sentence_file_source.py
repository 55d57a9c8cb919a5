"""A dataset for text search, indexed from the file that says in sentences what its images show."""

from collections.abc import Iterator
from pathlib import Path

from cmdg_plugin.datasets.caption_fields import SPLITS
from cmdg_plugin.datasets.sentence_files import SentenceRecord, load_sentences
from cmdg_plugin.datasets.sources.image_files import draw_expected_tree, leave_out_missing
from cmdg_plugin.datasets.sources.index import SourceIndex, SourceRecord, make_split
from cmdg_plugin.datasets.sources.record_indexing import check_missing_choice
from cmdg_plugin.registry import SOURCES
from cmdg_plugin.saying import warn


@SOURCES.register_module()
class SentenceFileSource:
    """Images with any number of sentences each, as CUHK-PEDES, ICFG-PEDES and RSTPReid list them.

    Test images become the gallery, in which `TextSearchSet` looks for what a sentence says. No cameras are read: text
    search has no rule about them. A number means one identity in all splits.

    Args:
        name: Name of the dataset, as tables and metric keys show it.
        root: Folder that the file's paths are relative to.
        caption_file: The JSON file; see `load_sentences`.
        on_missing_image: What to do with listed images that do not exist: `'error'`, or `'skip'` and log how many.

    Raises:
        ValueError: If `on_missing_image` is neither.
    """

    def __init__(self, name: str, root: str, caption_file: str, *, on_missing_image: str = 'error') -> None:
        check_missing_choice(name, on_missing_image)
        self.name = name
        self.root = Path(root).expanduser()
        self.caption_file = Path(caption_file).expanduser()
        self.on_missing_image = on_missing_image

    def check(self) -> None:
        """Look whether file and folder are there.

        Raises:
            FileNotFoundError: If one is not.
        """
        for what, path in (('caption file', self.caption_file), ('folder', self.root)):
            if not path.exists():
                raise FileNotFoundError(f'{self.name}: no {what} {path}.')

    def load(self) -> SourceIndex:
        """Index the file.

        Raises:
            FileNotFoundError: If the file, the root or an image is not there; shows the expected folders.
            ValueError: If a record is not as described, or an identity is trained on and tested on.
        """
        records = load_sentences(self.caption_file)
        paths = dict.fromkeys(record.path for record in records)
        if not self.root.is_dir():
            raise FileNotFoundError(
                f'{self.name}: no folder {self.root}. {self.caption_file.name} lists images of this layout; put the '
                f'dataset there or set `root`:\n{draw_expected_tree(self.root, paths)}'
            )
        listed_in = f'listed in {self.caption_file.name}'
        gone = leave_out_missing(self.name, self.root, paths, self.on_missing_image, listed_in, show_tree=True)
        self._warn_of_shared_people(records)
        roles = {role: list(_records_of(role, records, gone)) for role in SPLITS}
        return SourceIndex(self.name, str(self.root), (make_split(roles),), has_cameras=False)

    def _warn_of_shared_people(self, records: list[SentenceRecord]) -> None:
        people = {
            tested: {record.identity for record in records if (record.role == 'gallery') == tested}
            for tested in (False, True)
        }
        if shared := people[False] & people[True]:
            warn(
                f'{self.name}: {len(shared):,} identities of {self.caption_file.name} are in its test split and in '
                f'another, the first is {min(shared)}; scores on identities that a model knows say little about others'
            )


def _records_of(role: str, records: list[SentenceRecord], gone: set[str]) -> Iterator[SourceRecord]:
    for record in records:
        if record.role == role and record.path not in gone:
            yield SourceRecord(record.path, record.identity, sentences=record.sentences)
