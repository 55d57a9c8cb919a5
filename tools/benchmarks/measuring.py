"""What the benchmarks share: lines of output, timing in turns, peaks of memory."""

import ctypes
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

MEBIBYTE = 2**20
REPOSITORY = Path(__file__).parents[2]


class Enough(Exception):
    """As much of a run is done as was asked for."""


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
) -> dict[str, list[float]]:
    """Seconds of every round, the functions taking turns so that a busy machine disturbs all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for turn in range(0 if warm_up else 1, rounds + 1):
        for name, function in functions.items():
            _synchronize()
            start = clock()
            function()
            _synchronize()
            if turn > 0:
                seconds[name].append(clock() - start)
    return seconds


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


def _synchronize() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
