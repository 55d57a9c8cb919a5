"""Checkpoints that are on disk whole or not at all."""

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from cmdg_plugin.files.writing import write_whole

ATOMIC_BACKEND = 'cmdg_plugin.atomic'
"""Name for `backend_args=dict(backend=...)` of MMEngine's hooks."""


class AtomicLocalBackend(LocalBackend):
    """Local files that appear under their name only once they are complete and on disk.

    MMEngine's own backend writes in place: a run that is killed, or a disk that fills up, while a checkpoint is written
    leaves half of one behind, under the name that `--resume` goes for.
    """

    def put(self, obj: bytes | memoryview, filepath: str | Path) -> None:
        """Write bytes to a file, by way of a neighbor that is renamed in the end."""
        write_whole(filepath, obj)


register_backend(ATOMIC_BACKEND, AtomicLocalBackend, force=True)
