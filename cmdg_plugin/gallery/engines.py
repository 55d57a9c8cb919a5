"""The engines by name, and which set of entries each opens."""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cmdg_plugin.files.writing import sync_folder
from cmdg_plugin.gallery.manifest import Manifest
from cmdg_plugin.gallery.milvus_store import MilvusStore, drop_collections
from cmdg_plugin.gallery.sqlite_store import SQLiteStore
from cmdg_plugin.gallery.store import GalleryStore

ENGINES = ('embedded', 'milvus')
"""Names of the engines."""

_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    'embedded': {'memory': 2 << 30},
    'milvus': {'uri': 'http://127.0.0.1:19530', 'collection': 'cmdg_gallery'},
}


def complete_options(engine: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """Check the settings of an engine, and complete them.

    Args:
        engine: Its name.
        options: For `embedded`, `memory`: bytes of vectors to keep in memory. For `milvus`, `uri`: the address of the
            server, and `collection`: the beginning of the names of its collections.

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
        return _open_milvus(folder, manifest, create)
    path = _sqlite_file(folder, manifest)
    if create:
        drop_store(folder, manifest)
    return SQLiteStore(path, manifest.dimension, manifest.shared, create=create, **manifest.options)


def drop_store(folder: Path, manifest: Manifest) -> None:
    """Throw away the entries of one version."""
    if manifest.engine == 'milvus':
        store = _open_milvus(folder, manifest, create=False)
        store.drop()
        store.close()
        return
    path = _sqlite_file(folder, manifest)
    for file in (path, path.with_name(f'{path.name}-journal')):
        file.unlink(missing_ok=True)
    sync_folder(folder)


def drop_others(folder: Path, manifest: Manifest) -> None:
    """Throw away what an interrupted `reencode` left: entries of all versions but the current one."""
    if manifest.engine == 'milvus':
        drop_collections(manifest.options['uri'], manifest.options['collection'], manifest.version)
        return
    current = _sqlite_file(folder, manifest).name
    for file in folder.glob('entries-*.sqlite*'):
        if not file.name.startswith(current):
            file.unlink(missing_ok=True)


def _sqlite_file(folder: Path, manifest: Manifest) -> Path:
    return folder / f'entries-{manifest.version}.sqlite'


def _open_milvus(folder: Path, manifest: Manifest, create: bool) -> MilvusStore:
    return MilvusStore(
        folder / f'columns-{manifest.version}.json',
        manifest.dimension,
        manifest.shared,
        uri=manifest.options['uri'],
        collection=f'{manifest.options["collection"]}_{manifest.version}',
        create=create,
    )
