"""Engines for galleries side by side: recall against exact, latency, adding, removing, size, memory, kill -9.

    python tools/benchmarks/benchmark_gallery.py --million --kills 5    # the whole table of docs/gallery.md
    python tools/benchmarks/benchmark_gallery.py [--vectors 100000] [--engines embedded faiss+sqlite lancedb ...]
    python tools/benchmarks/benchmark_gallery.py --engines milvus --uri http://127.0.0.1:19530

`embedded`, `milvus` and `milvus-approximate` are engines of this project; the others need `pip install faiss-cpu
lancedb duckdb milvus-lite`, and are left out where they are not installed. Without `--uri`, a Milvus server is
started (`pip install 'cmdg_plugin[gallery-milvus]' milvus`), whose peak of memory is the one reported. Each engine runs
in a process of its own, and its peak of memory is counted on top of what that takes. Vectors cluster by person; every
tenth is of the camera that is searched alone, and another tenth is removed. With `--keep FILE`, rows are kept there as
they are measured, and one that is there is not measured again: an interrupted run goes on.
"""

import argparse
import importlib.util
import json
import multiprocessing
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from gallery_candidates import CANDIDATES
from measuring import MEBIBYTE, in_fresh_process, report, resident

TOP, CAMERAS, BATCH, SEARCHED, REMOVED = 20, 10, 5_000, 3, 4
PER_PERSON = 20
NEEDED = {
    'milvus': 'milvus',
    'milvus-approximate': 'milvus',
    'faiss+sqlite': 'faiss',
    'lancedb': 'lancedb',
    'duckdb': 'duckdb',
    'milvus-lite': 'milvus_lite',
}
MILLION = ('embedded', 'faiss+sqlite', 'lancedb', 'duckdb')
"""Those that are measured with a million vectors: the others hold all of them in memory, and more than once."""

COLUMNS = {
    'recall': 'recall',
    'recall_filtered': 'with a condition',
    'search_ms': 'search, ms',
    'filtered_ms': 'with a condition, ms',
    'add_s': 'adding, s',
    'remove_s': 'removing a tenth, s',
    'gone': 'gone from the files',
    'whole': 'whole after kill -9',
    'reopen_s': 'opening and a search, s',
    'mib': 'disk, MiB',
    'peak_mib': 'memory, MiB',
}
HEADER = (f'| engine | vectors | {" | ".join(COLUMNS.values())} |', f'|---|---:|{"---:|" * len(COLUMNS)}')


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Measure engines for galleries side by side.')
    parser.add_argument('--vectors', type=int, default=100_000)
    parser.add_argument('--dimensions', type=int, default=1280)
    parser.add_argument('--queries', type=int, default=20)
    parser.add_argument('--engines', nargs='+', choices=CANDIDATES, default=list(CANDIDATES))
    parser.add_argument(
        '--million', action='store_true', help=f'then measure {", ".join(MILLION)} with 1,000,000 vectors, too'
    )
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--memory', type=int, default=2 << 30, help='bytes of vectors that `embedded` keeps in memory')
    parser.add_argument('--uri', help='address of a Milvus server')
    parser.add_argument('--kills', type=int, default=0, help='how often to kill -9 each engine while it adds')
    parser.add_argument('--keep', type=Path, metavar='FILE', help='file of rows, to go on with after an interruption')
    return parser.parse_args()


