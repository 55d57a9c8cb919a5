"""Which settings of a config anything reads."""

import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from mmengine.config import Config

from cmdg_plugin.cli.known_arguments import suggest

_BESIDE_ARGUMENTS = (
    'compile',
    'custom_imports',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
)
_SHOWN_PLACES = 3


@cache
def settings_of_a_run() -> frozenset[str]:
    """Names of the top-level settings that MMEngine's runner reads."""
    from mmengine.runner import Runner  # here, so that a tool's -h answers at once

    return frozenset({*inspect.signature(Runner.__init__).parameters, *_BESIDE_ARGUMENTS} - {'self', 'cfg'})


def check_is_read(option: str, config: Config) -> None:
    """Refuse an option that would be accepted and ignored.

    Args:
        option: Its dotted key.
        config: The config that it is to be laid over.

    Raises:
        ValueError: If the config has no such top-level setting, or only computes others from it while it is read.
    """
    top, *inner = option.split('.')
    known = settings_of_a_run()
    if top in known:
        return
    if top not in config:
        places = [place for place in _places_of(top, config.to_dict()) if place.split('.')[0] in known][:_SHOWN_PLACES]
        hint = f' (did you mean {" or ".join(places)}?)' if places else suggest(top, [*known, *config])
        raise ValueError(f'--cfg-options {option}: the config has no {top}{hint}.')
    settings = {name: value for name, value in config.to_dict().items() if name in known}
    if not inner or (config[top] and _stands_in(config.to_dict()[top], settings)):
        raise ValueError(
            f'--cfg-options {option}: the config computes other values from {top} while it is read, so a change comes '
            'too late; set those values themselves, or change the file.'
        )


def _places_of(name: str, node: Any, place: str = '') -> Iterator[str]:
    """Dotted keys that end in a name, the shortest first."""
    level = [(place, node)]
    while level:
        below = []
        for prefix, settings in level:
            items = settings.items() if isinstance(settings, Mapping) else enumerate(settings)
            for key, value in items:
                dotted = f'{prefix}.{key}'.lstrip('.')
                if key == name:
                    yield dotted
                if isinstance(value, (Mapping, list, tuple)):
                    below.append((dotted, value))
        level = below


def _stands_in(value: Any, node: Any) -> bool:
    inner = list(node.values()) if isinstance(node, Mapping) else node if isinstance(node, (list, tuple)) else ()
    return any(entry == value or _stands_in(value, entry) for entry in inner)
