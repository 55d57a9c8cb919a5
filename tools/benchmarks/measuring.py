"""What the benchmarks share: lines of output, timing in turns, peaks of memory, processes of their own."""

import ctypes
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

MEBIBYTE = 2**20
REPOSITORY = Path(__file__).parents[2]


class Enough(Exception):
    """As much of a run is done as was asked for."""


def train_until_enough(runner: Any) -> None:
    """Train until a hook raises `Enough`."""
    with suppress(Enough):
        runner.train()


def report(line: str) -> None:
    """Write a line to standard output."""
    sys.stdout.write(f'{line}\n')
    sys.stdout.flush()


def device_name(threads: int, *, on_gpu: bool) -> str:
    """What a benchmark ran on."""
    return torch.cuda.get_device_name() if on_gpu else f'{threads} CPU threads'


def in_turns(
    functions: Mapping[str, Callable[[], Any]],
    rounds: int,
    *,
    warm_up: bool = True,
    clock: Callable[[], float] = time.perf_counter,
    before: Callable[[int], None] = lambda turn: None,
) -> dict[str, list[float]]:
    """Seconds of every round, the functions taking turns so that a busy machine disturbs all of them alike.

    Args:
        functions: What is timed, by name.
        rounds: How often.
        warm_up: Whether to run each once more, untimed, before: it imports, compiles and fills caches.
        clock: What gives the seconds.
        before: Called with the number of the round before each function, untimed; 0 is the warm-up.
    """
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(0 if warm_up else 1, rounds + 1):
        for name, function in functions.items():
            before(turn)
            _synchronize()
            start = clock()
            function()
            _synchronize()
            if turn > 0:
                seconds[name].append(clock() - start)
    return seconds


def medians(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    """The median of what was timed, by name."""
    return {name: statistics.median(times) for name, times in seconds.items()}


def peak_memory(function: Callable[[], Any], *, on_gpu: bool = False) -> tuple[float, Any]:
    """MiB that a function takes at most on top of what is there before it (Linux), and what it returns."""
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        result = function()
        return (torch.cuda.max_memory_allocated() - before) / MEBIBYTE, result
    # What earlier work freed, but the allocator holds on to, would be taken again unseen.
    ctypes.CDLL('libc.so.6').malloc_trim(0)
    Path('/proc/self/clear_refs').write_text('5', encoding='ascii')
    before = resident('VmRSS')
    result = function()
    return (resident('VmHWM') - before) / MEBIBYTE, result


def resident(name: str, process: int | str = 'self') -> int:
    """Resident memory of a process in bytes (Linux): `VmRSS` now, `VmHWM` at most so far."""
    return 1024 * int(Path(f'/proc/{process}/status').read_text(encoding='ascii').split(f'{name}:')[1].split()[0])


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run a function of a module in a process of its own, which begins with nothing; returns what it returns."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context('spawn')) as pool:
        return pool.submit(function, *arguments).result()


def _synchronize() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
