"""What an ablation leaves in its folder."""

from collections.abc import Sequence
from pathlib import Path

from cmdg_plugin.ablation.planning import Run
from cmdg_plugin.ablation.plot import plot_lines
from cmdg_plugin.ablation.table import collect_lines, format_markdown, write_csv
from cmdg_plugin.files.writing import write_whole
from cmdg_plugin.visualization.curves import save_figure


def write_report(runs: Sequence[Run], metrics: Sequence[str], work_dir: Path, reference: str | None = None) -> str:
    """Write the results so far as `ablation.md`, `ablation.csv` and `ablation.png`; returns the Markdown text.

    Args:
        runs: All runs, done or not.
        metrics: Names of scores, such as `average/R1`.
        work_dir: Folder to write into.
        reference: Name of the row that others are compared with; None for the first.

    Raises:
        ValueError: If a finished run has no such score.
    """
    lines = collect_lines(runs, metrics, reference)
    text = '\n\n'.join([*_describe_held_out(runs), format_markdown(lines)])
    write_whole(work_dir / 'ablation.md', f'{text}\n')
    write_csv(lines, work_dir / 'ablation.csv')
    save_figure(plot_lines(lines), work_dir / 'ablation.png')
    return text


def _describe_held_out(runs: Sequence[Run]) -> list[str]:
    """Say what the scores of a study on held-out sources are; nothing of one on targets."""
    sources = list(dict.fromkeys(run.held_out for run in runs if run.held_out is not None))
    if not sources:
        return []
    return [
        f'Study on held-out sources ({", ".join(sources)}): every row is trained without each of them in turn and '
        "scored on all its people; a seed's score is the mean over them. No target was looked at."
    ]
