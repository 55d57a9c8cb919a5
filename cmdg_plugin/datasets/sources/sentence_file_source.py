"""A dataset for text search, indexed from the file that says in sentences what its images show."""

from pathlib import Path

from cmdg_plugin.datasets.sentence_files import load_sentences
from cmdg_plugin.datasets.sources.index import SourceIndex
from cmdg_plugin.datasets.sources.record_indexing import check_missing_choice, index_images, keep_existing
from cmdg_plugin.registry import SOURCES


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

    index_version = 1

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
            ValueError: If a record is not as described, or two of one image disagree.
        """
        records = load_sentences(self.caption_file)
        kept = keep_existing(self.name, self.root, records, self.caption_file, self.on_missing_image)
        return index_images(
            self.name, self.root, kept, self.caption_file, shared_identities=True, captions_are_queries=True
        )
