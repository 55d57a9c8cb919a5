"""A public dataset, found below the data root and indexed in whichever way its layout allows."""

from pathlib import Path
from typing import Any

from cmdg_plugin.datasets.captions import load_captions
from cmdg_plugin.datasets.sources.benchmark import Layout
from cmdg_plugin.datasets.sources.benchmarks import get_benchmark
from cmdg_plugin.datasets.sources.caption_file_source import CaptionFileSource
from cmdg_plugin.datasets.sources.counts import compare_counts, log_counts
from cmdg_plugin.datasets.sources.index import SourceIndex
from cmdg_plugin.datasets.sources.locating import find_caption_file, require_layout
from cmdg_plugin.datasets.sources.record_indexing import check_missing_choice
from cmdg_plugin.datasets.sources.sentence_file_source import SentenceFileSource
from cmdg_plugin.datasets.sources.single_shot import arrange_single_shot
from cmdg_plugin.datasets.sources.torchreid_index import index_with_torchreid
from cmdg_plugin.files.witness import exists
from cmdg_plugin.registry import SOURCES


@SOURCES.register_module()
class BenchmarkSource:
    """A public dataset, one of the nine or one for text search, in any layout that is known.

    torchreid's reader indexes it where it can read the layout and has the files it needs; the caption file does
    otherwise (VIPeR as the release lays it out, CUHK03 without its `.mat` files, datasets for text search).

    Args:
        name: Name of the dataset.
        data_root: Folder that holds all datasets.
        caption_file: The JSON file of captions; None looks for the released one in `captions/` below the data root, in
            the data root and beside the images.
        version: `MSMT17_V1` or `MSMT17_V2`, `labeled` or `detected`; None takes what is there.
        index: `'torchreid'`, `'captions'`, or `'auto'` as above.
        on_missing_image: What to do with listed images that do not exist: `'error'` or `'skip'`.

    Raises:
        ValueError: If the dataset or a setting is unknown.
    """

    index_version = 1

    def __init__(
        self,
        name: str,
        data_root: str,
        caption_file: str | None = None,
        *,
        version: str | None = None,
        index: str = 'auto',
        on_missing_image: str = 'error',
    ) -> None:
        if index not in ('auto', 'torchreid', 'captions'):
            raise ValueError(f"{name}: expected index 'auto', 'torchreid' or 'captions', got {index!r}.")
        check_missing_choice(name, on_missing_image)
        self.name = name
        self.benchmark = get_benchmark(name)
        if self.benchmark.text_search and index == 'torchreid':
            raise ValueError(f"{name}: torchreid reads no sentences; leave index at 'auto'.")
        self.data_root = Path(data_root).expanduser()
        self.caption_file = caption_file
        self.version = version
        self.index = index
        self.on_missing_image = on_missing_image

    def check(self) -> None:
        """Look whether the dataset is there.

        Raises:
            FileNotFoundError: If not; shows the expected folders.
        """
        require_layout(self.benchmark, self.data_root, self.version)

    def load(self) -> SourceIndex:
        """Find and index the dataset.

        Raises:
            FileNotFoundError: If the dataset is not there, or no caption file where there must be one.
            ImportError: If torchreid is to index it and is not installed.
            ValueError: If the data are not as expected.
        """
        layout = require_layout(self.benchmark, self.data_root, self.version)
        root = self.data_root / layout.folder
        found = self._find_captions()
        if self.index == 'torchreid' or (self.index == 'auto' and self._readable(layout)):
            index, indexed_from = index_with_torchreid(self.benchmark, root, layout, found, self.on_missing_image), ''
        elif found is None:
            raise FileNotFoundError(
                f'{self.name} in the {layout.kind} layout is indexed from its caption file, and there is no '
                f'{self.benchmark.caption_file} in {self.data_root / "captions"}, {self.data_root} or beside the '
                f'images; put it there or set `caption_file`.'
            )
        else:
            index, indexed_from = self._load_captions(root, layout, str(found)), 'caption file'
        remark = ', '.join(part for part in (f'{layout.kind} layout', indexed_from, layout.version) if part)
        log_counts(self.name, compare_counts(index, self.benchmark, layout.version), remark)
        return index

    def _find_captions(self) -> str | Path | None:
        return self.caption_file or find_caption_file(self.benchmark, self.data_root)

    def _readable(self, layout: Layout) -> bool:
        root = self.data_root / layout.folder
        return bool(layout.links) and all(exists(root / name) for name in layout.needs)

    def _load_captions(self, root: Path, layout: Layout, caption_file: str) -> SourceIndex:
        benchmark = self.benchmark
        if benchmark.text_search:
            return SentenceFileSource(
                self.name, str(root / layout.only), caption_file, on_missing_image=self.on_missing_image
            ).load()
        index = CaptionFileSource(
            self.name,
            str(root),
            caption_file,
            distractors=benchmark.distractors,
            shared_identities=benchmark.one_numbering,
            only=layout.only,
            on_missing_image=self.on_missing_image,
        ).load()
        # A file that numbers every identity once holds one split; files with ten number each training set anew.
        if not benchmark.one_numbering:
            return index
        return arrange_single_shot(benchmark, str(root), index.images().values(), load_captions(caption_file))


@SOURCES.register_module()
class TorchreidSource(BenchmarkSource):
    """`BenchmarkSource(index='torchreid')` that looks for no caption file by itself; takes its other arguments."""

    index_version = 1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, index='torchreid', **kwargs)

    def _find_captions(self) -> str | None:
        return self.caption_file
