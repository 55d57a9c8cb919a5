"""The engines by name, and which set of entries each opens."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmdg_plugin.gallery.manifest import Manifest
from cmdg_plugin.gallery.milvus_store import LISTS, MilvusStore, drop_collections
from cmdg_plugin.gallery.sqlite_store import SQLiteStore, drop_files
from cmdg_plugin.gallery.store import GalleryStore

ENGINES = ('embedded', 'milvus')
"""Names of the engines."""

_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    'embedded': {'memory': 2 << 30},
    'milvus': {'uri': 'http://127.0.0.1:19530', 'collection': 'cmdg_gallery', 'approximate': 0},
}


def complete_options(engine: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Check the settings of an engine, and complete them.

    Args:
        engine: Its name.
        options: For `embedded`, `memory`: bytes of vectors to keep in memory. For `milvus`, `uri`: the address of the
            server, `collection`: the beginning of the names of its collections, and `approximate`: how many of 1,024
            lists a search looks at, 0 for all vectors.

    Raises:
        ValueError: If there is no such engine, or it has no such setting.
    """
    if engine not in ENGINES:
        raise ValueError(f'There is no engine {engine!r}; expected one of {", ".join(ENGINES)}.')
    known = _SETTINGS[engine]
    unknown = [name for name in options if name not in known]
    if unknown:
        raise ValueError(f'The engine {engine} has no setting {unknown[0]!r}; it has {", ".join(known)}.')
    complete = {**known, **options}
    for name, value in known.items():
        if not isinstance(complete[name], type(value)) or isinstance(complete[name], bool):
            raise ValueError(f'The setting {name} of the engine {engine} is like {value!r}, got {complete[name]!r}.')
    if engine == 'embedded' and complete['memory'] < 0:
        raise ValueError(f'memory is a number of bytes from 0, got {complete["memory"]:,}.')
    if engine == 'milvus' and not 0 <= complete['approximate'] <= LISTS:
        raise ValueError(f'approximate is 0, or a number of lists up to {LISTS:,}; got {complete["approximate"]}.')
    if engine == 'milvus' and 'collection' not in options:
        # Two galleries on one server must not meet.
        complete['collection'] += f'_{secrets.token_hex(6)}'
    return complete


def open_store(folder: Path, manifest: Manifest, *, create: bool = False) -> GalleryStore:
    """Open the entries of a gallery.

    Args:
        folder: The gallery.
        manifest: What it says of itself; the version says which set.
        create: Whether to begin a new, empty set; what is left of an earlier attempt is thrown away.
    """
    complete_options(manifest.engine, manifest.options)
    if manifest.engine == 'milvus':
        return MilvusStore(
            folder / f'columns-{manifest.version}.json',
            manifest.dimension,
            manifest.shared,
            uri=manifest.options['uri'],
            collection=f'{manifest.options["collection"]}_{manifest.version}',
            approximate=manifest.options.get('approximate', 0),  # galleries older than the setting are exact
            create=create,
        )
    path = folder / f'entries-{manifest.version}.sqlite'
    if not create:
        return SQLiteStore(path, manifest.dimension, manifest.shared, **manifest.options)
    drop_files(path)
    try:
        return SQLiteStore(path, manifest.dimension, manifest.shared, create=True, **manifest.options)
    except BaseException:  # such as a full disk
        drop_files(path)
        raise


def drop_others(folder: Path, manifest: Manifest) -> None:
    """Throw away the entries of all versions but the current one, such as an interrupted `reencode` leaves."""
    if manifest.engine == 'milvus':
        drop_collections(manifest.options['uri'], manifest.options['collection'], manifest.version)
    current = (f'entries-{manifest.version}.', f'columns-{manifest.version}.')
    for file in (*folder.glob('entries-*.sqlite*'), *folder.glob('columns-*.json')):
        if not file.name.startswith(current):
            file.unlink(missing_ok=True)
