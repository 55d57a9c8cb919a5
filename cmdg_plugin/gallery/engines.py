"""The engines by name, and which set of entries each opens."""

from pathlib import Path

from cmdg_plugin.gallery.manifest import Manifest
from cmdg_plugin.gallery.sqlite_store import SQLiteStore
from cmdg_plugin.gallery.store import GalleryStore

ENGINES = ('embedded',)
"""Names of the engines."""


def check_engine(name: str) -> None:
    """Refuse a name that no engine has.

    Raises:
        ValueError: Lists the known ones.
    """
    if name not in ENGINES:
        raise ValueError(f'There is no engine {name!r}; expected one of {", ".join(ENGINES)}.')


def open_store(folder: Path, manifest: Manifest, *, create: bool = False) -> GalleryStore:
    """Open the entries of a gallery.

    Args:
        folder: The gallery.
        manifest: What it says of itself; the version says which set.
        create: Whether to begin a new, empty set; what is left of an earlier attempt is thrown away.
    """
    check_engine(manifest.engine)
    path = folder / f'entries-{manifest.version}.sqlite'
    if create:
        drop_store(folder, manifest)
    return SQLiteStore(path, manifest.dimension, manifest.shared, create=create, **manifest.options)


def drop_store(folder: Path, manifest: Manifest) -> None:
    """Throw away the entries of one version."""
    path = folder / f'entries-{manifest.version}.sqlite'
    for file in (path, path.with_name(f'{path.name}-journal')):
        file.unlink(missing_ok=True)
