"""The one progress bar of long passes over images, captions and files."""

import sys
from collections.abc import Iterable
from typing import TypeVar

from mmengine.dist import is_main_process
from tqdm import tqdm

Item = TypeVar('Item')


def track(
    items: Iterable[Item], what: str, total: int | None = None, unit: str = 'batch', *, on_every_rank: bool = False
) -> Iterable[Item]:
    """Show progress while iterating, on the main process only.

    On a terminal the bar moves twice a second; in a log file it adds a line every quarter of a minute at most.

    Args:
        items: What to iterate over.
        what: What is being done, in a few words.
        total: How many items there are, where they cannot tell.
        unit: What one item is.
        on_every_rank: Whether another process shows it, too, as the only one that does this work.
    """
    seconds = 0.5 if sys.stderr.isatty() else 15
    hidden = not (on_every_rank or is_main_process())
    return tqdm(items, desc=what, total=total, unit=unit, mininterval=seconds, disable=hidden)
