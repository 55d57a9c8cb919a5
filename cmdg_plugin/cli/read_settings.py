"""Which settings of a config anything reads."""

import inspect
from functools import cache

from mmengine.config import Config

from cmdg_plugin.cli.known_arguments import suggest
from cmdg_plugin.nested import walk

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

    Raises:
        ValueError: If the config has no such top-level setting, or only computes others from it while it is read.
    """
    top, *inner = option.split('.')
    known = settings_of_a_run()
    if top in known:
        return
    if top not in config:
        found = [place.split('.') for place, _ in walk(config.to_dict())]
        places = ['.'.join(place) for place in sorted(found, key=len) if place[-1] == top and place[0] in known]
        named = ' or '.join(places[:_SHOWN_PLACES])
        hint = f' (did you mean {named}?)' if named else suggest(top, [*known, *config])
        raise ValueError(f'--cfg-options {option}: the config has no {top}{hint}.')
    settings = {name: value for name, value in config.to_dict().items() if name in known}
    if not inner or (config[top] and any(node == config.to_dict()[top] for _, node in walk(settings))):
        raise ValueError(
            f'--cfg-options {option}: the config computes other values from {top} while it is read, so a change comes '
            'too late; set those values themselves, or change the file.'
        )
