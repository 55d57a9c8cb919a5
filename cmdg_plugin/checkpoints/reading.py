"""The one door through which checkpoints are read: no code runs, and no damage passes."""

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import CheckpointLoader
from torch import Tensor
from torch.hub import download_url_to_file, get_dir

from cmdg_plugin.checkpoints.meta import check_meta
from cmdg_plugin.checkpoints.safe_classes import trust_checkpoint_classes
from cmdg_plugin.files.torch_files import UNPICKLING_ERRORS, check_archive
from cmdg_plugin.nested import walk
from cmdg_plugin.saying import first_of, say

_EXECUTED_BY_MMENGINE = 'config'
# All else poisons a run as weights do, only later: averages, an optimizer's state, what a stage keeps.
_LOGGED = 'message_hub'
_INSTEAD = 'Copy it again from where it came from, or go on from another checkpoint.'


def read_checkpoint(path: str | os.PathLike[str], map_location: Any = 'cpu') -> dict[str, Any]:
    """Read a checkpoint without running anything from it, and only if it is whole.

    Tensors and plain values are unpickled, and the log history that MMEngine keeps; everything else is refused. The
    checksum of every part of the archive is compared first, and the weights and averages must be numbers: a file that
    lost bits on its way would otherwise load, with other weights.

    Args:
        path: The file.
        map_location: As `torch.load` takes it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, is not a checkpoint, holds more than data, has weights that are not finite, or
            says of itself what no training writes.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f'No checkpoint at {path}.')
    if check_beginning(path):
        check_archive(path, _INSTEAD)
    trust_checkpoint_classes()
    try:
        content = torch.load(path, map_location=map_location, weights_only=True)
    except UNPICKLING_ERRORS as error:
        raise ValueError(_refusal(path, error)) from error
    if not isinstance(content, dict):
        raise ValueError(
            f'{path} holds a {type(content).__name__}; a checkpoint is a dictionary with the weights in `state_dict`.'
        )
    if 'meta' in content:
        check_meta(content['meta'], path)
        # On a resume MMEngine runs the text at meta.config as Python, to compare numbers of GPUs. Its own checkpoints
        # have had none since its first release.
        content['meta'].pop(_EXECUTED_BY_MMENGINE, None)
    parts = {name: part for name, part in content.items() if name != _LOGGED}
    # The dotted place of a weight is its own name.
    tensors = {place.removeprefix('state_dict.'): node for place, node in walk(parts) if isinstance(node, Tensor)}
    check_finite(tensors, f'{path} holds weights that are not numbers')
    return content


def check_finite(weights: Mapping[str, Any], what: str) -> None:
    """Refuse weights that are NaN or infinite.

    Args:
        weights: Tensors by name; other values are passed over.
        what: How the message begins.

    Raises:
        ValueError: If there are any; names the first of them.
    """
    bad = [name for name, value in weights.items() if isinstance(value, Tensor) and not _is_finite(value)]
    if bad:
        raise ValueError(
            f'{what}: {first_of(bad)}. Go on from an earlier checkpoint; what made them so shows in '
            'the log of their run (a learning rate too high, half precision).'
        )


def register_reader() -> None:
    """Let MMEngine, too, read local files and downloads through `read_checkpoint`.

    Its own readers ask for no checksum, and downloads are unpickled without a limit on what they may run.
    """
    CheckpointLoader.register_scheme('', loader=load_from_file, force=True)
    CheckpointLoader.register_scheme(('http://', 'https://'), loader=load_from_url, force=True)


def load_from_file(filename: str, map_location: Any = 'cpu') -> dict[str, Any]:
    """Read a local checkpoint for MMEngine; see `read_checkpoint`."""
    return read_checkpoint(filename, map_location)


def load_from_url(filename: str, map_location: Any = 'cpu') -> dict[str, Any]:
    """Fetch a checkpoint into torch's cache, unless it is there, and read it; see `read_checkpoint`.

    Raises:
        FileNotFoundError: If it cannot be fetched.
        ValueError: As `read_checkpoint` does.
    """
    cached = Path(get_dir()) / 'checkpoints' / Path(filename.split('?')[0]).name
    if not cached.is_file():
        cached.parent.mkdir(parents=True, exist_ok=True)
        try:
            # Written under another name first: two processes that fetch it at once do not meet.
            download_url_to_file(filename, str(cached), progress=False)
        except OSError as error:
            raise FileNotFoundError(f'{filename} could not be fetched ({error}).') from error
    else:
        # Torch's cache goes by the last part of an address alone: another address may have brought this file.
        say(f'{filename}: taken from {cached}, as fetched before. Delete that file to fetch it anew.')
    return read_checkpoint(cached, map_location)


def check_beginning(path: Path) -> bool:
    """Refuse a file that torch has not written; tell whether it is an archive, with checksums.

    Raises:
        ValueError: If it is empty or begins otherwise.
    """
    with path.open('rb') as file:
        beginning = file.read(2)
    if not beginning:
        raise ValueError(f'{path} is empty: writing it was interrupted. Go on from an earlier checkpoint.')
    # Before version 1.6, torch wrote a bare pickle, which has no checksums.
    if beginning != b'PK' and not beginning.startswith(b'\x80'):
        raise ValueError(f'{path} is not a checkpoint that torch has written, or its beginning is damaged.')
    return beginning == b'PK'


def _refusal(path: Path, error: Exception) -> str:
    """Say why torch refused a file, without its advice to load the file in a way that runs code from it."""
    if isinstance(error, pickle.UnpicklingError):
        wanted = first_of(_more_than_data(path))
        return (
            f'{path} is damaged, or holds more than data{f" ({wanted})" if wanted else ""}: loading it could run code '
            'of whoever made it, so it is refused. Ask for a file with tensors and plain values alone.'
        )
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f'{path} is damaged or is not a checkpoint ({lines[0][:200]}). {_INSTEAD}'


def _more_than_data(path: Path) -> list[str]:
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError):
        return []  # only archives can be asked


def _is_finite(value: Tensor) -> bool:
    if not value.is_floating_point() or bool(value.isfinite().all()):
        return True
    # A mask of attention is 0 and -inf, and nothing else; a weight that overflowed is not.
    return bool(((value == 0) | value.isneginf()).all() and (value == 0).any())
