"""The same training steps on cores that others keep busy, by how this process' threads wait.

    python tools/benchmarks/benchmark_busy.py [--competitors 2] [--rounds 10]

One process for each way to wait, all started first, takes a step in turn: forward, backward and Adam of a small
transformer (the toy's image tower: 5 blocks of width 128, 73 tokens, batch 64). Competitors are processes that compute
without end; on a machine that is busy anyway, take 0.
"""

import argparse
import multiprocessing
import os
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from multiprocessing.connection import Connection
from pathlib import Path

from measuring import report

WAYS = {
    "2 threads that spin (OpenMP's default)": {'OMP_NUM_THREADS': '2'},
    '2 threads that sleep': {'OMP_NUM_THREADS': '2', 'OMP_WAIT_POLICY': 'PASSIVE'},
    '1 thread': {'OMP_NUM_THREADS': '1'},
}
SETTINGS = ('OMP_NUM_THREADS', 'OMP_WAIT_POLICY', 'GOMP_SPINCOUNT', 'KMP_BLOCKTIME', 'MKL_NUM_THREADS')


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Time training steps on busy cores by how threads wait.')
    parser.add_argument('--competitors', type=int, default=2)
    parser.add_argument('--rounds', type=int, default=10)
    return parser.parse_args()


def work(connection: Connection) -> None:
    """Take a step whenever asked to; answers with its seconds by the clock and of processor time."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    block = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True, norm_first=True)
    tower = nn.TransformerEncoder(block, 5, enable_nested_tensor=False)
    tokens = torch.randn(64, 73, 128)
    optimizer = torch.optim.Adam(tower.parameters(), lr=1e-5)
    while True:
        connection.recv()
        wall, busy = time.perf_counter(), time.process_time()
        optimizer.zero_grad()
        tower(tokens).square().mean().backward()
        optimizer.step()
        connection.send((time.perf_counter() - wall, time.process_time() - busy))


def start(settings: dict[str, str], stack: ExitStack) -> Connection:
    """Start a process that waits in some way, until the stack is left; returns what it is asked by."""
    context = multiprocessing.get_context('spawn')
    here, there = context.Pipe()
    process = context.Process(target=work, args=(there,))
    # What says how threads wait is read when a process begins, from the environment that it gets from this one.
    for name in SETTINGS:
        os.environ.pop(name, None)
    os.environ.update(settings)
    process.start()
    stack.callback(process.kill)
    return here


def ask(connection: Connection) -> tuple[float, float]:
    """Let a process take a step."""
    connection.send(None)
    seconds: tuple[float, float] = connection.recv()
    return seconds


def main() -> None:
    """Start all, let them take turns, and print medians."""
    arguments = parse_arguments()
    taken: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
    with ExitStack() as stack:
        connections = {way: start(settings, stack) for way, settings in WAYS.items()}
        for connection in connections.values():
            ask(connection)
        for _ in range(arguments.competitors):
            stack.callback(subprocess.Popen([sys.executable, '-c', 'while True: pass']).kill)
        for _ in range(arguments.rounds):
            for way, connection in connections.items():
                taken[way].append(ask(connection))
    load = Path('/proc/loadavg').read_text(encoding='ascii').split()[0]
    report(f'{len(os.sched_getaffinity(0))} cores, {arguments.competitors} competitors started here, load {load}')
    for way, pairs in taken.items():
        wall, busy = (statistics.median(column) for column in zip(*pairs, strict=True))
        report(f'{way:<42}{wall * 1e3:>9.0f} ms by the clock{busy * 1e3:>9.0f} ms of processor time')


if __name__ == '__main__':
    main()
