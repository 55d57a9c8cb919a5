"""Options that call an entry of a list by its name instead of its position."""

import difflib
from collections.abc import Mapping, Sequence
from typing import Any


def resolve_names(options: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """Replace names of list entries in dotted keys by their positions.

    `model.losses.bridging.part.weight` becomes `model.losses.bridging.0.weight` where `part` is the `name` of the first
    loss term; `custom_hooks.DomainBridgingHook.batch_size` finds a hook by its `type`, and
    `train_dataloader.dataset.sources.harbor.root` a source by its `domain`.

    Args:
        options: Values by dotted key; of two keys for one place the later counts.
        config: The config that they are laid over.

    Returns:
        The options, every list entry by position; keys that leave the config are left as they are from there on.

    Raises:
        ValueError: If a list has no entry of a name or at a position, or several of a name.
    """
    return {'.'.join(_resolve(name, config)): value for name, value in options.items()}


def check_places(options: Mapping[str, Any], config: Mapping[str, Any]) -> None:
    """Refuse options with no place in a config, which MMEngine would make one for.

    A key of its own may be new where something is built from its neighbors, that is, beside a `type` or a `name`:
    whatever is built refuses arguments that it does not take.

    Args:
        options: Values by dotted key.
        config: The config that they are to be laid over.

    Raises:
        ValueError: If there is no such place; says where the key leaves the config.
    """
    for name in options:
        node: Any = config
        *path, last = _resolve(name, config)
        for depth, part in enumerate(path):
            inner = _child(node, part)
            if inner is None:
                raise ValueError(_no_place(name, node, '.'.join(path[:depth]), part))
            node = inner
        if path and not _has(node, last) and not (isinstance(node, Mapping) and {'type', 'name'} & set(node)):
            raise ValueError(_no_place(name, node, '.'.join(path), last))


def _resolve(name: str, config: Mapping[str, Any]) -> list[str]:
    node: Any = config
    resolved: list[str] = []
    for part in name.split('.'):
        if _is_list(node) and not part.isdigit():
            part = str(_find(node, part, name, '.'.join(resolved)))
        elif _is_list(node) and not _has(node, part):
            raise ValueError(_no_place(name, node, '.'.join(resolved), part))
        resolved.append(part)
        node = _child(node, part)
    return resolved


def _find(entries: Sequence[Any], wanted: str, option: str, place: str) -> int:
    """Find the position of the entry of that name, or else of that domain (a source) or type."""
    for key in ('name', 'domain', 'type'):
        known = [entry.get(key) if isinstance(entry, Mapping) else None for entry in entries]
        if known.count(wanted) > 1:
            raise ValueError(f'Option {option}: {place} has several entries of {key} {wanted}; give a position from 0.')
        if wanted in known:
            return known.index(wanted)
    names = [str(e.get('name', e.get('domain', e.get('type')))) for e in entries if isinstance(e, Mapping)]
    raise ValueError(
        f'Option {option}: {place} has no entry named {wanted}{_hint(wanted, names)}; it has '
        f'{", ".join(names) or "none with a name"}.'
    )


def _no_place(option: str, node: Any, place: str, part: str) -> str:
    known = [str(key) for key in (node if isinstance(node, Mapping) else range(len(node)) if _is_list(node) else ())]
    has = f'it has {", ".join(known)}' if known else 'it has nothing inside'
    return f'Option {option}: {place or "the config"} has no {part}{_hint(part, known)}; {has}.'


def _hint(wanted: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(wanted, known, n=1)
    return f' (did you mean {close[0]}?)' if close else ''


def _is_list(node: Any) -> bool:
    return isinstance(node, Sequence) and not isinstance(node, str)


def _has(node: Any, part: str) -> bool:
    if isinstance(node, Mapping):
        return part in node
    return _is_list(node) and part.isdigit() and int(part) < len(node)


def _child(node: Any, part: str) -> Any:
    if not _has(node, part):
        return None
    return node[part] if isinstance(node, Mapping) else node[int(part)]
