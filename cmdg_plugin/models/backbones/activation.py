"""Which of the two activations a CLIP was trained with: GELU, or OpenAI's approximation of it (QuickGELU).

They hardly differ, and nothing fails with the wrong one: its features are only worse. Weights do not show it.
"""

from typing import Any

from open_clip import list_pretrained_tags_by_model
from open_clip.pretrained import get_pretrained_cfg

from cmdg_plugin.models.backbones.image_towers import OpenClipViT, find_family
from cmdg_plugin.models.backbones.weights import PretrainedWeights
from cmdg_plugin.saying import say

_NAMES = {True: 'QuickGELU', False: 'GELU'}
_CHOOSE = (
    'Say which by `quick_gelu=True` or `quick_gelu=False` in the backbone '
    '(--cfg-options model.backbone.quick_gelu=True); open_clip and transformers tell it in the config that they keep '
    'beside the weights (open_clip_config.json: quick_gelu; config.json: hidden_act).'
)


def choose_activation(
    model_name: str, config: dict[str, Any], weights: PretrainedWeights | None, quick_gelu: bool | None
) -> bool:
    """Tell whether a model runs QuickGELU, and say in the log of its weights why.

    Args:
        model_name: Name of the model; one that ends in '-quickgelu' has a configuration that says so.
        config: Its configuration in open_clip's format.
        weights: What will be loaded, or None for random weights.
        quick_gelu: What the user says, who has the last word.

    Raises:
        ValueError: If weights and model contradict each other, or nothing tells; it says how to choose.
    """
    stated = config.get('quick_gelu')
    if weights is None:
        return bool(stated) if quick_gelu is None else quick_gelu
    _check_heads(model_name, config, weights)
    chosen, reason = weights.quick_gelu, f'as {weights.told_by} says'
    if quick_gelu is not None:
        reason = f'as quick_gelu={quick_gelu} says'
        if chosen not in (None, quick_gelu):
            reason += f', against {weights.told_by} ({_NAMES[chosen]})'
        chosen = quick_gelu
    elif chosen is None:
        chosen, reason = _told_by_the_model(model_name, stated, weights)
    elif stated not in (None, chosen):
        raise ValueError(
            f'{weights.origin} was trained with {_NAMES[chosen]}, as {weights.told_by} says, but {model_name!r} is a '
            f'model with {_NAMES[stated]}. {_CHOOSE}'
        )
    say(f'Weights of {model_name}: {weights.origin}, run with {_NAMES[chosen]}, {reason}.')
    return chosen


def _told_by_the_model(model_name: str, stated: bool | None, weights: PretrainedWeights) -> tuple[bool, str]:
    """Take what the model's configuration says, unless open_clip knows weights of this model that say otherwise."""
    tags: dict[bool, list[str]] = {True: [], False: []}
    for tag in list_pretrained_tags_by_model(model_name):
        tags[bool(get_pretrained_cfg(model_name, tag).get('quick_gelu'))].append(tag)
    if stated is not None or not (tags[True] or weights.transformers):
        return bool(stated), 'as the configuration of the model says'
    known = ''.join(
        f' {_NAMES[which]} is that of the tags {", ".join(names[:4])}{", ..." if len(names) > 4 else ""}.'
        for which, names in tags.items()
        if names
    )
    raise ValueError(
        f'Nothing tells whether {weights.origin} was trained with QuickGELU or with GELU, and the wrong one gives '
        f'worse features without an error.{known} {_CHOOSE}'
    )


def _check_heads(model_name: str, config: dict[str, Any], weights: PretrainedWeights) -> None:
    """Refuse weights made for another number of attention heads, which their shapes do not show."""
    beside = weights.config
    if beside is None:
        return
    vision, text = config['vision_cfg'], config['text_cfg']
    pairs = {'texts': (beside.text_heads, text.get('heads', 8))}
    if beside.image_heads is not None and find_family(vision) is OpenClipViT:
        pairs['images'] = (beside.image_heads, vision.get('width', 768) // vision.get('head_width', 64))
    for what, (theirs, ours) in pairs.items():
        if theirs != ours:
            raise ValueError(
                f'{weights.origin} does not fit {model_name!r}: {beside.file} says {theirs} attention heads for '
                f'{what}, the model has {ours}. Check that `model_name` is the model that the file was made for.'
            )
