"""Processes, one after another and side by side; tests/tools/test_ablate.py runs real trainings."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mmengine.config import Config

from cmdg_plugin.ablation import Outcome, Run, Trainings

STUB = Path(__file__).with_name('train_stub.py')


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    def make(name: str, seed: int = 0, beginning: Run | None = None, **settings: Any) -> Run:
        stub = dict(epochs=3, fails_at=0, waits_for=None, score=10.0)
        config = Config(dict(stub={**stub, **settings}, randomness=dict(seed=seed)))
        return Run(name, seed, config, tmp_path / name / f'seed{seed}', beginning)

    return make


def train(runs: list[Run], **settings: Any) -> dict[str, Outcome]:
    with Trainings(STUB, **settings) as trainings:
        return {f'{outcome.run.name}{outcome.run.seed}': outcome for outcome in trainings.run(runs)}


def log(run: Run) -> list[str]:
    return (run.folder / 'train.log').read_text().splitlines()


def trained(run: Run) -> list[str]:
    return [line.removeprefix('trained epoch ') for line in log(run) if line.startswith('trained')]


def wait_for(file: Path) -> None:
    for _ in range(3000):
        if file.exists():
            return
        time.sleep(0.01)
    raise TimeoutError(file)


def test_finished_runs_keep_results_but_no_checkpoints(make_run: Callable[..., Run]) -> None:
    runs = [make_run('a', seed) for seed in (0, 1)]
    outcomes = train(runs)
    assert [outcome.failure for outcome in outcomes.values()] == [None, None]
    for run in runs:
        assert trained(run) == ['1', '2', '3']
        assert run.results_file.is_file()
        assert not list(run.folder.glob('*.pth'))
        assert run.config_file.is_file()
    kept = make_run('kept')
    train([kept], keep_checkpoints=True)
    assert len(list(kept.folder.glob('*.pth'))) == 3


@pytest.mark.parametrize('keep', [False, True])
def test_what_a_kill_before_the_clean_up_left_is_cleared(make_run: Callable[..., Run], keep: bool) -> None:
    beginning = make_run('beginning', epochs=2)
    row, unfinished, kept = make_run('row', beginning=beginning), make_run('unfinished', fails_at=3), make_run('kept')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Trainings, '_clear', lambda *arguments, **settings: None)
        train([row, unfinished])
    train([kept], keep_checkpoints=True)
    runs = [row, unfinished, kept, beginning]
    left = {run.name: len(list(run.folder.glob('*.pth'))) for run in runs}
    assert left == {'row': 1, 'unfinished': 2, 'kept': 3, 'beginning': 2}
    with Trainings(STUB, keep_checkpoints=keep) as trainings:
        trainings.clear([row, unfinished, kept])
    cleared = left if keep else {**left, 'row': 0, 'beginning': 1}
    assert {run.name: len(list(run.folder.glob('*.pth'))) for run in runs} == cleared
    # What was once to be kept stays, whatever is said later.
    with Trainings(STUB) as trainings:
        trainings.clear([row, unfinished, kept])
    assert {run.name: len(list(run.folder.glob('*.pth'))) for run in runs} == cleared


def test_a_failing_run_is_kept_apart_and_goes_on_when_it_is_mended(make_run: Callable[..., Run]) -> None:
    good, bad = make_run('good'), make_run('bad', fails_at=2)
    outcomes = train([bad, good])
    assert outcomes['good0'].failure is None
    first, *tail = outcomes['bad0'].failure.splitlines()
    assert first == f'exit status 1; the end of {bad.folder}/train.log:'
    assert tail[-1] == 'epoch 2 went wrong'
    mended = make_run('bad')
    assert train([mended])['bad0'].failure is None
    assert trained(mended) == ['1', '2', '3']
    assert log(mended)[-3].startswith('from epoch 1 ')


def test_a_killed_run_goes_on_from_its_last_checkpoint(make_run: Callable[..., Run]) -> None:
    run = make_run('a', waits_for='never')
    with Trainings(STUB) as trainings:

        def kill() -> None:
            wait_for(run.folder / 'epoch_2.pth')
            for process in list(trainings._processes):
                os.kill(process.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        (outcome,) = trainings.run([run])
        killer.join()
    assert outcome.failure.startswith('killed by signal 9')
    again = make_run('a')
    assert train([again])['a0'].failure is None
    assert trained(again) == ['1', '2', '3']


def test_leaving_the_context_ends_what_runs_and_starts_nothing_more(make_run: Callable[..., Run]) -> None:
    runs = [make_run(name, waits_for='never') for name in 'abc']
    begin = time.monotonic()
    with Trainings(STUB, jobs=2) as trainings:
        outcomes = trainings.run(runs)
        threading.Thread(target=lambda: next(outcomes), daemon=True).start()
        for run in runs[:2]:
            wait_for(run.folder / 'epoch_2.pth')
        processes = list(trainings._processes)
    assert time.monotonic() - begin < 50
    assert len(processes) == 2
    assert all(process.poll() == -signal.SIGTERM for process in processes)
    assert not (runs[2].folder / 'train.log').exists() or not log(runs[2])


@pytest.mark.parametrize('jobs', [1, 3])
def test_a_shared_beginning_is_trained_once(make_run: Callable[..., Run], jobs: int) -> None:
    beginning = make_run('beginning', epochs=2)
    rows = [make_run(name, beginning=beginning) for name in ('a', 'b')]
    alone = make_run('alone')
    outcomes = train([*rows, alone], jobs=jobs)
    assert set(outcomes) == {'a0', 'b0', 'alone0'}
    assert trained(beginning) == ['1', '2']
    assert [trained(row) for row in rows] == [['3'], ['3']]
    assert trained(alone) == ['1', '2', '3']
    # Its last checkpoint stays, for rows that are added later.
    assert [file.name for file in beginning.folder.glob('*.pth')] == ['epoch_2.pth']
    later = make_run('later', beginning=beginning)
    train([later])
    assert (trained(beginning), trained(later)) == (['1', '2'], ['3'])


def test_a_seed_is_done_before_the_next_begins(make_run: Callable[..., Run]) -> None:
    beginnings = [make_run('start', seed) for seed in (0, 1)]
    runs = [make_run(name, seed, beginnings[seed] if name == 'a' else None) for seed in (0, 1) for name in ('a', 'b')]
    # Rows that wait for a beginning stand after those that do not.
    assert list(train(runs, jobs=1)) == ['b0', 'a0', 'b1', 'a1']
    times = [run.results_file.stat().st_mtime_ns for run in (beginnings[0], runs[0], beginnings[1], runs[2])]
    assert times == sorted(times)


def test_rows_without_their_beginning_are_not_run(make_run: Callable[..., Run]) -> None:
    beginning = make_run('beginning', epochs=2, fails_at=2)
    row, alone = make_run('a', beginning=beginning), make_run('alone')
    outcomes = train([row, alone])
    assert outcomes['alone0'].failure is None
    assert outcomes['a0'].failure.startswith('the beginning that it shares with other rows failed: exit status 1')
    assert not row.folder.exists()


def test_jobs_share_the_cores(make_run: Callable[..., Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, 'sched_getaffinity', lambda process: set(range(8)))
    monkeypatch.delenv('OMP_NUM_THREADS')
    run = make_run('a')
    train([run], jobs=3)
    assert log(run)[0] == 'from epoch 0 with 2 threads'
    monkeypatch.setenv('OMP_NUM_THREADS', '5')
    run = make_run('b')
    train([run], jobs=3)
    assert log(run)[0] == 'from epoch 0 with 5 threads'


def test_no_process_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match='--jobs must be at least 1, got 0'):
        Trainings(STUB, jobs=0)
