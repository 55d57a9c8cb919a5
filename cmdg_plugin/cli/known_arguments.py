"""Which settings each place of a config takes: the arguments of what MMEngine builds there."""

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any

from mmengine.registry import Registry

from cmdg_plugin.nested import walk

_ALWAYS = ('type', '_scope_', '_delete_')
_DATALOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
# What MMEngine's runner itself takes out of the settings of a kind.
_TAKEN_FROM = {
    'OPTIM_WRAPPERS': ('constructor', 'optimizer', 'paramwise_cfg'),
    'HOOKS': ('priority',),
    'PARAM_SCHEDULERS': ('convert_to_iter_based',),
    'DATALOADER': ('dataset', 'sampler', 'batch_sampler', 'collate_fn', 'worker_init_fn', 'num_batch_per_epoch'),
}
_UNTYPED = {
    'auto_scale_lr': ('enable', 'base_batch_size'),
    'env_cfg': ('cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'),
    'randomness': ('seed', 'diff_rank_seed', 'deterministic'),
    'val_cfg': ('fp16',),
    'test_cfg': ('fp16',),
}
# Settings of these names are built from the registry; what lies inside of a place belongs to it up to the next name.
_BUILT_FROM = {
    'model': 'MODELS',
    'dataset': 'DATASETS',
    **dict.fromkeys(('sources', 'targets', 'source'), 'SOURCES'),
    **dict.fromkeys(('pipeline', 'transforms'), 'TRANSFORMS'),
    **dict.fromkeys(('sampler', 'batch_sampler'), 'DATA_SAMPLERS'),
    **dict.fromkeys(('custom_hooks', 'default_hooks'), 'HOOKS'),
    **dict.fromkeys(('val_evaluator', 'test_evaluator'), 'METRICS'),
    **dict.fromkeys(('train_cfg', 'val_cfg', 'test_cfg'), 'LOOPS'),
    'optim_wrapper': 'OPTIM_WRAPPERS',
    'optimizer': 'OPTIMIZERS',
    'param_scheduler': 'PARAM_SCHEDULERS',
    'visualizer': 'VISUALIZERS',
    'vis_backends': 'VISBACKENDS',
    'log_processor': 'LOG_PROCESSORS',
}
# Read by code of their own, which says what is wrong in them.
_OWN_CHECKS = ('losses', 'collate_fn', 'worker_init_fn', 'metainfo')


def list_arguments(place: Sequence[str], settings: Any, scope: str | None = None) -> dict[str, Any] | None:
    """List what may stand in a place of a config.

    Args:
        place: Keys that lead there.
        settings: What stands there.
        scope: The config's default scope.

    Returns:
        Annotation by name of each argument, `inspect.Parameter.empty` for what has none; None where anything may stand.
    """
    if len(place) == 1 and place[0] in _UNTYPED:
        return dict.fromkeys((*_UNTYPED[place[0]], *_ALWAYS), inspect.Parameter.empty)
    if len(place) == 1 and place[0] in _DATALOADERS:
        from torch.utils.data import DataLoader  # here, so that a tool's -h answers at once

        return _extend(_signature(DataLoader.__init__), 'DATALOADER')
    if len(place) == 3 and place[:2] == ['train_cfg', 'stages']:
        from cmdg_plugin.engine.stages import Stage

        return {field.name: inspect.Parameter.empty for field in fields(Stage) if field.name != 'start'}
    registry = _find_registry(place, scope)
    if registry is None or not isinstance(settings, Mapping) or not isinstance(settings.get('type'), str):
        return None
    built = _find_class(registry, settings['type'], scope)
    arguments = None if built is None else _arguments_of(built)
    return None if arguments is None else _extend(arguments, _kind(place))


