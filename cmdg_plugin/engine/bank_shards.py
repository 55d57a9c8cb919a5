"""Files of a memory bank that is sharded over ranks: each rank's rows, beside the checkpoints that leave them out."""

import io
import shutil
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import barrier, get_rank, get_world_size, is_main_process

from cmdg_plugin.engine.atomic_backend import AtomicLocalBackend

_FOLDER = 'bank_shards'
_EPOCHS_KEPT = 2


def save_shard(memory: Any, folder: Path, epochs_done: int) -> None:
    """Write the rows that this rank holds, and remove those of the epoch before the last.

    Args:
        memory: A sharded `CaptionMemoryBank`.
        folder: Folder of the checkpoints.
        epochs_done: Epochs of the whole run that are done.
    """
    with io.BytesIO() as file:
        torch.save({name: getattr(memory, name).cpu() for name in _saved(memory)}, file)
        AtomicLocalBackend().put(file.getbuffer(), _path(folder, epochs_done))
    # Older rows go once every rank has written its new ones.
    barrier()
    if is_main_process():
        shutil.rmtree(_path(folder, epochs_done - _EPOCHS_KEPT).parent, ignore_errors=True)


def load_shard(memory: Any, folder: Path, epochs_done: int) -> None:
    """Read the rows that this rank held.

    Args:
        memory: A sharded `CaptionMemoryBank`.
        folder: Folder of the checkpoints.
        epochs_done: Epochs of the whole run that are done.

    Raises:
        FileNotFoundError: If they are not there.
        ValueError: If they lack the captions that this run needs, whose text tower trains.
    """
    path = _path(folder, epochs_done)
    if not path.is_file():
        raise FileNotFoundError(
            f'No {path}, which holds the rows of the sharded memory bank of rank {get_rank()} of {get_world_size()}. '
            'Resume on as many processes as before, and keep the folder of the checkpoint as it was.'
        )
    rows = torch.load(path, map_location=memory.image.device, weights_only=True)
    missing = [name for name in _saved(memory) if name not in rows]
    if missing:
        raise ValueError(
            f'{path} holds {", ".join(rows)}, but not {", ".join(missing)}: its run kept the text tower frozen. Resume '
            'with the text_finetune_layers of that run.'
        )
    for name in _saved(memory):
        getattr(memory, name).copy_(rows[name])
    memory.refresh_norms()


def _saved(memory: Any) -> tuple[str, ...]:
    # Captions of a frozen text tower are encoded anew on a resume; those of one that trains are running averages.
    return ('image', 'filled', 'text') if memory.save_text else ('image', 'filled')


def _path(folder: Path, epochs_done: int) -> Path:
    return folder / _FOLDER / f'epoch_{epochs_done}' / f'rank_{get_rank()}_of_{get_world_size()}.pth'
