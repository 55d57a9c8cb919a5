"""Whether a public dataset is there, in which layout and version, and how much of it."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mmengine.logging import MMLogger

from cmdg_plugin.clip_length import ClipLength
from cmdg_plugin.datasets.checking.caption_check import CaptionCheck, check_captions
from cmdg_plugin.datasets.sources.benchmark import Benchmark, Layout
from cmdg_plugin.datasets.sources.benchmark_source import BenchmarkSource
from cmdg_plugin.datasets.sources.benchmarks import BENCHMARKS, TEXT_BENCHMARKS, get_benchmark
from cmdg_plugin.datasets.sources.index import SourceIndex
from cmdg_plugin.datasets.sources.index_checks import check_index, find_oddities
from cmdg_plugin.datasets.sources.locating import draw_layouts, find_caption_file, find_layout

DEFAULT_VERSIONS = {name: benchmark.versions[0] for name, benchmark in BENCHMARKS.items() if benchmark.versions}
"""Which version the protocol configs read unless they are told otherwise."""


@dataclass(frozen=True)
class DatasetCheck:
    """What was found of one dataset.

    Attributes:
        benchmark: The dataset, with what is expected of it.
        version: Which version was asked for; '' where there is but one.
        layout: Where it was found, possibly in another version; None if it was not.
        index: Its images; None if it cannot be read at all.
        captions: Its captions; None without index.
        fault: Why it cannot be used as it is; '' if it can.
        tree: Folders in which it would have been found, where it was not.
        notes: What one should know though it can be used.
    """

    benchmark: Benchmark
    version: str = ''
    layout: Layout | None = None
    index: SourceIndex | None = None
    captions: CaptionCheck | None = None
    fault: str = ''
    tree: str = ''
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name of the dataset."""
        return self.benchmark.name


def check_datasets(
    data_root: str | Path,
    *,
    names: Iterable[str] = (*BENCHMARKS, *TEXT_BENCHMARKS),
    captions: str | Path | None = None,
    versions: Mapping[str, str] = DEFAULT_VERSIONS,
) -> list[DatasetCheck]:
    """Check several datasets, the nine and those for text search by default; see `check_dataset`."""
    length = ClipLength()
    with _quiet_log():
        return [
            check_dataset(name, data_root, captions=captions, version=versions.get(name), length=length)
            for name in names
        ]


def check_dataset(
    name: str,
    data_root: str | Path,
    *,
    captions: str | Path | None = None,
    version: str | None = None,
    length: ClipLength | None = None,
) -> DatasetCheck:
    """Look for a dataset and read it as training would; what is wrong with it is returned, not raised.

    Args:
        name: Name of the dataset.
        data_root: Folder that holds all datasets.
        captions: Folder in which caption files are looked for first.
        version: Which version shall be there; where it is not, another one is described.
        length: Counts CLIP tokens.

    Raises:
        ValueError: If there is no such dataset or version.
    """
    benchmark = get_benchmark(name)
    layout = find_layout(benchmark, data_root, version)
    fault = ''
    if layout is None and version is not None:
        layout = find_layout(benchmark, data_root)
        if layout is not None:
            fault = f'{layout.version} is there, {version} is not; set {name}_version={layout.version} to use it'
    if layout is None:
        tree = draw_layouts(benchmark, data_root, version)
        return DatasetCheck(benchmark, version or '', fault='not found', tree=tree)
    caption_file = _find_captions(benchmark, data_root, captions)
    index, problem = _read(benchmark, data_root, caption_file, layout)
    return DatasetCheck(
        benchmark,
        version or '',
        layout,
        index,
        captions=None if index is None else check_captions(index, length or ClipLength()),
        fault='; '.join(part for part in (fault, problem) if part),
        notes=(*_notes(benchmark, data_root, layout, caption_file), *(() if index is None else find_oddities(index))),
    )


def _read(
    benchmark: Benchmark, data_root: str | Path, caption_file: Path | None, layout: Layout
) -> tuple[SourceIndex | None, str]:
    """Index the dataset; returns what there is of it and what is wrong."""
    problem = ''
    for on_missing in ('error', 'skip'):
        try:
            source = BenchmarkSource(
                benchmark.name,
                str(data_root),
                None if caption_file is None else str(caption_file),
                version=layout.version or None,
                on_missing_image=on_missing,
            )
            index = source.load()
            check_index(index)
            return index, problem
        except FileNotFoundError as error:
            # An incomplete dataset is read once more without what is missing, for its numbers.
            problem = problem or str(error)
        except (ImportError, OSError, ValueError) as error:
            return None, problem or str(error)
    return None, problem


def _find_captions(benchmark: Benchmark, data_root: str | Path, folder: str | Path | None) -> Path | None:
    given = () if folder is None else [Path(folder) / name for name in benchmark.caption_files]
    if found := next((path for path in given if path.is_file()), None):
        return found
    return find_caption_file(benchmark, data_root)


def _notes(benchmark: Benchmark, data_root: str | Path, layout: Layout, caption_file: Path | None) -> Iterator[str]:
    if caption_file is None and not benchmark.text_search:
        released = ' and no released split: the first of ten drawn ones takes its place'
        splits = released if benchmark.ten_splits not in ('', 'shipped') else ''
        yield (
            f'no caption file {benchmark.caption_file} in {Path(data_root) / "captions"}, {data_root} or beside the '
            f'images, so there are no captions to train on{splits}'
        )
    for version in benchmark.versions:
        if version != layout.version and find_layout(benchmark, data_root, version) is not None:
            yield f'{version} is there too; {benchmark.name}_version={version} reads it'


@contextmanager
def _quiet_log() -> Iterator[None]:
    """Keep to itself what sources log: the check says the same in its table."""
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
