"""Code that runs on several ranks, connected over gloo."""

import inspect
import multiprocessing
import runpy
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import torch

# Ranks are forks of a process that has imported this already: each by itself would need seconds for it.
_CONTEXT = multiprocessing.get_context('forkserver')
_CONTEXT.set_forkserver_preload(['torch', 'cmdg_plugin.models'])
_SECONDS = 300


def run_on_ranks(function: Callable[[int, int, Path], None], folder: Path, ranks: int = 2) -> None:
    """Call a function on every rank, with its number, how many there are, and the folder; its assertions fail the test.

    Args:
        function: A function of a test module; the ranks import it from there.
        folder: Empty folder that the ranks meet in.
        ranks: How many processes.
    """
    where = (inspect.getfile(function), function.__name__)
    processes = [_CONTEXT.Process(target=_run, args=(*where, rank, ranks, folder)) for rank in range(ranks)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(_SECONDS)
    errors = [path.read_text() for path in sorted(folder.glob('error_*'))]
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    assert codes == [0] * ranks, '\n'.join(errors)


def _run(file: str, name: str, rank: int, ranks: int, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=ranks)
    try:
        # By file: pytest's names for test modules are not names that a process of its own could import.
        runpy.run_path(file)[name](rank, ranks, folder)
    except Exception:
        (folder / f'error_{rank}').write_text(f'rank {rank}:\n{traceback.format_exc()}')
        sys.exit(1)
    # A rank that leaves while another still talks to it takes gloo's threads down with it.
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