def make_batch(first: int, count: int, dimensions: int) -> tuple[np.ndarray, np.ndarray]:
    """Cameras and vectors of the images from a number on, the same whenever asked; each person has 20 in a row."""
    people = np.random.default_rng((first, 1)).standard_normal((count // PER_PERSON + 1, dimensions), np.float32)
    noise = np.random.default_rng((first, 2)).standard_normal((count, dimensions), np.float32)
    vectors = noise + people[np.arange(count) // PER_PERSON]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # Cameras follow no person: each is in all of them.
    return (np.arange(first, first + count) * 7 // 3) % CAMERAS, vectors


def make_queries(arguments: argparse.Namespace) -> np.ndarray:
    """Some images, disturbed a little."""
    _, vectors = make_batch(0, min(BATCH, arguments.vectors), arguments.dimensions)
    noise = np.random.default_rng(3).standard_normal((arguments.queries, arguments.dimensions), np.float32)
    queries = vectors[:: max(1, len(vectors) // arguments.queries)][: arguments.queries] + 0.02 * noise
    return queries / np.linalg.norm(queries, axis=1, keepdims=True)


def find_exactly(arguments: argparse.Namespace, queries: np.ndarray) -> tuple[list[set[str]], list[set[str]]]:
    """Names of each query's nearest images, of all and of one camera, computed in double precision."""
    best = [np.zeros((len(queries), 0)), np.zeros((len(queries), 0), np.int64)]
    best_filtered = list(best)
    for first in range(0, arguments.vectors, BATCH):
        cameras, vectors = make_batch(first, min(BATCH, arguments.vectors - first), arguments.dimensions)
        scores = queries.astype(np.float64) @ vectors.astype(np.float64).T
        numbers = np.broadcast_to(np.arange(first, first + len(vectors)), scores.shape)
        chosen = cameras == SEARCHED
        best = _keep_best(best, scores, numbers)
        best_filtered = _keep_best(best_filtered, scores[:, chosen], numbers[:, chosen])
    every, filtered = ([{f'image_{n}' for n in row} for row in numbers] for _, numbers in (best, best_filtered))
    return every, filtered


def _keep_best(best: list[np.ndarray], scores: np.ndarray, numbers: np.ndarray) -> list[np.ndarray]:
    scores, numbers = np.hstack([best[0], scores]), np.hstack([best[1], numbers])
    order = np.argsort(-scores, axis=1, kind='stable')[:, :TOP]
    return [np.take_along_axis(scores, order, 1), np.take_along_axis(numbers, order, 1)]


def open_engine(name: str, folder: Path, arguments: argparse.Namespace) -> Any:
    """Open one, or make it."""
    options: dict[str, Any] = {'memory': arguments.memory} if name == 'embedded' else {}
    if name in ('milvus', 'milvus-approximate'):
        options['uri'] = arguments.uri
    return CANDIDATES[name](folder, arguments.dimensions, **options)


def fill(engine: Any, arguments: argparse.Namespace, say: Callable[[int], None] | None = None) -> float:
    """Add all vectors, and say how many are there; returns the seconds, those of making vectors left out."""
    seconds = 0.0
    for first in range(0, arguments.vectors, BATCH):
        cameras, vectors = make_batch(first, min(BATCH, arguments.vectors - first), arguments.dimensions)
        start = time.perf_counter()
        engine.add(first, cameras, vectors)
        seconds += time.perf_counter() - start
        if say is not None:
            say(first + len(vectors))
    return seconds


def measure(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Measure one engine; for a process of its own."""
    # First, as databases do not expect processes to be forked once they are at work.
    found: dict[str, Any] = {'whole': survive(name, arguments) if arguments.kills else None}
    queries = make_queries(arguments)
    every, filtered = find_exactly(arguments, queries)
    Path('/proc/self/clear_refs').write_text('5', encoding='ascii')
    before = resident('VmRSS')
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        engine = open_engine(name, folder, arguments)
        found['add_s'] = fill(engine, arguments)
        found['mib'] = _mebibytes(folder)
        engine.settle()
        for what, camera, wanted in (('search', None, every), ('filtered', SEARCHED, filtered)):
            engine.search(queries[0], camera, TOP)
            seconds, hits = [], 0
            for query, right in zip(queries, wanted, strict=True):
                start = time.perf_counter()
                answer = engine.search(query, camera, TOP)
                seconds.append(time.perf_counter() - start)
                hits += len(right & set(answer))
            found[f'{what}_ms'] = f'{1000 * np.median(seconds):,.1f} ({1000 * min(seconds):,.1f})'
            found['recall' if camera is None else 'recall_filtered'] = hits / sum(map(len, wanted))
        there = _holds_removed(folder, arguments)
        start = time.perf_counter()
        engine.remove(REMOVED)
        found['remove_s'] = time.perf_counter() - start
        # What is stored in another form, or elsewhere, cannot be looked for.
        found['gone'] = not _holds_removed(folder, arguments) if there else None
        del engine
        start = time.perf_counter()
        engine = open_engine(name, folder, arguments)
        engine.search(queries[0], None, TOP)
        found['reopen_s'] = time.perf_counter() - start
        found['peak_mib'] = (resident('VmHWM') - before) / MEBIBYTE
    return found


def _holds_removed(folder: Path, arguments: argparse.Namespace) -> bool:
    """Whether a file holds vectors of the camera that is removed: some numbers in a row of some of them."""
    cameras, vectors = make_batch(0, min(BATCH, arguments.vectors), arguments.dimensions)
    removed = vectors[cameras == REMOVED][:5]
    pieces = [vector[100:104].tobytes() for vector in removed]
    for file in folder.rglob('*'):
        if file.is_file():
            # Not mapped: pages of the file would count as this process's memory.
            with file.open('rb') as content:
                end = b''
                while part := content.read(64 * MEBIBYTE):
                    if any(piece in end + part for piece in pieces):
                        return True
                    end = part[-64:]
    return False


def survive(name: str, arguments: argparse.Namespace) -> str:
    """Kill an engine again and again while it adds.

    Returns:
        How often it opened afterwards with all that it had confirmed, and at most the batch that it was at.
    """
    whole = 0
    for turn in range(arguments.kills):
        with tempfile.TemporaryDirectory() as place:
            whole += _survives(name, Path(place), arguments, turn)
    return f'{whole} of {arguments.kills}'


def _survives(name: str, folder: Path, arguments: argparse.Namespace, turn: int) -> bool:
    child, receiver = _apart(lambda say: fill(open_engine(name, folder, arguments), arguments, say))
    confirmed = [receiver.recv() for _ in range(1 + turn % 3)][-1]
    time.sleep(0.05 * (turn % 5))
    child.kill()
    child.join()
    confirmed = max([confirmed, *_rest(receiver)])
    child, receiver = _apart(lambda say: say(open_engine(name, folder, arguments).count()))
    child.join()
    return any(confirmed <= count <= confirmed + BATCH for count in _rest(receiver))


def _apart(work: Callable[[Callable[[int], None]], object]) -> tuple[Any, Any]:
    """Begin some work in a process of its own; returns that, and what receives the numbers that it says."""
    context = multiprocessing.get_context('fork')  # a new interpreter would take seconds
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=lambda: work(sender.send))
    child.start()
    sender.close()
    return child, receiver


def _rest(receiver: Any) -> Iterator[int]:
    with suppress(EOFError):
        while True:
            yield receiver.recv()


def main() -> None:
    """Measure each engine in a process of its own."""
    arguments = parse_arguments()
    os.environ.update({name: str(arguments.threads) for name in ('OMP_NUM_THREADS', 'OPENBLAS_NUM_THREADS')})
    there = [name for name in arguments.engines if _is_there(name, arguments)]
    report(
        f'vectors of {arguments.dimensions} numbers, {arguments.threads} threads, the {TOP} nearest; of the times of '
        'searches the median (the least)\n'
    )
    for line in HEADER:
        report(line)
    for name in there:
        _report_engine(name, arguments)
    arguments.vectors, arguments.queries, arguments.kills = 1_000_000, 5, 0
    for name in there if arguments.million else ():
        if name in MILLION:
            _report_engine(name, arguments)


def _is_there(name: str, arguments: argparse.Namespace) -> bool:
    needed = 'pymilvus' if NEEDED.get(name) == 'milvus' and arguments.uri else NEEDED.get(name)
    there = needed is None or importlib.util.find_spec(needed) is not None
    if not there:
        report(f'{name} is left out: {needed} is not installed')
    return there


def _report_engine(name: str, arguments: argparse.Namespace) -> None:
    """Write an engine's row: a kept one, or what a process of its own measures."""
    kept = arguments.keep.read_text(encoding='utf-8').splitlines() if arguments.keep and arguments.keep.exists() else []
    key = [name, arguments.vectors]
    found = next((row['found'] for row in map(json.loads, kept) if row['key'] == key), None)
    if found is None:
        found = _measure_apart(name, arguments)
        if arguments.keep:
            with arguments.keep.open('a', encoding='utf-8') as file:
                file.write(f'{json.dumps({"key": key, "found": found})}\n')
    report(f'| {name} | {arguments.vectors:,} | {" | ".join(_show(found[column]) for column in COLUMNS)} |')


def _measure_apart(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    with ExitStack() as stack:
        server = None
        if NEEDED.get(name) == 'milvus' and arguments.uri is None:
            server = stack.enter_context(_serving())
            arguments = argparse.Namespace(**{**vars(arguments), 'uri': server.uri})
        found: dict[str, Any] = in_fresh_process(measure, name, arguments)
        if server is not None:
            found |= {'mib': _mebibytes(server.folder), 'peak_mib': resident('VmHWM', server.process) / MEBIBYTE}
    return found


@dataclass(frozen=True)
class Server:
    """A running Milvus server: its address, the folder of its data, its process."""

    uri: str
    folder: Path
    process: int


@contextmanager
def _serving() -> Iterator[Server]:
    """Context in which a Milvus server runs."""
    from milvus import MilvusServer

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        server = MilvusServer()
        server.set_base_dir(place)
        server.start()
        try:
            yield Server(f'http://127.0.0.1:{server.listen_port}', Path(place) / 'data', server.server_proc.pid)
        finally:
            with suppress(subprocess.TimeoutExpired):  # on a busy machine; it is killed all the same
                server.stop()


def _mebibytes(folder: Path) -> float:
    return sum(file.stat().st_size for file in folder.rglob('*') if file.is_file()) / MEBIBYTE


def _show(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    return '-' if value is None else f'{value:,.3f}' if value <= 1 else f'{value:,.1f}'


if __name__ == '__main__':
    main()
