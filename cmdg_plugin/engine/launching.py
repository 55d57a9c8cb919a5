"""Joining the processes of a distributed job that runs without GPUs."""

import os

import torch
from mmengine.device import get_device
from mmengine.dist import is_distributed


def join_processes(launcher: str) -> None:
    """Connect the processes that torchrun started on CPUs, over gloo.

    On GPUs MMEngine's runner does it; on CPUs it would ask for a GPU first, and goes on with the processes it finds
    connected.

    Args:
        launcher: The launcher of the command line.

    Raises:
        RuntimeError: If torchrun did not start this process.
    """
    if launcher == 'pytorch' and 'RANK' not in os.environ:
        raise RuntimeError(
            '--launcher pytorch joins processes that torchrun started, and this is none of them: start with '
            '`bash tools/dist_train.sh CONFIG NUM_GPUS`, or leave --launcher out.'
        )
    if launcher == 'pytorch' and get_device() == 'cpu' and not is_distributed():
        torch.distributed.init_process_group('gloo')
