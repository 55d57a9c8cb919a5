"""The progress bar of a captioning run: rate, remaining time, and how many sentences gave trouble."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def caption_bar(finished: int, missing: int) -> Iterator[Callable[[bool, int], None]]:
    """Show a bar and give the function that moves it on by one sentence.

    On a terminal the bar moves twice a second; in a log file it adds a line every quarter of a minute at most.

    Args:
        finished: Sentences from earlier runs; they count as done, but not for the rate.
        missing: Sentences to go.

    Yields:
        A function of (failed for good, how often it was asked again).
    """
    seconds = 0.5 if sys.stderr.isatty() else 15
    counts = {'failed': 0, 'asked again': 0}
    total = finished + missing
    with tqdm(desc='captions', total=total, initial=finished, unit='sentence', mininterval=seconds) as bar:

        def advance(failed: bool, asked_again: int) -> None:
            if failed or asked_again:
                counts['failed'] += failed
                counts['asked again'] += asked_again
                bar.set_postfix(counts, refresh=False)
            bar.update()

        yield advance
