"""Finding and reading files of weights, whatever wrote them, without running code that they may hold."""

import json
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME
from torch import Tensor

from cmdg_plugin.files.hashing import hash_file
from cmdg_plugin.files.torch_files import UNPICKLING_ERRORS, check_archive

OPEN_CLIP_NAMES = (HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME)
"""What open_clip calls the weights in a folder of the Hugging Face hub."""

TRANSFORMERS_NAMES = (
    'model.safetensors',
    'model.safetensors.index.json',
    'pytorch_model.bin',
    'pytorch_model.bin.index.json',
)
"""What transformers calls them; an index names several files that hold a part each."""

_SUFFIXES = ('.safetensors', '.bin', '.pt', '.pth', '.ckpt')
_WRAPPERS = ('state_dict', 'model_state_dict', 'model')
_PREFIXES = ('module.', '_orig_mod.', 'model.', 'clip.', 'clip_model.')
_CODE = re.compile(r'GLOBAL (\S+)')
_SHA256 = re.compile('[0-9a-f]{64}')


def find_weight_file(folder: Path) -> Path:
    """Choose the weight file of a folder.

    Args:
        folder: Folder as open_clip or transformers saves it, or a repository in the cache of the Hugging Face hub.

    Returns:
        open_clip's file if there is one, else transformers', else the only one.

    Raises:
        FileNotFoundError: If there is no weight file, or several without one of the usual names.
    """
    if (folder / 'snapshots').is_dir():
        folder = _snapshot(folder)
    for name in (*OPEN_CLIP_NAMES, *TRANSFORMERS_NAMES):
        if (folder / name).is_file():
            return folder / name
    files = weight_files(folder)
    if len(files) != 1:
        raise FileNotFoundError(
            f'The folder {folder} should hold one weight file ({", ".join(OPEN_CLIP_NAMES + TRANSFORMERS_NAMES[::2])} '
            f'or a single {" ".join(_SUFFIXES)}), but holds {", ".join(file.name for file in files) or "none"}. '
            'Give the path of the file as `pretrained`.'
        )
    return files[0]


def weight_files(folder: Path) -> list[Path]:
    """List the files of a folder whose suffix is one of weights."""
    return sorted(file for file in folder.iterdir() if file.suffix in _SUFFIXES and file.is_file())


def _snapshot(repository: Path) -> Path:
    """Newest known version of a repository in the hub's cache."""
    main = repository / 'refs' / 'main'
    versions = sorted((repository / 'snapshots').iterdir())
    named = [version for version in versions if main.is_file() and version.name == main.read_text().strip()]
    if not named and len(versions) != 1:
        raise FileNotFoundError(
            f'{repository} should hold one version of the weights, but holds {len(versions)}: give the folder of one, '
            f'below {repository / "snapshots"}, as `pretrained`.'
        )
    return (named or versions)[0]


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read the tensors of a file in any of the formats in use, known by its content, whatever its name.

    Pickles are loaded with `weights_only=True`; TorchScript archives by their own reader, which knows no Python
    objects. Checksums are compared where the format has them (all but safetensors and pickles before 2020).

    Args:
        path: A safetensors file, a pickle (bare, or below 'state_dict' or the like), a TorchScript archive, or an index
            of transformers, which names files.

    Returns:
        Tensors by name, short of prefixes that wrappers put in front of all ('module.', 'model.', ...); and what a
        safetensors file says of itself.

    Raises:
        ValueError: If the file is damaged, holds more than tensors or no weights; it names the file.
    """
    with path.open('rb') as file:
        start = file.read(64)
    if start.startswith(b'version https://git-lfs'):
        raise ValueError(f'{path} is a pointer of Git LFS, not the weights: run `git lfs pull` where it comes from.')
    if path.name.endswith('.index.json'):
        return _read_shards(path), {}
    _check_blob(path)
    if start[8:9] == b'{' or path.suffix == '.safetensors':
        state, metadata = _read_safetensors(path)
        return _strip_prefixes(state), metadata
    parts = check_archive(path, 'Fetch it again.') if start.startswith(b'PK') else []
    if any(part.endswith('/constants.pkl') for part in parts):
        return _read_torchscript(path), {}
    return _strip_prefixes(_read_pickle(path)), {}


def _check_blob(path: Path) -> None:
    """Compare a file with its name, where the hub's cache named it by its content: safetensors have no checksum."""
    blob = path.resolve()
    if blob.parent.name != 'blobs' or not _SHA256.fullmatch(blob.name):
        return
    if hash_file(blob) != blob.name:
        raise ValueError(f'{path} is damaged: its content is not what the cache of the hub stored. Fetch it again.')


def _read_safetensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework='pt') as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f'{path} is damaged or not a safetensors file: {error}.') from error


def _read_shards(index: Path) -> dict[str, Tensor]:
    try:
        names = sorted(set(json.loads(index.read_text(encoding='utf-8'))['weight_map'].values()))
        strange = [name for name in names if Path(name).name != name or name.endswith('.json')]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f'{index} is damaged or not an index of weight files.') from error
    if strange:
        raise ValueError(f'{index} should name weight files beside it, but names {strange[0]!r}.')
    state: dict[str, Tensor] = {}
    for name in names:
        if not (index.parent / name).is_file():
            raise ValueError(f'{index} names {name}, which is missing beside it.')
        state |= read_tensors(index.parent / name)[0]
    return state


def _read_torchscript(path: Path) -> dict[str, Tensor]:
    with warnings.catch_warnings():
        # Deprecated or not, there is no other reader for the archives that OpenAI published.
        warnings.filterwarnings('ignore', message='.*torch.jit.load. is deprecated', category=FutureWarning)
        try:
            return dict(torch.jit.load(path, map_location='cpu').state_dict())
        except (RuntimeError, ValueError) as error:
            raise ValueError(f'{path} is damaged or not an archive of TorchScript. Fetch it again.') from error


def _read_pickle(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except UNPICKLING_ERRORS as error:
        # Torch's own text is left out, as it advises to load without the guard.
        code = _CODE.search(str(error))
        raise ValueError(
            f'{path} asks for {code[1]} and was refused, because loading it could run any code. If you trust its '
            'author, load it once yourself and save only its tensors.'
            if code
            else f'{path} is damaged, or not a file of weights: safetensors, a pickle of tensors, or TorchScript.'
        ) from error
    for key in _WRAPPERS:
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise ValueError(f'{path} should hold a dictionary of tensors, but holds a {type(content).__name__}.')
    return {str(key): value for key, value in content.items() if isinstance(value, Tensor)}


def _strip_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    while state:
        prefix = next((prefix for prefix in _PREFIXES if all(key.startswith(prefix) for key in state)), None)
        if prefix is None:
            break
        state = {key.removeprefix(prefix): value for key, value in state.items()}
    return state
