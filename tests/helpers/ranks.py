"""Code that runs on several ranks, connected over gloo."""

import subprocess
import sys
from pathlib import Path

_PREAMBLE = """
import sys
from pathlib import Path
import torch
rank, ranks, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
torch.set_num_threads(1)
torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/store', rank=rank, world_size=ranks)
"""

# A rank that leaves while another still talks to it takes gloo's threads down with it.
_LEAVE = """
torch.distributed.barrier()
torch.distributed.destroy_process_group()
"""


def run_on_ranks(code: str, folder: Path, ranks: int = 2) -> None:
    """Run code on every rank, with `rank`, `ranks` and `folder` at hand; its assertions fail the calling test.

    Args:
        code: Python source.
        folder: Empty folder that the ranks meet in.
        ranks: How many processes.
    """
    command = [sys.executable, '-c', _PREAMBLE + code + _LEAVE]
    processes = [
        subprocess.Popen([*command, str(rank), str(ranks), str(folder)], stderr=subprocess.PIPE, text=True)
        for rank in range(ranks)
    ]
    errors = [process.communicate(timeout=300)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * ranks, '\n'.join(errors)
