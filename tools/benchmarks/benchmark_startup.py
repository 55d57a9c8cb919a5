"""Time and peak memory from the command to the first training step, at the size of protocol 1.

    python tools/benchmarks/benchmark_startup.py [--records 99000] [--rounds 1] [--hide transformers] [--profile]

Four domains of generated records, released-style caption files and an image file for each record (links to one picture
a domain), are trained on with the toy tower by a fresh process, which stops after its first step: without
`index_cache`, with it for the first time, and for the second. `--hide` names packages that the process does not find;
`--profile` adds where its time went, by function.
"""

import argparse
import cProfile
import os
import pstats
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from generated_runs import DOMAINS, compose, write_domains
from measuring import MEBIBYTE, Enough, in_fresh_process, report, resident, train_until_enough


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Time a run from its command to its first step.')
    parser.add_argument('--records', type=int, default=99_000)
    parser.add_argument('--rounds', type=int, default=1, help='times that the three take turns')
    parser.add_argument('--hide', nargs='*', default=[], metavar='PACKAGE')
    parser.add_argument('--profile', action='store_true')
    return parser.parse_args()


def run_to_first_step(data: Path, started: float, index_cache: str | None, hide: list[str], profiled: bool) -> None:
    """Do what `tools/train.py` does up to the first step, and report the milestones; for a process of its own.

    Args:
        data: Folder of the generated domains.
        started: When the process was started, as `time.time` gives it.
        index_cache: File of the index cache.
        hide: Packages that are not to be found.
        profiled: Whether to report where the time went, by function.
    """
    sys.stderr = open(os.devnull, 'w')  # noqa: SIM115  (until the process ends)
    for package in hide:
        sys.modules[package] = None  # type: ignore[assignment]  # that is how Python marks what cannot be imported
    if not profiled:
        _run(data, started, index_cache)
        return
    with cProfile.Profile() as profile:
        _run(data, started, index_cache)
    pstats.Stats(profile).sort_stats('cumulative').print_stats('cmdg_plugin|importlib.*find_and_load|runner', 40)


def _run(data: Path, started: float, index_cache: str | None) -> None:
    milestones: list[tuple[str, float, float, int]] = []

    def reach(name: str) -> None:
        milestones.append((name, time.time() - started, time.process_time(), resident('VmHWM')))

    from mmengine.hooks import Hook
    from mmengine.runner import Runner

    from cmdg_plugin.cli.input_checks import check_data
    from cmdg_plugin.cli.known_arguments import check_arguments
    from cmdg_plugin.engine.quiet_runner import build_runner

    class Milestones(Hook):
        def before_train(self, runner: Runner) -> None:
            reach('data indexed, stages checked')

        def before_train_iter(self, runner: Runner, batch_idx: int, **kwargs: Any) -> None:
            reach('first batch')

        def after_train_iter(self, runner: Runner, batch_idx: int, **kwargs: Any) -> None:
            reach('first step')
            raise Enough

    reach('torch, mmengine and plugin imported')
    config = compose(data, 'cmdg_toy-vit_islands.py')
    config.train_dataloader.num_workers = 0
    config.train_dataloader.dataset.index_cache = index_cache
    check_data(config, 'train_dataloader')
    check_arguments(config.to_dict())
    runner = build_runner(config)
    runner.register_hook(Milestones())
    reach('config checked, model built')
    train_until_enough(runner)
    report(f'{"":<36}{"wall":>10}{"CPU":>10}{"peak":>12}')
    before = 0.0, 0.0
    for name, wall, busy, memory in milestones:
        report(f'{name:<36}{wall - before[0]:>8.1f} s{busy - before[1]:>8.1f} s{memory / MEBIBYTE:>8.0f} MiB')
        before = wall, busy
    report(f'{"in all":<36}{before[0]:>8.1f} s{before[1]:>8.1f} s')


def main() -> None:
    """Write the data, and let fresh processes train to their first step."""
    arguments = parse_arguments()
    from cmdg_plugin.files.witness import SETTLED

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        write_domains(data, arguments.records)
        report(f'{arguments.records:,} records in {len(DOMAINS)} domains')
        time.sleep(SETTLED)  # an index of files that have just changed is not kept
        kept = str(data / 'index' / 'kept.index')
        for _ in range(arguments.rounds):
            Path(kept).unlink(missing_ok=True)
            for title, cache in (('no index_cache', None), ('first start', kept), ('second start', kept)):
                report(f'\n{title}')
                in_fresh_process(run_to_first_step, data, time.time(), cache, arguments.hide, arguments.profile)


if __name__ == '__main__':
    main()
