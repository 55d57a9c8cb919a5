"""One process at a time for an output or a folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout

from cmdg_plugin.saying import say


class InUse(RuntimeError):
    """Another process holds the lock."""


@contextmanager
def hold(lock_file: str | os.PathLike[str], message: str, *, wait: bool = False) -> Iterator[None]:
    """Hold a lock; it goes with the process, however that ends.

    Args:
        lock_file: The file that stands for the lock; it stays behind, empty.
        message: What is said where another process holds it: who works on what, and what to do.
        wait: Whether to wait for it then, with the message in the log.

    Raises:
        InUse: If another process holds it, and this one is not to wait.
    """
    lock = FileLock(os.fspath(lock_file))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        if not wait:
            raise InUse(message) from None
        say(message)
        lock.acquire()
    held = lock._context.lock_file_fd
    if held is not None and hasattr(os, 'register_at_fork'):
        # Otherwise workers of a dataloader would hold it for seconds after the process that forked them was killed.
        os.register_at_fork(after_in_child=lambda: _close(held) if lock.is_locked else None)
    try:
        yield
    finally:
        lock.release()


def _close(descriptor: int) -> None:
    with suppress(OSError):
        os.close(descriptor)
