"""Train variations of a config over seeds, and say what each of them brings.

    python tools/ablate.py configs/cmdg/cmdg_toy-vit_islands.py --grid configs/ablations/example.py --seeds 5 --jobs 2

With `--held-out all`, settings are chosen on sources that are left out of training, and never on targets. Run again, it
goes on where it was stopped. docs/ablation.md says what a grid file holds.
"""

import argparse
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cmdg_plugin.ablation import Run


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    from cmdg_plugin.cli.command_line import add_amp, add_config_options

    parser = argparse.ArgumentParser(description='Train variations of a config over seeds and compare them.')
    parser.add_argument('config', help='config file of the rows that name none')
    parser.add_argument('--grid', required=True, help='file with the variations (Python, YAML or JSON)')
    parser.add_argument(
        '--rows', nargs='+', metavar='ROW', help='train and compare these rows of the grid alone (default: all)'
    )
    parser.add_argument('--seeds', type=int, default=5, help='number of seeds, from 0 (default: 5)')
    parser.add_argument('--jobs', type=int, default=1, help='trainings at a time (default: 1)')
    parser.add_argument(
        '--held-out',
        nargs='+',
        metavar='SOURCE',
        help='choose settings without a look at the targets: train without each of these sources in turn (`all`: every '
        'one) and score on its people',
    )
    parser.add_argument(
        '--work-dir',
        help='folder of all runs and the table; default: work_dirs/ablation_GRID_NAME, with _held-out added for those',
    )
    parser.add_argument('--metric', nargs='+', default=['average/R1'], help='scores to compare (default: average/R1)')
    parser.add_argument('--reference', help='row that the others are compared with (default: the first)')
    parser.add_argument('--keep-checkpoints', action='store_true', help='keep the checkpoints of finished runs')
    add_amp(parser)
    add_config_options(parser)
    return parser.parse_args()


def main() -> int:
    """Run the grid; returns the exit status."""
    args = parse_args()
    from cmdg_plugin.files.locking import InUse, hold

    held_out = '_held-out' if args.held_out else ''
    work_dir = Path(args.work_dir or f'work_dirs/ablation_{Path(args.grid).stem}{held_out}')
    work_dir.mkdir(parents=True, exist_ok=True)
    # A scheduler's request to end ends the trainings in order, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        message = f'Another process runs in {work_dir}; wait for it, or give another --work-dir.'
        with hold(work_dir / '.lock', message):
            return run_grid(args, work_dir)
    except (FileNotFoundError, ValueError, InUse) as error:
        print(error, file=sys.stderr)
    except KeyboardInterrupt:
        print('Interrupted; the same command goes on from here.', file=sys.stderr)
        return 130
    return 1


def run_grid(args: argparse.Namespace, work_dir: Path) -> int:
    """Train what is missing, bring the table up to date after each run, and name what failed."""
    from cmdg_plugin.ablation import Trainings, check_unchanged, list_sources, plan_runs, read_grid
    from cmdg_plugin.cli.command_line import train_in_mixed_precision

    train_in_mixed_precision(args)
    options, held_out = args.cfg_options or {}, args.held_out or ()
    if held_out == ['all']:
        held_out = list_sources(args.config, options)
    runs = plan_runs(args.config, read_grid(args.grid), args.seeds, work_dir, options, held_out)
    rows = list(dict.fromkeys(run.name for run in runs))
    unknown = [repr(row) for row in args.rows or () if row not in rows]
    if unknown:
        raise ValueError(f'--rows: {args.grid} has no row {", ".join(unknown)}; it has {", ".join(rows)}.')
    # All were planned, so that rows which share a beginning go on sharing it, whichever of them are asked for.
    runs = [run for run in runs if run.name in (args.rows or rows)]
    check_unchanged(runs)
    if args.reference not in (None, *(run.name for run in runs)):
        raise ValueError(f'--reference: the comparison has no row {args.reference!r}.')
    todo = [run for run in runs if run.scores is None]
    print(f'{len(runs)} runs, {len(runs) - len(todo)} of them done before', flush=True)
    failures: dict[str, list[str]] = {}
    with Trainings(Path(__file__).with_name('train.py'), args.jobs, args.keep_checkpoints) as trainings:
        trainings.clear(runs)
        for number, outcome in enumerate(trainings.run(todo), start=1):
            without = f', without {outcome.run.held_out}' if outcome.run.held_out else ''
            name = f'{outcome.run.name}, seed {outcome.run.seed}{without}'
            print(f'[{number}/{len(todo)}] {name}: {"failed" if outcome.failure else "done"}', flush=True)
            if outcome.failure is None:
                report(runs, args, work_dir)
            else:
                failures.setdefault(outcome.failure, []).append(name)
    tables = report(runs, args, work_dir)
    if tables is not None:
        print(f'\n{tables}\n\nAlso in {work_dir}: ablation.md, ablation.csv, ablation.png')
    for failure, names in failures.items():
        print(f'\nFailed: {"; ".join(names)}\n{failure}', file=sys.stderr)
    return 1 if failures or tables is None else 0


def report(runs: 'Sequence[Run]', args: argparse.Namespace, work_dir: Path) -> str | None:
    """Bring the tables up to date; where runs have no such score, say so, and let the trainings go on all the same."""
    from cmdg_plugin.ablation import write_report

    try:
        return write_report(runs, args.metric, work_dir, args.reference)
    except (ValueError, OSError) as error:
        print(error, file=sys.stderr, flush=True)
        return None


if __name__ == '__main__':
    sys.exit(main())
