"""The scores that a finished run has left, and whether it has finished at all."""

import json
from pathlib import Path

from cmdg_plugin.saying import warn


def read_scores(file: Path) -> dict[str, float] | None:
    """Read the scores after training from a run's `results.json`.

    A file that is not whole, as a killed process or a full disk leaves it, counts as none and is said in the log: the
    run goes on from its last checkpoint and writes it anew.

    Returns:
        Score by name; None if the run has not finished.
    """
    if not file.is_file():
        return None
    try:
        after = json.loads(file.read_text(encoding='utf-8'))['after']
        return {str(name): float(score) for name, score in after.items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        warn(f'{file} holds no scores ({type(error).__name__}: {error}): its run counts as not finished.')
        return None
