"""Code that runs on several ranks, connected over gloo."""

import inspect
import runpy
import signal
from collections.abc import Callable
from pathlib import Path

import torch
from helpers.forks import Fork
from helpers.fresh import command_of

_SECONDS = 300


def run_on_ranks(function: Callable[[int, int, Path], None], folder: Path, ranks: int = 2) -> None:
    """Call a function on every rank, with its number, how many there are, and the folder; its assertions fail the test.

    Args:
        function: A function of a test module; the ranks import it from there.
        folder: Empty folder that the ranks meet in.
        ranks: How many processes.
    """
    what = (inspect.getfile(function), function.__name__)
    forks = [Fork(command_of(_run, *what, rank, ranks, folder), cwd=folder) for rank in range(ranks)]
    ended = [fork.wait() for fork in forks]
    errors = [f'rank {rank}:\n{end.stderr}' for rank, end in enumerate(ended)]
    assert [end.returncode for end in ended] == [0] * ranks, '\n'.join(errors)


def _run(file: str, name: str, rank: str, ranks: str, folder: str) -> None:
    # Where one rank has failed, the others wait for it, but not for ever.
    signal.alarm(_SECONDS)
    numbers = int(rank), int(ranks)
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=numbers[0], world_size=numbers[1]
    )
    runpy.run_path(file)[name](*numbers, Path(folder))
    # A rank that leaves while another still talks to it takes gloo's threads down with it.
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