def check_arguments(config: Mapping[str, Any]) -> None:
    """Look for misspelled types and arguments in all of a config that MMEngine builds, before it builds anything.

    Raises:
        ValueError: If something takes no argument of that name, or a type is nearly a registered one; names the place.
    """
    scope = config.get('default_scope')
    roots = {place for place in _BUILT_FROM if place in config} | (set(_DATALOADERS) & set(config))
    for root in sorted(roots):
        for dotted, settings in walk(config[root], root):
            place = dotted.split('.')
            if not isinstance(settings, Mapping) or set(place) & set(_OWN_CHECKS):
                continue
            _check_type(place, settings, scope)
            known = list_arguments(place, settings, scope)
            for name in settings:
                if known is not None and name not in known:
                    kind = settings['type'] if isinstance(settings.get('type'), str) else place[-1]
                    raise ValueError(
                        f'The config has {".".join(place)}.{name}, which {kind} does not take{suggest(name, known)}; '
                        f'it takes {", ".join(sorted(set(known) - set(_ALWAYS)))}.'
                    )


def suggest(wanted: str, known: Sequence[str] | Mapping[str, Any], cutoff: float = 0.6) -> str:
    """Phrase the known name that is nearest to one that is not known; empty if none is near."""
    spelled = {str(name).lower(): str(name) for name in known}
    close = difflib.get_close_matches(str(wanted).lower(), spelled, n=1, cutoff=cutoff)
    return f' (did you mean {spelled[close[0]]}?)' if close else ''


def _check_type(place: Sequence[str], settings: Mapping[str, Any], scope: str | None) -> None:
    registry, name = _find_registry(place, scope), settings.get('type')
    if registry is None or not isinstance(name, str) or _find_class(registry, name, scope) is not None:
        return
    prefix, _, bare = name.rpartition('.')
    with registry.switch_scope_and_registry(prefix or scope) as inner:
        near = suggest(bare, registered_names(inner), cutoff=0.8)
    # A name that resembles none may be of a kind that this table does not know; what builds it will say so.
    if near:
        raise ValueError(f'The config has {".".join(place)}.type={name!r}: there is no such {registry.name}{near}.')


def registered_names(registry: Registry) -> list[str]:
    """List what can be built by an unprefixed name: what a registry and those above it hold."""
    names: list[str] = []
    node: Registry | None = registry
    while node is not None:
        node.import_from_location()
        names += list(node.module_dict)
        node = node.parent
    return names


def _find_registry(place: Sequence[str], scope: str | None) -> Registry | None:
    from mmengine import registry as root

    from cmdg_plugin import registry as own

    if set(place) & set(_OWN_CHECKS):
        return None
    kind = _kind(place)
    if not kind:
        return None
    # Sources have a registry of their own in any scope.
    return getattr(own if kind == 'SOURCES' or (scope == 'cmdg_plugin' and hasattr(own, kind)) else root, kind)


def _kind(place: Sequence[str]) -> str:
    """What is built in a place, as the name of its registry; empty if that is not known."""
    return next((_BUILT_FROM[part] for part in reversed(place) if part in _BUILT_FROM), '')


def _find_class(registry: Registry, name: str, scope: str | None) -> Callable[..., Any] | None:
    if registry.parent is None and registry.scope == 'cmdg_plugin':
        return registry.get(name)
    with registry.switch_scope_and_registry(scope) as inner:
        return inner.get(name)


def _arguments_of(built: Callable[..., Any]) -> dict[str, Any] | None:
    """Arguments of a class, of those above it, too, where it passes the rest on; None where it takes any."""
    if not inspect.isclass(built):
        return None
    arguments: dict[str, Any] = {}
    # object, the last of them, takes whatever nobody above it asked for.
    for parent in built.__mro__[:-1]:
        if '__init__' not in vars(parent):
            continue
        arguments = {**_signature(vars(parent)['__init__']), **arguments}
        kinds = {parameter.kind for parameter in inspect.signature(vars(parent)['__init__']).parameters.values()}
        if inspect.Parameter.VAR_KEYWORD not in kinds:
            return arguments
    return None


def _signature(function: Callable[..., Any]) -> dict[str, Any]:
    variable = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    parameters = inspect.signature(function).parameters.items()
    return {name: p.annotation for name, p in parameters if name != 'self' and p.kind not in variable}


def _extend(arguments: Mapping[str, Any], kind: str) -> dict[str, Any]:
    extra = (*_TAKEN_FROM.get(kind, ()), *_ALWAYS)
    return {**dict.fromkeys(extra, inspect.Parameter.empty), **arguments}
