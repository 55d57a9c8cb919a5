"""The check of a config's data as text."""

from collections.abc import Iterator

from cmdg_plugin.datasets.checking.config_check import ConfigCheck, Problem


def draw_config_check(check: ConfigCheck, shown: int | None = 5) -> str:
    """Say what was looked at and list what is wrong.

    Args:
        check: What was found.
        shown: How many images of each problem are named; None for all.
    """
    looked_at = f'{len(check.images):,} images opened, captions of {check.captions:,} images read'
    if not check.problems:
        return '\n'.join([*check.seen, f'{looked_at}: no problem found.'])
    what = '1 problem' if len(check.problems) == 1 else f'{len(check.problems):,} problems'
    lines = [line for problem in check.problems for line in _lines(problem, shown)]
    return '\n'.join([*check.seen, f'{looked_at}: {what}.', '', *lines])


def _lines(problem: Problem, shown: int | None) -> Iterator[str]:
    first, *further = problem.what.splitlines() or ['']
    yield f'- {first}'
    yield from (f'  {line}' for line in further)
    named = problem.where[:shown]
    yield from (f'    {line}' for line in named)
    if len(named) < len(problem.where):
        yield f'    ... and {len(problem.where) - len(named):,} more (all with --out FILE)'
