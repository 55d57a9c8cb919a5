"""Where in a config an option's key leads: entries of lists by name, places that are there, places that may be made."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from cmdg_plugin.cli.known_arguments import list_arguments, suggest

_OVERLAYS = ('optim_wrapper', 'train_dataloader')


class Place(NamedTuple):
    """Where an option's value belongs.

    Args:
        path: Keys and positions that lead there.
        holds: What stands there; None for nothing.
        annotation: How what is built from its neighbors annotates it, where nothing stands there yet; None if unknown.
    """

    path: list[str]
    holds: Any = None
    annotation: Any = None


def find_place(name: str, config: Mapping[str, Any]) -> Place:
    """Find where an option belongs, or may be added.

    Entries of lists go by position or by name: `model.losses.bridging.part.weight` finds a loss term by its `name`,
    `train_dataloader.dataset.sources.harbor.root` a source by its `domain`, and
    `custom_hooks.DomainBridgingHook.batch_size` a hook by its `type`.

    Something new may be added where what is built from its neighbors takes an argument of that name; whatever is built
    in a way that is not known refuses arguments that it does not take by itself.

    Raises:
        ValueError: If there is no such place, or a list has several entries of a name; says where the key leaves the
            config, and what is nearest.
    """
    resolved = _resolve(name, config)
    node: Any = config
    for depth, part in enumerate(resolved):
        if _has(node, part):
            node = _child(node, part)
            continue
        if len(resolved) == 1:
            return Place(resolved)
        before = resolved[:depth]
        if len(before) == 3 and before[:2] == ['train_cfg', 'stages'] and part in _OVERLAYS and resolved[depth + 1 :]:
            # A stage's settings are laid over the run's.
            return Place(resolved, *find_place('.'.join(resolved[depth:]), config)[1:])
        return Place(resolved, None, _check_addition(name, node, before, part, config))
    return Place(resolved, node)


def _check_addition(option: str, node: Any, place: list[str], part: str, config: Mapping[str, Any]) -> Any:
    """Refuse a key that does not belong beside its neighbors; returns its annotation."""
    if not isinstance(node, Mapping) or not place:
        raise ValueError(_no_place(option, node, '.'.join(place), part))
    known = list_arguments(place, node, config.get('default_scope'))
    if part not in (known or ()) and suggest(part, node, cutoff=0.8):
        raise ValueError(_no_place(option, node, '.'.join(place), part))
    if known is None and not {'type', 'name'} & set(node):
        raise ValueError(_no_place(option, node, '.'.join(place), part))
    if known is not None and part not in known:
        raise ValueError(_no_place(option, {**node, **known}, '.'.join(place), part, 'takes'))
    return None if known is None else known[part]


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
        f'Option {option}: {place} has no entry named {wanted}{suggest(wanted, names)}; it has '
        f'{", ".join(names) or "none with a name"}.'
    )


def _no_place(option: str, node: Any, place: str, part: str, verb: str = 'has') -> str:
    known = list(node if isinstance(node, Mapping) else range(len(node)) if _is_list(node) else ())
    known = [str(key) for key in known]
    has = f'it {verb} {", ".join(known)}' if known else 'it has nothing inside'
    return f'Option {option}: {place or "the config"} has no {part}{suggest(part, known)}; {has}.'


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
