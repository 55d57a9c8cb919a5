"""Finding, reading and fitting pretrained CLIP weights, without running code that a weight file may hold."""

import pickle
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from open_clip import CustomTextCLIP, list_pretrained_tags_by_model
from open_clip.model import convert_to_custom_text_state_dict
from open_clip.pretrained import download_pretrained, get_pretrained_cfg
from torch import Tensor

from cmdg_plugin.models.backbones.image_towers import ImageTower
from cmdg_plugin.models.backbones.position_embedding import resize_position_embedding
from cmdg_plugin.models.backbones.shipped_models import SHIPPED_MODELS, shipped_weights

_OPENAI_EXTRAS = ('input_resolution', 'context_length', 'vocab_size')
_CONTRASTIVE_SCALE = ('logit_scale', 'logit_bias')


@dataclass
class PretrainedWeights:
    """Weights of a CLIP model, read from a file.

    Attributes:
        state: Tensors by the name that open_clip gives them.
        quick_gelu: Whether they were trained with OpenAI's approximation of GELU; None where that is not known.
        origin: File they come from, for messages.
    """

    state: dict[str, Tensor]
    quick_gelu: bool | None
    origin: Path


def read_pretrained(model_name: str, pretrained: str | Path) -> PretrainedWeights:
    """Read pretrained weights, named by a tag or a file.

    Args:
        model_name: Name of the model, which decides what tags there are.
        pretrained: Tag of a shipped model ('islands'), an open_clip tag ('openai', 'laion2b_s34b_b88k', ...; fetched
            on first use), or a local file in open_clip's or OpenAI's format.

    Returns:
        The weights.

    Raises:
        FileNotFoundError: If there is neither such a tag nor such a file, or if a tag's file cannot be fetched.
        ValueError: If the file is not a CLIP checkpoint, or holds more than tensors.
    """
    shipped = shipped_weights(model_name, str(pretrained))
    tag = get_pretrained_cfg(model_name, str(pretrained))
    if shipped is not None:
        return read_weight_file(shipped)
    if tag:
        weights = read_weight_file(_download(model_name, str(pretrained), tag))
        weights.quick_gelu = bool(tag.get('quick_gelu', False))
        return weights
    path = Path(pretrained).expanduser()
    if not path.is_file():
        shipped_tags = SHIPPED_MODELS[model_name].weights if model_name in SHIPPED_MODELS else ()
        tags = [*shipped_tags, *list_pretrained_tags_by_model(model_name)]
        raise FileNotFoundError(
            f'pretrained={str(pretrained)!r} is neither a file nor a tag of {model_name!r}. '
            f'Tags of this model: {", ".join(tags) or "none"}.'
        )
    return read_weight_file(path)


def _download(model_name: str, tag: str, config: dict) -> Path:
    try:
        return Path(download_pretrained(config))
    except (OSError, RuntimeError, ValueError) as error:
        raise FileNotFoundError(
            f'The weights {tag!r} of {model_name!r} could not be fetched ({error}). Without network, fetch the file '
            'elsewhere and give its path as `pretrained`.'
        ) from error


def read_weight_file(path: Path) -> PretrainedWeights:
    """Read a weight file: safetensors, a pickle of tensors, or OpenAI's TorchScript archive.

    Pickles are loaded with `weights_only=True`; archives by TorchScript's own reader, which knows no Python objects.

    Args:
        path: File with a state dict, bare or below the key 'state_dict', with or without the prefix 'module.'.

    Returns:
        The weights in open_clip's names.

    Raises:
        ValueError: If the file cannot be read so, or is not a CLIP checkpoint.
    """
    state = _read_tensors(path)
    is_openai = any(key in state for key in _OPENAI_EXTRAS) or _is_torchscript(path)
    state = {key: value for key, value in state.items() if key not in _OPENAI_EXTRAS}
    if not any(key.startswith('visual.') for key in state):
        raise ValueError(
            f'{path} holds no CLIP in the format of open_clip or OpenAI: it has no image tower ("visual."), '
            f'but for instance {", ".join(list(state)[:3]) or "nothing"}. '
            'For a checkpoint of a whole training run use `load_from` in the config instead of `pretrained`.'
        )
    return PretrainedWeights(state, quick_gelu=True if is_openai else None, origin=path)


def _read_tensors(path: Path) -> dict[str, Tensor]:
    if path.suffix == '.safetensors':
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f'{path} is damaged or no safetensors file: {error}.') from error
    if _is_torchscript(path):
        with warnings.catch_warnings():
            # Deprecated or not, there is no other reader for the archives that OpenAI published.
            warnings.filterwarnings('ignore', message='.*torch.jit.load. is deprecated', category=FutureWarning)
            return dict(torch.jit.load(path, map_location='cpu').state_dict())
    try:
        content = torch.load(path, map_location='cpu', weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(
            f'{path} is damaged, or holds more than tensors and was refused, because loading it could run any code. '
            f'If you trust its author, load it once yourself and save only its tensors. ({error})'
        ) from error
    if isinstance(content, dict) and isinstance(content.get('state_dict'), dict):
        content = content['state_dict']
    if not isinstance(content, dict):
        raise ValueError(f'{path} should hold a dictionary of tensors, but holds a {type(content).__name__}.')
    return {str(key).removeprefix('module.'): value for key, value in content.items() if isinstance(value, Tensor)}


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith('/constants.pkl') for name in archive.namelist())


def load_weights(clip: Any, weights: PretrainedWeights, tower: ImageTower, native_grid: tuple[int, int]) -> None:
    """Put weights into a model, with the position embeddings resized to its image size.

    The contrastive scale and bias are left aside where they do not fit; the method does not use them.

    Args:
        clip: An `open_clip.CLIP` or `open_clip.CustomTextCLIP`.
        weights: Weights of the same model at any image size.
        tower: Reader of its image tower, which knows where the position embeddings are.
        native_grid: Height and width of the token grid at the model configuration's own image size.

    Raises:
        ValueError: If the weights belong to another model; it says what differs.
    """
    state = _rename_text_tower(clip, weights.state)
    positions = f'visual.{tower.positions}'
    if positions in state:
        state[positions] = resize_position_embedding(
            state[positions], native_grid, tower.grid, tower.num_extra_positions
        )
    expected = clip.state_dict()
    for key in _CONTRASTIVE_SCALE:
        if key in expected and (key not in state or state[key].numel() != expected[key].numel()):
            state[key] = expected[key]
        elif key in expected:
            state[key] = state[key].reshape(expected[key].shape)
        else:
            state.pop(key, None)
    problems = _differences(state, expected)
    if problems:
        raise ValueError(
            f'{weights.origin} does not fit the model: {"; ".join(problems[:4])}'
            f'{f"; and {len(problems) - 4} more" if len(problems) > 4 else ""}. '
            'Check that `model_name` is the model that the file was made for.'
        )
    clip.load_state_dict(state)


def _rename_text_tower(clip: Any, state: dict[str, Tensor]) -> dict[str, Tensor]:
    if isinstance(clip, CustomTextCLIP):
        return dict(convert_to_custom_text_state_dict(state))
    return {key.removeprefix('text.'): value for key, value in state.items()}


def _differences(state: dict[str, Tensor], expected: dict[str, Tensor]) -> list[str]:
    problems = [
        f'{key} is {tuple(state[key].shape)} in the file and {tuple(value.shape)} in the model'
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    problems += [f'{key} is missing in the file' for key in expected if key not in state]
    return problems + [f'{key} is not in the model' for key in state if key not in expected]
