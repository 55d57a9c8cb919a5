"""Which checkpoints a run's folder holds."""

import re
from pathlib import Path

from cmdg_plugin.saying import warn


def list_checkpoints(folder: str | Path) -> list[Path]:
    """List the checkpoints that a run has left so far, by epoch."""
    found = {
        int(match.group(1)): path
        for path in Path(folder).glob('epoch_*.pth')
        if (match := re.fullmatch(r'epoch_(\d+)\.pth', path.name))
    }
    return [found[epoch] for epoch in sorted(found)]


def find_checkpoint(work_dir: str | Path) -> str | None:
    """Find the checkpoint that a run goes on from: the one of the latest epoch.

    MMEngine asks a file that names the latest one, and starts over without a word where that file is lost.

    Returns:
        Its path; None, said in the log, if there is none.
    """
    found = list_checkpoints(work_dir)
    if not found:
        warn(f'No checkpoint in {work_dir}: starting from the beginning.')
        return None
    return str(found[-1])
