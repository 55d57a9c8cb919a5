"""What a checkpoint says of itself in `meta`, so that whoever reads it may take it as it was written."""

from collections.abc import Callable, Mapping
from typing import Any


def check_meta(meta: Any, path: object) -> None:
    """Refuse a `meta` that neither this plugin nor MMEngine writes; what nobody here reads is left alone.

    Args:
        meta: What the file holds under that name.
        path: The file, for the message.

    Raises:
        ValueError: If a field that is read here is something else.
    """
    if not isinstance(meta, Mapping):
        raise ValueError(_refusal(path, 'meta', 'a dictionary', meta))
    for name, (expected, fits) in _FIELDS.items():
        if name in meta and not fits(meta[name]):
            raise ValueError(_refusal(path, f'meta.{name}', expected, meta[name]))


def _refusal(path: object, name: str, expected: str, found: Any) -> str:
    shown = ' '.join(repr(found).split())
    return (
        f'{path} is damaged, or not of a training: its {name} should be {expected}, got '
        f'{shown[:80]}{"..." if len(shown) > 80 else ""}. Take another checkpoint, or make this one anew.'
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_position(value: Any) -> bool:
    """Whether it is what `describe_position` gives."""
    if not isinstance(value, Mapping) or not isinstance(value.get('stages'), list):
        return False
    pairs = value['stages']
    if not all(isinstance(one, list) and len(one) == 2 for one in pairs):
        return False
    named = all(isinstance(name, str) and _is_number(epochs) for name, epochs in pairs)
    return named and value.get('stage') in [name for name, _ in pairs] and _is_number(value.get('epochs_in_stage'))


def _is_data(value: Any) -> bool:
    prints = value.get('fingerprints', {}) if isinstance(value, Mapping) else None
    return isinstance(prints, Mapping) and all(isinstance(text, str) for pair in prints.items() for text in pair)


def _is_interpolation(value: Any) -> bool:
    return isinstance(value, Mapping) and isinstance(value.get('alpha'), float | int)


_FIELDS: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    'epoch': ('a whole number', _is_number),
    'iter': ('a whole number', _is_number),
    'seed': ('a whole number', lambda value: value is None or _is_number(value)),
    'world_size': ('a whole number', _is_number),
    'experiment_name': ('text', lambda value: isinstance(value, str)),
    'mmengine_version': ('text', lambda value: isinstance(value, str)),
    'cfg': ('text', lambda value: value is None or isinstance(value, str)),
    'quick_gelu': ('True or False', lambda value: isinstance(value, bool)),
    'dataset_meta': ('a dictionary, its `fingerprints` text by source', _is_data),
    'stage_position': ('a stage with its place among all', _is_position),
    'interpolation': ('a dictionary with its `alpha`', _is_interpolation),
}
