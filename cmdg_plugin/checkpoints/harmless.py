"""What a config that came with a file may ask for: registered parts, and only such as do nothing but calculate.

MMEngine's registry builds `type='os.system'` by importing `os` and calling `system`; a name without a dot that is not
registered is imported as a module, also from the current folder. So each `type` is looked up here first, by the same
rules, but never imported.
"""

from collections.abc import Mapping
from types import ModuleType
from typing import Any

import mmpretrain.registry
from mmengine import registry as mmengine_registry
from mmengine.registry import Registry

import cmdg_plugin.registry
from cmdg_plugin.models.cmdg_reid import CMDGReID

_SCOPES: dict[str, ModuleType] = {
    'cmdg_plugin': cmdg_plugin.registry,
    'mmengine': mmengine_registry,
    'mmpretrain': mmpretrain.registry,
}
_KIND_BELOW = {'augments': 'BATCH_AUGMENTS'}
# What is registered and may be built: layers and transforms that were read and do no more than calculate. Not the rest,
# a part of which unpickles files, asks hubs, or builds things of other kinds out of its arguments.
_HEADS = 'cls conformer deit efficientformer levit linear margin multi_label multi_task stacked vig vision_transformer'
_BUILT = (
    'cmdg_plugin.models',
    'cmdg_plugin.datasets.transforms',
    'mmengine.model.base_m',
    'mmcv.cnn.bricks',
    'mmcv.transforms',
    'torch.nn',
    'mmpretrain.datasets.transforms',
    'mmpretrain.models.backbones',
    'mmpretrain.models.classifiers.image',
    *(f'mmpretrain.models.heads.{head}_' for head in _HEADS.split()),
    'mmpretrain.models.losses',
    'mmpretrain.models.necks',
    'mmpretrain.models.utils',
)
_NOT_BUILT = ('mmpretrain.models.backbones.timm_backbone', 'mmpretrain.models.utils.huggingface')
# Weights are those of the checkpoint, so how others began does not matter; the compiler's options name programs that
# are run, and change nothing about the features.
_LEFT_OUT = ('compile', 'init_cfg')
_STORES = ('backend_args', 'file_client_args')
_HARMLESS_STORES = ({}, *({'backend': name} for name in ('local', 'disk', 'http')))
_TRUST = (
    'If you trust its author as you trust a program, use init_model(..., trust=True), or give the config as a file.'
)


def restrict_to_harmless(settings: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Keep what inference builds from a config, after checking that it may be built.

    Returns:
        `default_scope`, `model`, and `test_dataloader` with its pipeline, without options of `torch.compile` and
        without what tells how weights begin.

    Raises:
        ValueError: If anything in them names what is not registered, or what does more than calculate; says where.
    """
    scope = settings.get('default_scope') or 'cmdg_plugin'
    if scope not in _SCOPES:
        raise ValueError(f'{origin} wants the scope {scope!r}; known are {", ".join(_SCOPES)}. {_TRUST}')
    model = settings.get('model')
    if not isinstance(model, Mapping):
        raise ValueError(f'The config in {origin} has no model: give the config it was trained with.')
    guard = _Guard(origin)
    kept: dict[str, Any] = {'default_scope': scope, 'model': guard.harmless(model, 'MODELS', scope, 'model')}
    pipeline: Any = settings
    for key in ('test_dataloader', 'dataset', 'pipeline'):
        pipeline = pipeline.get(key) if isinstance(pipeline, Mapping) else None
    if pipeline:
        place = 'test_dataloader.dataset.pipeline'
        kept['test_dataloader'] = {'dataset': {'pipeline': guard.harmless(pipeline, 'TRANSFORMS', scope, place)}}
    return kept


class _Guard:
    """Walks through one config."""

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def harmless(self, node: Any, kind: str, scope: str, place: str) -> Any:
        """Return a copy of a part of the config, built in some scope, that holds nothing harmful."""
        if isinstance(node, Mapping):
            scope = self._check(node, kind, scope, place)
            return {
                key: self.harmless(value, _KIND_BELOW.get(str(key), kind), scope, f'{place}.{key}')
                for key, value in node.items()
                if key not in _LEFT_OUT
            }
        if isinstance(node, (list, tuple)):
            return type(node)(self.harmless(each, kind, scope, f'{place}.{at}') for at, each in enumerate(node))
        return node

    def _check(self, node: Mapping[Any, Any], kind: str, scope: str, place: str) -> str:
        """Refuse a node that names something harmful; returns the scope that what is inside it is built in."""
        self._check_arguments(node, place)
        scope = node.get('_scope_') or scope
        if scope not in _SCOPES:
            raise self._refusal(f'{place} wants the scope {scope!r}')
        if 'type' not in node:
            return scope
        name = node['type']
        built = _look_up(name, kind, scope) if isinstance(name, str) else None
        if built is None:
            raise self._refusal(f'{place}.type is {name!r}, which is not registered in the scopes {", ".join(_SCOPES)}')
        if not _only_calculates(built):
            raise self._refusal(
                f'{place}.type is {name!r}, which is not among the layers and transforms that are known to do nothing '
                'but calculate'
            )
        # These build their parts in the plugin's scope, whatever the config's own is.
        return 'cmdg_plugin' if isinstance(built, type) and issubclass(built, CMDGReID) else scope

    def _check_arguments(self, node: Mapping[Any, Any], place: str) -> None:
        """Refuse plain arguments that what is allowed to be built would evaluate, import or open."""
        for store in _STORES:
            if node.get(store) and node[store] not in _HARMLESS_STORES:
                raise self._refusal(f'{place}.{store} is {node[store]!r}, for which programs are imported')
        if isinstance(node.get('dtype'), str) and not node['dtype'].isidentifier():
            # mmpretrain evaluates it as Python.
            raise self._refusal(f'{place}.dtype is {node["dtype"]!r}, which is not a type of numbers')
        if isinstance(node.get('margins'), str):
            raise self._refusal(f'{place}.margins is {node["margins"]!r}, a file')

    def _refusal(self, what: str) -> ValueError:
        return ValueError(
            f'{self.origin} comes with a config that could run code of its author: {what}. Nothing was built. {_TRUST}'
        )


def _only_calculates(built: Any) -> bool:
    # torchvision's transforms are registered as partial calls of a wrapper.
    module = getattr(getattr(built, 'func', built), '__module__', '')
    return module.startswith(_BUILT) and not module.startswith(_NOT_BUILT)


def _look_up(name: str, kind: str, scope: str) -> Any:
    """Find what MMEngine would build, without importing what is not registered; None if there is nothing."""
    prefix, dot, rest = name.partition('.')
    if dot:
        # Only in that scope itself; a name with more dots is never registered.
        return _registered(prefix, kind).get(rest)
    ancestors = (scope, 'mmengine')
    return next((_registered(each, kind)[name] for each in ancestors if name in _registered(each, kind)), None)


def _registered(scope: str, kind: str) -> dict[str, Any]:
    """What a scope has registered of a kind; nothing for a scope that is not known."""
    registry: Registry | None = getattr(_SCOPES.get(scope), kind, None)
    if registry is None:
        return {}
    registry.import_from_location()
    return registry.module_dict
