"""Losses, learning rates and scores from the JSON lines that MMEngine writes while it trains."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cmdg_plugin.evaluation.target_scores import SCORES

Series = dict[str, list[tuple[int, float]]]


@dataclass
class StageSpan:
    """Iterations and epochs that the log shows of one stage; the name is empty in a run without stages."""

    name: str
    start: int
    stop: int
    epochs: tuple[int, int] | None = None


@dataclass
class TrainingLog:
    """Curves of a run over its training iterations.

    Attributes:
        losses: Name -> (iteration, value) pairs, stage prefix and all.
        rates: Learning rates, likewise.
        scores: Score such as `mAP` -> target -> pairs in percent.
        stages: The stages in order.
    """

    losses: Series = field(default_factory=dict)
    rates: Series = field(default_factory=dict)
    scores: dict[str, Series] = field(default_factory=dict)
    stages: list[StageSpan] = field(default_factory=list)


def read_training_log(files: str | Path | Sequence[str | Path]) -> TrainingLog:
    """Read `vis_data/scalars.json`, or several of a run that was resumed.

    Scores stand at the iteration trained last before them. What a file holds from the iteration on at which the next
    one begins was trained again, and counts as the next one has it.

    Args:
        files: One file or several in the order of the runs; one JSON object per line.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a line is not a JSON object; it names file and line.
    """
    losses: dict[str, dict[int, float]] = defaultdict(dict)
    rates: dict[str, dict[int, float]] = defaultdict(dict)
    scores: dict[str, dict[str, dict[int, float]]] = {}
    stages: dict[int, tuple[str, int | None]] = {}
    iteration = 0
    number = -1
    for source, record in _records([files] if isinstance(files, (str, Path)) else files):
        values = {key: value for key, value in record.items() if isinstance(value, (int, float))}
        lost = {key: value for key, value in values.items() if key.rpartition('/')[2].startswith('loss')}
        if lost:
            iteration = int(record.get('step', iteration))
            if source != number:
                number = source
                scored = (points for targets in scores.values() for points in targets.values())
                _forget_from(iteration, [*losses.values(), *rates.values(), stages, *scored])
            epoch = record.get('epoch')
            stages[iteration] = (next(iter(lost)).rpartition('/')[0], None if epoch is None else int(epoch))
            for key, value in lost.items():
                losses[key][iteration] = value
            for key, value in values.items():
                if key.rpartition('/')[2] == 'lr':
                    rates[key][iteration] = value
        for key, value in values.items():
            target, _, score = key.rpartition('/')
            if target and score in SCORES:
                scores.setdefault(score, {}).setdefault(target, {})[iteration] = value
    return TrainingLog(
        losses=_sorted(losses),
        rates=_sorted(rates),
        scores={score: _sorted(scores[score]) for score in SCORES if score in scores},
        stages=_spans(stages),
    )


def _forget_from(iteration: int, series: Iterable[dict[int, Any]]) -> None:
    for points in series:
        for later in [step for step in points if step >= iteration]:
            del points[later]


def _records(files: Sequence[str | Path]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line with the number of its file."""
    for source, file in enumerate(map(Path, files)):
        if not file.is_file():
            raise FileNotFoundError(
                f'No training log at {file}; MMEngine writes vis_data/scalars.json in a work folder.'
            )
        for number, line in enumerate(file.read_text(encoding='utf-8').splitlines(), start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f'{file}, line {number} is not JSON: {error}.') from error
            if not isinstance(record, dict):
                raise ValueError(f'{file}, line {number} must be a JSON object, got {type(record).__name__}.')
            yield source, record


def _sorted(series: dict[str, dict[int, float]]) -> Series:
    return {name: sorted(points.items()) for name, points in series.items() if points}


def _spans(stages: dict[int, tuple[str, int | None]]) -> list[StageSpan]:
    spans: list[StageSpan] = []
    for iteration, (name, epoch) in sorted(stages.items()):
        if not spans or spans[-1].name != name:
            spans.append(StageSpan(name, spans[-1].stop if spans else 0, iteration))
        span = spans[-1]
        span.stop = iteration
        if epoch is not None:
            span.epochs = (span.epochs[0] if span.epochs else epoch, epoch)
    return spans
