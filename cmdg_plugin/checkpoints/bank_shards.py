"""Files of a memory bank that is sharded over ranks: each rank's rows, beside the checkpoints that leave them out.

The rows of an epoch live as long as its checkpoint: they are written whenever one is about to be, and removed once it
is gone.
"""

import io
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.dist import barrier, get_rank, get_world_size, is_main_process
from mmengine.hooks import CheckpointHook
from mmengine.runner import Runner
from torch import Tensor

from cmdg_plugin.checkpoints.reading import read_checkpoint
from cmdg_plugin.files.writing import write_whole
from cmdg_plugin.models.memory import CaptionMemoryBank

_FOLDER = 'bank_shards'
_ORIGIN = 'origin'
_EPOCH = re.compile(r'epoch_(\d+)\.pth$')


def keep_shard(runner: Runner, memory: CaptionMemoryBank) -> None:
    """Write the rows that this rank holds if the epoch that just ended gets a checkpoint; call it before that."""
    for hook in runner.hooks:
        if not isinstance(hook, CheckpointHook) or not hook.by_epoch:
            continue
        last = hook.save_last and hook.is_last_train_epoch(runner)
        # The best checkpoint is chosen after the evaluation, by one rank alone: its rows must be there already.
        if hook.save_best or last or hook.every_n_epochs(runner, hook.interval, hook.save_begin):
            save_shard(memory, Path(hook.out_dir), runner.epoch + 1, runner.experiment_name)


def save_shard(memory: CaptionMemoryBank, folder: Path, epochs_done: int, run: str | None = None) -> None:
    """Write the rows that this rank holds, and remove those whose checkpoint is gone.

    Args:
        memory: A sharded `CaptionMemoryBank`.
        folder: Folder of the checkpoints.
        epochs_done: Epochs of the whole run that are done.
        run: Name of the run, as its checkpoint has it.
    """
    # Not as a context: its end would hide what goes wrong while its memory is written.
    file = io.BytesIO()
    rows = {name: held.cpu() for name, held in _held_rows(memory).items()}
    torch.save({**rows, _ORIGIN: _origin(epochs_done, run)}, file)
    write_whole(_path(folder, epochs_done), file.getbuffer())
    # Older rows go once every rank has written its new ones.
    barrier()
    if not is_main_process():
        return
    living = {int(match.group(1)) for path in folder.glob('*.pth') if (match := _EPOCH.search(path.name))}
    for others in (folder / _FOLDER).glob('epoch_*'):
        if others.name not in {f'epoch_{epoch}' for epoch in (*living, epochs_done)}:
            shutil.rmtree(others, ignore_errors=True)


def load_shard(memory: CaptionMemoryBank, folder: Path, epochs_done: int, run: str | None = None) -> None:
    """Read the rows that this rank held.

    Args:
        memory: A sharded `CaptionMemoryBank`.
        folder: Folder of the checkpoints.
        epochs_done: Epochs of the whole run that are done.
        run: Name of the run that the checkpoint is from; None where it does not say.

    Raises:
        FileNotFoundError: If they are not there; says which epochs' are.
        ValueError: If they are damaged, are of another rank, epoch or run, or lack the captions that this run needs,
            whose text tower trains.
    """
    path = _path(folder, epochs_done)
    if not path.is_file():
        there = sorted(int(each.parent.name[len('epoch_') :]) for each in path.parents[1].glob(f'epoch_*/{path.name}'))
        advice = (
            f'Rows of this number of processes are there of the epochs {there}: resume from one of their checkpoints.'
            if there
            else 'Resume on as many processes as before, and keep the folder of the checkpoint as it was.'
        )
        raise FileNotFoundError(
            f'No {path}, which holds the rows of the sharded memory bank of rank {get_rank()} of {get_world_size()}. '
            f'{advice}'
        )
    rows = read_checkpoint(path, map_location=memory.image.device)
    # Older versions did not write where the rows are from.
    _check_origin(path, rows.pop(_ORIGIN, {}), _origin(epochs_done, run))
    held = _held_rows(memory)
    missing = [name for name in held if name not in rows]
    if missing:
        raise ValueError(
            f'{path} holds {", ".join(rows)}, but not {", ".join(missing)}: its run kept the text tower frozen. Resume '
            'with the text_finetune_layers of that run.'
        )
    for name, own in held.items():
        if rows[name].shape != own.shape:
            raise ValueError(
                f'{path} holds {tuple(rows[name].shape)} as {name}, and the bank of this run {tuple(own.shape)}: '
                'resume with the images and the model of that run.'
            )
    for name, own in held.items():
        own.copy_(rows[name])
    memory.refresh_norms()


def _origin(epochs_done: int, run: str | None) -> dict[str, Any]:
    return {'run': run, 'epoch': epochs_done, 'rank': get_rank(), 'of': get_world_size()}


def _check_origin(path: Path, there: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Refuse rows that were copied from elsewhere: they have the right shape and are of other images."""
    other = [name for name, value in wanted.items() if None not in (value, there.get(name)) and there[name] != value]
    if other:
        raise ValueError(
            f'{path} does not belong to its checkpoint: it holds the rows of '
            f'{", ".join(f"{name} {there[name]}" for name in other)}, not of '
            f'{", ".join(f"{name} {wanted[name]}" for name in other)}. Copy the folder {_FOLDER} together with the '
            'checkpoints.'
        )


def _held_rows(memory: CaptionMemoryBank) -> dict[str, Tensor]:
    rows = {'image': memory.image, 'filled': memory.filled}
    # Captions of a frozen text tower are encoded anew on a resume; those of one that trains are running averages.
    return {**rows, 'text': memory.text} if memory.save_text else rows


def _path(folder: Path, epochs_done: int) -> Path:
    return folder / _FOLDER / f'epoch_{epochs_done}' / f'rank_{get_rank()}_of_{get_world_size()}.pth'
