"""One run an output."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cmdg_plugin.files.locking import InUse, hold

OutputInUse = InUse


def prepare_output(out: Path) -> Path:
    """Make the folder of an output.

    Raises:
        ValueError: If it is to be no JSON file.
    """
    if out.suffix != '.json':
        raise ValueError(f'the output must be a .json file, got {out}')
    out.parent.mkdir(parents=True, exist_ok=True)
    return out


@contextmanager
def lock_output(out: Path) -> Iterator[None]:
    """Hold an output; the lock goes with the process, however it ends.

    Raises:
        OutputInUse: If another run holds it.
    """
    with hold(f'{out}.lock', f'another run writes to {out}; wait for it, or give another --out'):
        yield
