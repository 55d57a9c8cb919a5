"""What the config file beside a weight file says about its model."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from open_clip.constants import HF_CONFIG_NAME

from cmdg_plugin.models.backbones.image_towers import OpenClipViT, find_family
from cmdg_plugin.models.backbones.weight_files import OPEN_CLIP_NAMES, TRANSFORMERS_NAMES, weight_files

_ACTIVATIONS = {'quick_gelu': True, 'gelu': False}
_BEFORE = 'The config beside the weights, {file}, '


@dataclass(frozen=True)
class WeightConfig:
    """What a config file says that weights themselves do not.

    Attributes:
        file: The config file.
        quick_gelu: Whether the model runs OpenAI's approximation of GELU.
        image_heads: Attention heads of its image tower; None where that is not CLIP's ViT.
        text_heads: Attention heads of its text tower.
    """

    file: Path
    quick_gelu: bool
    image_heads: int | None
    text_heads: int


def find_weight_config(weights: Path, *, transformers: bool) -> WeightConfig | None:
    """Read the config beside a weight file.

    It counts for files of the usual names and for the only weight file of its folder; beside any other it may be
    another model's.

    Args:
        weights: Weight file; links are followed, also backwards from a blob in the hub's cache.
        transformers: Whether the weights have transformers' names (then `config.json` describes them) or open_clip's
            (then `open_clip_config.json` does).

    Returns:
        What it says, or None if there is none.

    Raises:
        ValueError: If the config is damaged, or describes a model that is not an open_clip CLIP.
    """
    name = 'config.json' if transformers else HF_CONFIG_NAME
    usual = TRANSFORMERS_NAMES if transformers else OPEN_CLIP_NAMES
    for place in _places(weights):
        file = place.parent / name
        if file.is_file() and (place.name in usual or set(weight_files(place.parent)) <= {place}):
            content = _read(file)
            return _from_transformers(file, content) if transformers else _from_open_clip(file, content)
    return None


def hub_repository(weights: Path) -> str | None:
    """Name (`owner/name`) of the repository in whose cache a weight file lies, or None if it lies elsewhere."""
    for place in _places(weights):
        for part in place.parts:
            if part.startswith('models--') and part.count('--') == 2:
                return part.removeprefix('models--').replace('--', '/')
    return None


def _places(weights: Path) -> Iterator[Path]:
    """The file as it was named, what it links to, and what links to that in the hub's cache."""
    weights = weights.absolute()
    yield weights
    target = weights.resolve()
    if target != weights:
        yield target
    if target.parent.name == 'blobs':
        yield from (link for link in target.parent.parent.glob('snapshots/*/*') if link.resolve() == target)


def _read(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding='utf-8'))
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{_BEFORE.format(file=file)}is not valid JSON: {error}.') from error
    if not isinstance(content, dict):
        raise ValueError(f'{_BEFORE.format(file=file)}should hold a JSON object, but holds a {type(content).__name__}.')
    return content


def _section(content: dict[str, Any], name: str, file: Path) -> dict[str, Any]:
    section = content.get(name)
    if not isinstance(section, dict):
        raise ValueError(f'{_BEFORE.format(file=file)}has no section {name!r}.')
    return section


def _number(section: dict[str, Any], name: str, default: int, file: Path) -> int:
    number = section.get(name, default)
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError(f'{_BEFORE.format(file=file)}says {name} = {number!r}, which is not a positive integer.')
    return number


def _from_open_clip(file: Path, content: dict[str, Any]) -> WeightConfig:
    model = content['model_cfg'] if isinstance(content.get('model_cfg'), dict) else content
    vision, text = _section(model, 'vision_cfg', file), _section(model, 'text_cfg', file)
    quick_gelu = model.get('quick_gelu', False)
    if not isinstance(quick_gelu, bool):
        raise ValueError(f'{_BEFORE.format(file=file)}says quick_gelu = {quick_gelu!r}, which is not true or false.')
    heads = None
    if find_family(vision) is OpenClipViT:
        heads = _number(vision, 'width', 768, file) // _number(vision, 'head_width', 64, file)
    return WeightConfig(file, quick_gelu, heads, _number(text, 'heads', 8, file))


def _from_transformers(file: Path, content: dict[str, Any]) -> WeightConfig:
    if content.get('model_type') not in ('clip', None):
        raise ValueError(
            f'{_BEFORE.format(file=file)}describes a {content["model_type"]!r}; of transformers, only CLIP can be '
            "read. Take open_clip's files of that model (open_clip_model.safetensors)."
        )
    sections = []
    for name in ('vision_config', 'text_config'):
        # Old files hold a second section, which transformers lays over the first.
        section = {**_section(content, name, file), **(content.get(f'{name}_dict') or {})}
        activation = section.get('hidden_act', 'quick_gelu')
        if activation not in _ACTIVATIONS:
            raise ValueError(
                f'{_BEFORE.format(file=file)}says hidden_act = {activation!r} in {name}; open_clip has '
                f'{" and ".join(_ACTIVATIONS)}.'
            )
        sections.append(section)
    vision, text = sections
    quick_gelu, other = (_ACTIVATIONS[section.get('hidden_act', 'quick_gelu')] for section in sections)
    if quick_gelu != other:
        raise ValueError(f'{_BEFORE.format(file=file)}has another hidden_act for images than for texts.')
    return WeightConfig(
        file,
        quick_gelu,
        _number(vision, 'num_attention_heads', 12, file),
        _number(text, 'num_attention_heads', 8, file),
    )
