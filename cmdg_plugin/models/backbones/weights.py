"""Finding, reading and fitting pretrained CLIP weights, without running code that a weight file may hold."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from open_clip import CustomTextCLIP, list_pretrained_tags_by_model
from open_clip.model import convert_to_custom_text_state_dict
from open_clip.pretrained import download_pretrained, get_pretrained_cfg
from torch import Tensor

from cmdg_plugin.models.backbones.image_towers import ImageTower
from cmdg_plugin.models.backbones.position_embedding import resize_position_embedding
from cmdg_plugin.models.backbones.shipped_models import SHIPPED_MODELS, check_vocabulary, shipped_weights
from cmdg_plugin.models.backbones.transformers_clip import convert_transformers, is_transformers
from cmdg_plugin.models.backbones.weight_config import WeightConfig, find_weight_config, hub_repository
from cmdg_plugin.models.backbones.weight_files import find_weight_file, read_tensors
from cmdg_plugin.saying import first_of

_OPENAI_EXTRAS = ('input_resolution', 'context_length', 'vocab_size')
_CONTRASTIVE_SCALE = ('logit_scale', 'logit_bias')
_CONSTANTS = ('attn_mask', 'position_ids')
"""Ends of names under which some programs save what every model computes anew."""


@dataclass
class PretrainedWeights:
    """Weights of a CLIP model, read from a file.

    Attributes:
        state: Tensors by the name that open_clip gives them.
        quick_gelu: Whether they were trained with OpenAI's approximation of GELU; None where that is not known.
        origin: File they come from, for messages.
        told_by: What says so, for messages.
        config: The config beside the file, if there is one.
        transformers: Whether the file has transformers' names.
        vocabulary: SHA-256 of the vocabulary that they were trained with, where the file says it.
    """

    state: dict[str, Tensor]
    quick_gelu: bool | None
    origin: Path
    told_by: str = ''
    config: WeightConfig | None = None
    transformers: bool = False
    vocabulary: str | None = None


def read_pretrained(model_name: str, pretrained: str | Path) -> PretrainedWeights:
    """Read pretrained weights, named by a tag, a file or a folder.

    Args:
        model_name: Name of the model, which decides what tags there are.
        pretrained: Tag of a shipped model ('islands'), an open_clip tag ('openai', 'laion2b_s34b_b88k', ...; fetched
            on first use), a local file in OpenAI's, open_clip's or transformers' format, or a folder that holds one. A
            tag goes before a file of the same name.

    Raises:
        FileNotFoundError: If there is neither such a tag nor such a file, or if a tag's file cannot be fetched.
        ValueError: If the file is damaged, is not a CLIP checkpoint, holds more than tensors, or was trained with
            another vocabulary than the model's.
    """
    shipped = shipped_weights(model_name, str(pretrained))
    tag = get_pretrained_cfg(model_name, str(pretrained))
    if shipped is not None:
        return read_weight_file(shipped)
    if tag:
        weights = read_weight_file(_download(model_name, str(pretrained), tag))
        weights.quick_gelu, weights.told_by = bool(tag.get('quick_gelu', False)), f'the tag {str(pretrained)!r}'
        return weights
    path = Path(pretrained).expanduser()
    if not str(pretrained).strip() or not os.path.exists(path):  # which answers to names that no file can have
        shipped_tags = SHIPPED_MODELS[model_name].weights if model_name in SHIPPED_MODELS else ()
        tags = [*shipped_tags, *list_pretrained_tags_by_model(model_name)]
        raise FileNotFoundError(
            f'pretrained={str(pretrained)!r} is neither a file nor a tag of {model_name!r}, nor a folder. '
            f'Tags of this model: {", ".join(tags) or "none"}.'
        )
    weights = read_weight_file(find_weight_file(path) if path.is_dir() else path)
    if weights.vocabulary is not None:
        check_vocabulary(model_name, weights.vocabulary, weights.origin)
    if weights.quick_gelu is None:
        _ask_the_tags(weights, model_name)
    return weights


def _download(model_name: str, tag: str, config: dict) -> Path:
    try:
        return Path(download_pretrained(config))
    except (OSError, RuntimeError, ValueError) as error:
        raise FileNotFoundError(
            f'The weights {tag!r} of {model_name!r} could not be fetched ({error}). Without network, fetch the file '
            'elsewhere, with the config beside it if there is one, and give its path as `pretrained`.'
        ) from error


def _ask_the_tags(weights: PretrainedWeights, model_name: str) -> None:
    """Say of a file which a tag fetches what the tag would have said."""
    repository = hub_repository(weights.origin)
    for tag in list_pretrained_tags_by_model(model_name):
        known = get_pretrained_cfg(model_name, tag)
        fetched = repository is not None and known.get('hf_hub', '').rpartition('/')[0] == repository
        named = 'file' in known and Path(known['file']).resolve() == weights.origin.resolve()
        if fetched or named:
            weights.quick_gelu = bool(known.get('quick_gelu', False))
            weights.told_by = f'the tag {tag!r}, which fetches this file'
            return


def read_weight_file(path: Path) -> PretrainedWeights:
    """Read a weight file and what it and the config beside it say about the activation.

    Returns:
        The weights in open_clip's names.

    Raises:
        ValueError: If the file or the config is damaged, or is not of a CLIP.
    """
    state, metadata = read_tensors(path)
    openai = any(key in state for key in _OPENAI_EXTRAS)
    transformers = is_transformers(state)
    state = {key: value for key, value in state.items() if key not in _OPENAI_EXTRAS and not key.endswith(_CONSTANTS)}
    if transformers:
        state = convert_transformers(state)
    if not any(key.startswith('visual.') for key in state):
        raise ValueError(
            f'{path} holds no CLIP in the format of open_clip, OpenAI or transformers: it has no image tower '
            f'("visual."), but for instance {", ".join(list(state)[:3]) or "nothing"}. '
            'For a checkpoint of a whole training run use `load_from` in the config instead of `pretrained`.'
        )
    weights = PretrainedWeights(state, None, origin=path, transformers=transformers)
    weights.vocabulary = metadata.get('vocabulary')
    weights.config = find_weight_config(path, transformers=transformers)
    if openai:
        weights.quick_gelu, weights.told_by = True, "OpenAI's own file"
    elif metadata.get('quick_gelu') in ('true', 'false'):
        weights.quick_gelu, weights.told_by = metadata['quick_gelu'] == 'true', "the file's own header"
    elif weights.config is not None:
        weights.quick_gelu, weights.told_by = weights.config.quick_gelu, f'{weights.config.file.name} beside them'
    return weights


def load_weights(clip: Any, weights: PretrainedWeights, tower: ImageTower, native_grid: tuple[int, int]) -> None:
    """Put weights into a model, with the position embeddings resized to its image size.

    The contrastive scale and bias are left aside where they do not fit; the method does not use them.

    Args:
        clip: An `open_clip.CLIP` or `open_clip.CustomTextCLIP`.
        weights: Weights of the same model at any image size.
        tower: Reader of its image tower, which knows where the position embeddings are.
        native_grid: Height and width of the token grid at the model configuration's own image size.

    Raises:
        ValueError: If the weights belong to another model, and what differs; or if they are not finite.
    """
    state = _rename_text_tower(clip, weights.state)
    positions = f'visual.{tower.positions}'
    if positions in state:
        state[positions] = resize_position_embedding(
            state[positions], native_grid, tower.grid, tower.num_extra_positions
        )
    expected = clip.state_dict()
    for key in _CONTRASTIVE_SCALE:
        saved = state.pop(key, None)
        if key in expected:
            own = expected[key]
            state[key] = own if saved is None or saved.numel() != own.numel() else saved.reshape(own.shape)
    problems = _differences(state, expected)
    if problems:
        raise ValueError(
            f'{weights.origin} does not fit the model: {first_of(problems, 4, "; ")}. '
            'Check that `model_name` is the model that the file was made for.'
        )
    broken = [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise ValueError(f'{weights.origin} is damaged: NaN or infinite numbers in {first_of(broken)}.')
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
