"""How many threads a process computes on, and how they wait for each other."""

import math
import os
import sys

from cmdg_plugin.control_groups import granted_cores


def let_threads_sleep() -> None:
    """Let threads that wait for each other sleep; a user's own setting goes before it.

    OpenMP's threads wait several hundred times in a training step, and by default they spin meanwhile, which takes the
    time that the awaited thread needs where others use the cores, too. No number changes. OpenMP reads the setting
    once: after torch is imported, nothing is done.
    """
    if 'torch' not in sys.modules:
        os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')


def limit_threads() -> None:
    """Compute on no more threads than the process may use cores; a user's own setting goes before it.

    OpenMP knows which cores a process may use, but not how much of them its container is granted. How busy the machine
    is at the moment is not asked: the number of threads changes the order of sums, and with it a run's numbers.
    """
    import torch  # here, as the other function must run before it

    if 'OMP_NUM_THREADS' not in os.environ and count_cores() < torch.get_num_threads():
        torch.set_num_threads(count_cores())


def count_cores() -> int:
    """Count the cores that this process may use, at least 1: its affinity, and the quota of its container."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, granted_cores())))
