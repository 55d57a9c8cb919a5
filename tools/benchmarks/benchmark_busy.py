"""The same training steps on cores that others keep busy, by how this process' threads wait.

    python tools/benchmarks/benchmark_busy.py [--competitors 2] [--rounds 10]

One process for each way to wait, all started first, takes a step in turn: forward, backward and Adam of a small
transformer (the toy's image tower: 5 blocks of width 128, 73 tokens, batch 64). Competitors are processes that compute
without end; on a machine that is busy anyway, take 0.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

from measuring import report

WAYS = {
    "2 threads that spin (OpenMP's default)": {'OMP_NUM_THREADS': '2'},
    '2 threads that sleep': {'OMP_NUM_THREADS': '2', 'OMP_WAIT_POLICY': 'PASSIVE'},
    '1 thread': {'OMP_NUM_THREADS': '1'},
}
SETTINGS = ('OMP_NUM_THREADS', 'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME', 'MKL_NUM_THREADS')
STEP = '--step'


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Time training steps on busy cores by how threads wait.')
    parser.add_argument('--competitors', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=10)
    parser.add_argument(STEP, action='store_true', help=argparse.SUPPRESS)
    return parser.parse_args()


def work() -> None:
    """Take a step for every line on standard input; answers with its seconds by the clock and of processor time."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    block = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True, norm_first=True)
    tower = nn.TransformerEncoder(block, 5, enable_nested_tensor=False)
    tokens = torch.randn(64, 73, 128)
    optimizer = torch.optim.Adam(tower.parameters(), lr=1e-5)
    for _ in sys.stdin:
        wall, busy = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        tower(tokens).square().mean().backward()
        optimizer.step()
        sys.stdout.write(json.dumps([time.perf_counter() - wall, time.process_time() - busy]) + '\n')
        sys.stdout.flush()


def ask(process: subprocess.Popen) -> list[float]:
    """Let a process take a step."""
    ends: tuple[IO[str] | None, IO[str] | None] = process.stdin, process.stdout
    if ends[0] is None or ends[1] is None:
        raise RuntimeError('The process was started without pipes.')
    ends[0].write('\n')
    ends[0].flush()
    return json.loads(ends[1].readline())


def main() -> None:
    """Start all, let them take turns, and print medians."""
    arguments = parse_arguments()
    if arguments.step:
        work()
        return
    plain = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    command = [sys.executable, str(Path(__file__).resolve()), STEP]
    processes = {
        way: subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**plain, **settings}
        )
        for way, settings in WAYS.items()
    }
    others: list[subprocess.Popen] = []
    try:
        for process in processes.values():
            ask(process)
        others = [subprocess.Popen([sys.executable, '-c', 'while True: pass']) for _ in range(arguments.competitors)]
        taken: dict[str, list[list[float]]] = {way: [] for way in WAYS}
        for _ in range(arguments.rounds):
            for way, process in processes.items():
                taken[way].append(ask(process))
    finally:
        for process in (*processes.values(), *others):
            process.kill()
    load = Path('/proc/loadavg').read_text(encoding='ascii').split()[0]
    report(f'{len(os.sched_getaffinity(0))} cores, {arguments.competitors} competitors started here, load {load}')
    for way, pairs in taken.items():
        wall, busy = (statistics.median(column) for column in zip(*pairs, strict=True))
        report(f'{way:<42}{wall * 1e3:>9.0f} ms by the clock{busy * 1e3:>9.0f} ms of processor time')


if __name__ == '__main__':
    main()
