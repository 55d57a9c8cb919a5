"""Runs trainings as processes of their own, several at a time."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from cmdg_plugin.ablation.planning import Run
from cmdg_plugin.checkpoints.finding import find_checkpoint, list_checkpoints
from cmdg_plugin.files.writing import write_whole
from cmdg_plugin.threads import count_cores

_TAIL_LINES = 15
_SECONDS_TO_END = 15
_TO_REMOVE = 'checkpoints_to_remove'
"""An empty file in the folder of a run whose checkpoints are not to be kept, until they are gone."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Args:
        run: The run.
        failure: Why it has no results; None if it has.
    """

    run: Run
    failure: str | None = None


class Trainings(AbstractContextManager):
    """Trains runs; a context, at whose end no process is left.

    A run that was interrupted goes on from its last checkpoint, and one with a shared beginning from the beginning's,
    which is trained once, before the first run that needs it.

    Args:
        train_tool: The program that trains a config.
        jobs: Processes at a time; they share the cores, unless OMP_NUM_THREADS is set already.
        keep_checkpoints: Whether a finished run keeps its checkpoints. Shared beginnings keep their last one anyway.
    """

    def __init__(self, train_tool: Path, jobs: int = 1, keep_checkpoints: bool = False) -> None:
        if jobs < 1:
            raise ValueError(f'--jobs must be at least 1, got {jobs}.')
        threads = str(max(1, count_cores() // jobs))
        self.train_tool = train_tool
        self.keep_checkpoints = keep_checkpoints
        self._environment = {'OMP_NUM_THREADS': threads, 'MKL_NUM_THREADS': threads, **os.environ}
        self._pool = ThreadPoolExecutor(jobs)
        self._processes: set[subprocess.Popen] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def __exit__(self, *raised: Any) -> None:
        """End all processes that still run."""
        with self._lock:
            self._stopped = True
            processes = list(self._processes)
        for process in processes:
            _signal(process, signal.SIGTERM)
        try:
            for process in processes:
                process.wait(_SECONDS_TO_END)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            for process in processes:
                _signal(process, signal.SIGKILL)
        self._pool.shutdown(cancel_futures=True)

    def run(self, runs: Sequence[Run]) -> Iterator[Outcome]:
        """Train runs seed by seed as processes become free, so that a table of the first seeds is there early.

        Yields:
            Each run's outcome, in the order in which they end.
        """
        begun: dict[Path, Future[Outcome]] = {}
        futures = []
        for _, of_seed in groupby(runs, key=lambda run: run.seed):
            needs = [(run, None if list_checkpoints(run.folder) else run.beginning) for run in of_seed]
            for _, beginning in needs:
                if beginning is not None and beginning.folder not in begun:
                    begun[beginning.folder] = self._pool.submit(self._train_beginning, beginning)
            # Whoever waits for a beginning stands after it in the queue, so that waiting never keeps it from being
            # run; and after those that wait for nothing, so that few processes are kept by waiting.
            for run, beginning in sorted(needs, key=lambda need: need[1] is not None):
                before = None if beginning is None else begun[beginning.folder]
                futures.append(self._pool.submit(self._train_row, run, before))
        for future in as_completed(futures):
            yield future.result()

    def clear(self, runs: Sequence[Run]) -> None:
        """Remove checkpoints of finished runs that were not to be kept, which a kill left behind."""
        for run in runs:
            if _is_to_clear(run):
                self._clear(run)
            if run.beginning is not None and _is_to_clear(run.beginning):
                self._clear(run.beginning, keep_last=True)

    def _train_beginning(self, run: Run) -> Outcome:
        if run.scores is not None and list_checkpoints(run.folder):
            return Outcome(run)
        outcome = self._train(run)
        if outcome.failure is None:
            self._clear(run, keep_last=True)
        return outcome

    def _train_row(self, run: Run, before: 'Future[Outcome] | None') -> Outcome:
        failure = before.result().failure if before is not None else None
        if failure is not None:
            return Outcome(run, f'the beginning that it shares with other rows failed: {failure}')
        outcome = self._train(run)
        if outcome.failure is None:
            self._clear(run)
        return outcome

    def _train(self, run: Run) -> Outcome:
        run.folder.mkdir(parents=True, exist_ok=True)
        write_whole(run.config_file, run.config.pretty_text)
        if self.keep_checkpoints:
            (run.folder / _TO_REMOVE).unlink(missing_ok=True)
        else:
            (run.folder / _TO_REMOVE).touch()
        log = run.folder / 'train.log'
        code = self._call([str(run.config_file), '--work-dir', str(run.folder), *_resume(run)], run.folder, log)
        if code == 0 and run.scores is not None:
            return Outcome(run)
        reason = f'killed by signal {-code}' if code < 0 else f'exit status {code}'
        if code == 0:
            reason = 'no scores in results.json: the config must evaluate, and have the ResultsHook'
        lines = log.read_text(encoding='utf-8', errors='replace').splitlines() if log.is_file() else []
        return Outcome(run, '\n'.join([f'{reason}; the end of {log}:', *lines[-_TAIL_LINES:]]))

    def _clear(self, run: Run, keep_last: bool = False) -> None:
        """Remove a finished run's checkpoints, unless they are to be kept."""
        checkpoints = list_checkpoints(run.folder)
        if not self.keep_checkpoints:
            for checkpoint in checkpoints[:-1] if keep_last else checkpoints:
                checkpoint.unlink()
        (run.folder / _TO_REMOVE).unlink(missing_ok=True)

    def _call(self, arguments: list[str], folder: Path, log: Path) -> int:
        """Run the tool to its end; returns its exit status and adds its seconds to the folder's."""
        begin = time.monotonic()
        with log.open('ab') as output:
            with self._lock:
                if self._stopped:
                    return -1
                process = subprocess.Popen(
                    [sys.executable, str(self.train_tool), *arguments],
                    env=self._environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    # Workers of its dataloaders would outlive a training that is ended alone.
                    start_new_session=True,
                )
                self._processes.add(process)
            code = process.wait()
            with self._lock:
                self._processes.discard(process)
        seconds = time.monotonic() - begin + (read_seconds(folder) or 0)
        # Whole or not at all: half a number would end the next run of the tool.
        write_whole(folder / 'seconds.json', json.dumps(seconds))
        return code


def _is_to_clear(run: Run) -> bool:
    return (run.folder / _TO_REMOVE).exists() and run.scores is not None


def _signal(process: subprocess.Popen, number: int) -> None:
    """Send a signal to a training and all processes that it has started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def read_seconds(folder: Path) -> float | None:
    """Read how long a run's processes took together; None where it was not noted, or not whole."""
    file = folder / 'seconds.json'
    try:
        return float(json.loads(file.read_text())) if file.is_file() else None
    except (ValueError, TypeError):
        return None


def _resume(run: Run) -> list[str]:
    if list_checkpoints(run.folder):
        return ['--resume']
    if run.beginning is not None:
        return ['--resume', str(find_checkpoint(run.beginning.folder))]
    return []
