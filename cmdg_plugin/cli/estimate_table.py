"""What a run will take, as a table."""

import resource
from collections.abc import Mapping
from typing import Any

import torch

from cmdg_plugin.engine.estimating import LOSSES, StageEstimate


def format_estimates(estimates: list[StageEstimate], saving: Mapping[str, Any] | None = None) -> str:
    """Write estimates as a table, with their sum and what most of the time goes to.

    Args:
        estimates: Of all stages.
        saving: Config of the hook that saves checkpoints; MMEngine's defaults if None.
    """
    lines = [f'{"stage":<12}{"epochs":>7}{"steps":>8}{"a step":>10}{"images/s":>10}{"prepared":>12}{"in all":>12}']
    for one in estimates:
        lines.append(
            f'{one.name:<12}{one.epochs:>7}{one.steps:>8}{one.step * 1e3:>7.0f} ms{one.batch / one.step:>10.0f}'
            f'{spell_seconds(sum(one.preparation.values())):>12}{spell_seconds(one.seconds):>12}'
        )
    lines.append(f'{"together, without scoring the targets":<59}{spell_seconds(sum(e.seconds for e in estimates)):>12}')
    for one in estimates:
        shares = ', '.join(f'{name} {share:.0%}' for name, share in one.shares.items())
        lines.append(f'{one.name}: most of a step goes to {one.bottleneck} ({shares}); {_ADVICE[one.bottleneck]}')
    sizes = ', '.join(f'{one.name} {one.checkpoint / 2**20:,.0f} MiB' for one in estimates)
    lines.append(f'a checkpoint: {sizes}; room for {_room(estimates, saving or {}) / 2**30:.1f} GiB is needed')
    return '\n'.join(lines)


def _room(estimates: list[StageEstimate], saving: Mapping[str, Any]) -> int:
    """Bytes that a run's checkpoints take at most."""
    interval, kept = saving.get('interval', 1), saving.get('max_keep_ckpts', -1)
    often = []
    for one in estimates:
        length = one.epochs * (1 if saving.get('by_epoch', True) else one.steps)
        often += [one.checkpoint] * (length // interval if interval > 0 else 0)
    # The last one is saved whatever the interval.
    largest = sorted([*often, estimates[-1].checkpoint], reverse=True)
    # One more than are kept: a new one is written before the oldest goes. The best by each score is kept beside them.
    best = saving.get('save_best') or []
    number = 1 if isinstance(best, str) else len(best)
    return sum(largest if kept < 0 else largest[: kept + 1]) + number * largest[0]


_ADVICE = {
    'loader': 'more train_dataloader.num_workers help, as far as there are cores',
    LOSSES: 'it grows with the training images; more processes share it (docs/scaling.md)',
    'towers and optimizer': 'a faster device, --amp or model.backbone.compile=True help',
    'Python': 'on a GPU, model.backbone.compile=True and model.backbone.compile_text.mode=reduce-overhead help',
}


def spell_seconds(seconds: float) -> str:
    """Write a duration in the two units that say most."""
    minutes, hours = seconds / 60, seconds / 3600
    if seconds < 60:
        return f'{seconds:.1f} s'
    if minutes < 60:
        return f'{int(minutes)} min {int(seconds % 60)} s'
    return f'{int(hours)} h {int(minutes % 60)} min'


def peak_memory() -> str:
    """Say how much memory this process has taken at most (kilobytes on Linux), and how much of the GPU's."""
    main = f'memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB, and that of loader workers'
    if torch.cuda.is_available():
        main += f'; GPU: {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB'
    return main
