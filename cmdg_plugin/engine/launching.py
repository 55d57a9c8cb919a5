"""The processes of a distributed job: joined where they run without GPUs, parted at the end, and told apart."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.device import get_device
from mmengine.dist import is_distributed

_SET_BY = {
    'pytorch': ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'),
    'slurm': ('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
    'mpi': ('OMPI_COMM_WORLD_RANK', 'OMPI_COMM_WORLD_SIZE', 'OMPI_COMM_WORLD_LOCAL_RANK'),
}
_STARTED_BY = {
    'pytorch': 'torchrun started, and this is not one of them: start with `bash tools/dist_train.sh CONFIG NUM_GPUS`',
    'slurm': 'srun started, and this is not one of them: start with `bash tools/slurm_train.sh PARTITION JOB CONFIG`',
    'mpi': 'mpirun started, and this is not one of them: start with `mpirun -n NUM_GPUS python tools/train.py CONFIG`',
}


@contextmanager
def joined_processes(launcher: str) -> Iterator[None]:
    """Connect the processes that torchrun started on CPUs, over gloo, and part those of any job when all are done.

    On GPUs MMEngine's runner connects them; on CPUs it would ask for a GPU first, and goes on with the processes it
    finds connected. After an error they are not parted: others may wait for what this one will not send.

    Raises:
        RuntimeError: If the launcher did not start this process, or needs GPUs and there are none.
    """
    _join(launcher)
    yield
    if is_distributed():
        # Threads that still send when the interpreter ends abort their process: one end in 25, two processes on a CPU.
        torch.distributed.barrier()
        torch.distributed.destroy_process_group()


def _join(launcher: str) -> None:
    if launcher == 'none':
        return
    missing = [name for name in _SET_BY[launcher] if name not in os.environ]
    if missing:
        raise RuntimeError(
            f'--launcher {launcher} joins processes that {_STARTED_BY[launcher]}, or leave --launcher out '
            f'(not set: {", ".join(missing)}).'
        )
    if get_device() != 'cpu' or is_distributed():
        return
    if launcher != 'pytorch':
        raise RuntimeError(f'--launcher {launcher} needs a GPU for each process, and this one sees none.')
    torch.distributed.init_process_group('gloo')


def is_first_process(launcher: str) -> bool:
    """Whether this is the only process of a job, or the one of rank 0; known before the processes are joined."""
    return launcher == 'none' or int(os.environ[_SET_BY[launcher][0]]) == 0
