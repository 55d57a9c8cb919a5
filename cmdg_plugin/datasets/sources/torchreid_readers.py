"""torchreid's dataset readers, run so that they neither write into the data nor depend on its place."""

import contextlib
import io
import json
import os
import random
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from cmdg_plugin.datasets.sources.benchmark import Layout
from cmdg_plugin.files.witness import note_tree
from cmdg_plugin.torchreid_import import import_torchreid

Listing = list[tuple[str, int, int]]
"""Images as torchreid lists them: path below the root of the layout, person, camera."""


def read_with_torchreid(name: str, root: Path, layout: Layout, *, num_splits: int = 1) -> list[dict[str, Listing]]:
    """List a dataset's images as torchreid's reader does.

    The reader works on a temporary folder of links. So it finds either layout where it expects its own, any split file
    that it writes (at random, with absolute paths) is forgotten, and read-only data do not stop it.

    Args:
        name: Name of the dataset, also torchreid's.
        root: Where the images lie.
        layout: Which layout they have there.
        num_splits: How many of the reader's splits to list.

    Returns:
        Per split, `train`, `query`, `gallery` and, if the reader knows one, `val`.

    Raises:
        ValueError: If the reader rejects what it finds.
    """
    readers = import_torchreid('data.datasets')
    # It does not say what it reads: all that lies there counts, and its own code.
    note_tree(root)
    note_tree(Path(str(readers.__file__)).parent)
    with tempfile.TemporaryDirectory(prefix='cmdg_plugin_') as folder, _quiet():
        view = Path(folder).resolve()
        _link(view, root, layout)
        if layout.listing is not None:
            _write_listing(view, *layout.listing)
        options = dict(layout.options)
        try:
            return [_list(_build(readers, name, view, split, options), view, layout) for split in range(num_splits)]
        except Exception as error:
            # Its readers check little: what they raise depends on what they stumble over.
            reason = str(error).replace(str(view), '...') or type(error).__name__
            data_root = str(root).removesuffix(layout.folder).rstrip('/')
            raise ValueError(
                f"torchreid's reader of {name} cannot read {root} ({type(error).__name__}: {reason}). "
                f'Expected layout:\n{layout.draw(data_root)}'
            ) from error


def _build(readers: ModuleType, name: str, view: Path, split: int, options: dict[str, bool]) -> Any:
    # Readers of datasets with one split do not know the argument.
    choice = {'split_id': split} if split else {}
    return readers.init_image_dataset(name, root=str(view), verbose=False, **choice, **options)


def _link(view: Path, root: Path, layout: Layout) -> None:
    for place, below in layout.links:
        target = root / below
        if target.exists():
            (view / place).parent.mkdir(parents=True, exist_ok=True)
            (view / place).symlink_to(target.resolve(), target_is_directory=target.is_dir())


def _write_listing(view: Path, split_file: str, folder: str) -> None:
    """Write the split file that lists every image; the reader's own leaves most test images out."""
    names = sorted(path.name for path in (view / folder).glob('*.jpg'))
    split = {'train': names, 'query': names[:1], 'gallery': names[:1]}
    (view / split_file).write_text(json.dumps([split]))


def _list(reader: Any, view: Path, layout: Layout) -> dict[str, Listing]:
    roles = {'train': reader.train, 'query': reader.query, 'gallery': reader.gallery}
    if hasattr(reader, 'list_val_path'):
        # MSMT17's reader drops the validation images unless they shall be trained on.
        roles['val'] = reader.process_dir(reader.train_dir, reader.list_val_path)
    if getattr(reader, '_train_only', False):
        # Its base class needs a query and a gallery, so the reader puts a training image there.
        roles['query'], roles['gallery'] = [], []
    return {
        role: sorted({(_relative(item[0], view, layout), int(item[1]), int(item[2])) for item in items})
        for role, items in roles.items()
    }


def _relative(path: str, view: Path, layout: Layout) -> str:
    """Turn a path in the view into one below the root of the layout."""
    for place, below in layout.links:
        prefix = f'{view / place}{os.sep}'
        if path.startswith(prefix):
            return f'{below}/{Path(path[len(prefix) :]).as_posix()}'.lstrip('/')
    # Split files of CUHK03 hold absolute paths of wherever the dataset was when they were made.
    return '/'.join(Path(path).parts[-2:])


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the reader's prints and warnings to itself and the caller's random numbers untouched."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002  (torchreid draws from it)
    try:
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
