"""Curves of losses, learning rates and scores of a run, stage by stage, in one picture."""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.colors import TABLEAU_COLORS
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from cmdg_plugin.files.writing import open_whole_bytes
from cmdg_plugin.saying import warn
from cmdg_plugin.visualization.training_log import Series, StageSpan, TrainingLog, read_training_log

_PALETTE = [*TABLEAU_COLORS.values(), 'gold', 'navy', 'teal', 'tan', 'crimson', 'darkgreen']
_SHOWN_SCORES = ('mAP', 'R1')
_LABEL_SHARE = 0.12
"""Share of the axis that a stage's label takes."""


def draw_curves(files: str | Path | Sequence[str | Path], out: str | Path) -> Path | None:
    """Draw total loss, loss terms, learning rates, mAP and R1 over the iterations of a run.

    Panels share their axis; stages are shaded and named with their epochs. What the log does not hold is left out.

    Args:
        files: `vis_data/scalars.json` of a run, or several of a resumed one; see `read_training_log`.
        out: File to write; its ending decides the format.

    Returns:
        The file written, or None, with a warning in the log, if there is nothing to draw.

    Raises:
        FileNotFoundError: If a log is missing.
        ValueError: If a log is not made of JSON objects.
    """
    figure = plot_training_log(read_training_log(files))
    if figure is None:
        warn(f'No losses or scores to draw in {files}.')
        return None
    save_figure(figure, Path(out))
    return Path(out)


def save_figure(figure: Figure, out: Path) -> None:
    """Write a figure whole; the file's ending decides the format."""
    with open_whole_bytes(out) as file:
        figure.savefig(file, dpi=110, format=out.suffix.lstrip('.') or 'png')


def plot_training_log(log: TrainingLog) -> Figure | None:
    """Plot a log that was read already.

    Returns:
        The figure, or None if the log holds nothing to draw.
    """
    panels = _panels(log)
    if not panels:
        return None
    figure = Figure(figsize=(11, 0.9 + 2.3 * len(panels)), layout='constrained')
    axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axis, (title, series) in zip(axes, panels.items(), strict=True):
        _plot_panel(axis, title, series)
        for number, stage in enumerate(log.stages):
            if number % 2 and stage.name:
                axis.axvspan(stage.start, stage.stop, color='0.93', zorder=0)
    _name_stages(axes[0], log.stages)
    axes[-1].set_xlabel('iteration')
    axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[-1].margins(x=0.02)
    return figure


def _panels(log: TrainingLog) -> dict[str, Series]:
    """Curves of each panel that has any, stage prefixes joined into one curve with gaps."""
    losses = _by_name(log.losses)
    terms = {name: points for name, points in losses.items() if name != 'loss'}
    panels = {
        'loss': {'loss': losses['loss']} if 'loss' in losses else {},
        'loss terms': terms if any(points != losses.get('loss') for points in terms.values()) else {},
        'learning rate': _by_name(log.rates),
        **{f'{score} (%)': log.scores.get(score, {}) for score in _SHOWN_SCORES},
    }
    return {title: series for title, series in panels.items() if series}


def _by_name(series: Series) -> Series:
    """Merge `warmup/loss`, `bridging/loss`, ... into `loss`; NaN between the stages keeps their lines apart."""
    merged: Series = {}
    for key, points in sorted(series.items(), key=lambda item: item[1][0]):
        curve = merged.setdefault(key.rpartition('/')[2], [])
        if curve:
            curve.append((points[0][0], float('nan')))
        curve.extend(points)
    return merged


def _plot_panel(axis: Axes, title: str, series: Series) -> None:
    few_points = max(map(len, series.values())) < 30
    for number, (name, points) in enumerate(series.items()):
        average = name == 'average'
        axis.plot(
            *zip(*points, strict=True),
            label=name.removeprefix('loss_'),
            color='black' if average else _PALETTE[number % len(_PALETTE)],
            linewidth=2.2 if average else 1.4,
            marker='o' if few_points else None,
            markersize=3.5,
        )
    axis.set_title(title, loc='left', fontsize=11)
    axis.grid(color='0.85', linewidth=0.6)
    axis.spines[['top', 'right']].set_visible(False)
    if title == 'learning rate':
        axis.set_yscale('log')
    if len(series) > 1:
        axis.legend(loc='center left', bbox_to_anchor=(1.01, 0.5), fontsize=8.5, frameon=False)


def _name_stages(axis: Axes, stages: list[StageSpan]) -> None:
    """Write each stage's name and epochs over its part, a step higher where it would touch the one before."""
    named = [stage for stage in stages if stage.name]
    width = named[-1].stop - named[0].start if named else 0
    level, last_middle = 0, None
    for stage in named:
        middle = (stage.start + stage.stop) / 2
        close = last_middle is not None and middle - last_middle < _LABEL_SHARE * width
        level, last_middle = level + 1 if close else 0, middle
        label = stage.name
        if stage.epochs:
            first, last = stage.epochs
            label += f'\nepoch {first}' if first == last else f'\nepochs {first}-{last}'
        axis.annotate(
            label,
            (middle, 1),
            xytext=(0, 20 + 30 * level),
            xycoords=axis.get_xaxis_transform(),
            textcoords='offset points',
            ha='center',
            fontsize=9.5,
            color='0.25',
        )
