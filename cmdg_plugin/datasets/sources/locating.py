"""Find a public dataset below the data root."""

from pathlib import Path

from cmdg_plugin.datasets.sources.benchmark import Benchmark, Layout
from cmdg_plugin.files.witness import is_file, is_folder


def find_layout(benchmark: Benchmark, data_root: str | Path, version: str | None = None) -> Layout | None:
    """Return the first layout whose folders exist, or None.

    Args:
        benchmark: The dataset.
        data_root: Folder that holds all datasets.
        version: Which version to look for; None takes any.

    Raises:
        ValueError: If the dataset has no such version.
    """
    if version is not None and version not in benchmark.versions:
        raise ValueError(
            f'{benchmark.name}: expected version None or one of ({", ".join(benchmark.versions)}), got {version!r}.'
        )
    for layout in benchmark.layouts:
        root = Path(data_root) / layout.folder
        if version in (None, layout.version) and all(is_folder(root / name) for name in layout.markers):
            return layout
    return None


def draw_layouts(benchmark: Benchmark, data_root: str | Path, version: str | None = None) -> str:
    """Draw every layout in which the dataset would be found."""
    drawings = [
        f'{layout.kind} layout{f" ({layout.version})" if layout.version else ""}:\n{layout.draw(str(data_root))}'
        for layout in benchmark.layouts
        if version in (None, layout.version)
    ]
    return '\nor, '.join(drawings)


def require_layout(benchmark: Benchmark, data_root: str | Path, version: str | None = None) -> Layout:
    """Return the first layout whose folders exist.

    Raises:
        FileNotFoundError: If there is none; shows the expected folders.
    """
    layout = find_layout(benchmark, data_root, version)
    if layout is None:
        raise FileNotFoundError(
            f'{benchmark.name} was not found below {Path(data_root).absolute()}. Expected, in the '
            f'{draw_layouts(benchmark, data_root, version)}'
        )
    return layout


def find_caption_file(benchmark: Benchmark, data_root: str | Path) -> Path | None:
    """Look for the released caption file: in `captions/` below the data root, in the data root, beside the images."""
    root = Path(data_root)
    folders = [root / 'captions', root, *(root / layout.folder for layout in benchmark.layouts)]
    places = (folder / name for name in benchmark.caption_files for folder in folders)
    return next((path for path in places if is_file(path)), None)
