"""What a config that came with a file may ask for: registered parts, and none that fetch or compile something else.

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
_KIND_BELOW = {'init_cfg': 'WEIGHT_INITIALIZERS', 'augments': 'BATCH_AUGMENTS'}
# Registered, but what they build is decided elsewhere: a hub, another file, a package of that name.
_FETCHES = (
    'mmpretrain.models.multimodal',
    'mmpretrain.models.utils.huggingface',
    'mmpretrain.models.classifiers.hugging_face',
    'mmpretrain.models.classifiers.timm',
    'mmpretrain.models.backbones.timm_backbone',
    'mmpretrain.utils.dependency',
    'transformers',
)
_TRUST = (
    'If you trust its author as you trust a program, use init_model(..., trust=True), or give the config as a file.'
)


def restrict_to_harmless(settings: Mapping[str, Any], origin: str) -> dict[str, Any]:
    """Keep what inference builds from a config, after checking that it may be built.

    Args:
        settings: The whole config, literals only.
        origin: Where it comes from, for messages.

    Returns:
        `default_scope`, `model`, and `test_dataloader` with its pipeline. Options of `torch.compile` are left out: they
        name programs that are run, and change nothing about the features.

    Raises:
        ValueError: If anything in them names what is not registered; says where.
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
    """Walks through one config.

    Args:
        origin: Where the config comes from, for messages.
    """

    def __init__(self, origin: str) -> None:
        self.origin = origin

    def harmless(self, node: Any, kind: str, scope: str, place: str) -> Any:
        """Return a copy of a part of the config, built in some scope, that holds nothing harmful."""
        if isinstance(node, Mapping):
            scope = self._check(node, kind, scope, place)
            return {
                key: self.harmless(value, _KIND_BELOW.get(str(key), kind), scope, f'{place}.{key}')
                for key, value in node.items()
                if key != 'compile'
            }
        if isinstance(node, (list, tuple)):
            return type(node)(self.harmless(each, kind, scope, f'{place}.{at}') for at, each in enumerate(node))
        return node

    def _check(self, node: Mapping[Any, Any], kind: str, scope: str, place: str) -> str:
        """Refuse a node that names something harmful; returns the scope that what is inside it is built in."""
        if node.get('trust_remote_code'):
            raise self._refusal(f'{place} asks for trust_remote_code')
        scope = node.get('_scope_') or scope
        if scope not in _SCOPES:
            raise self._refusal(f'{place} wants the scope {scope!r}')
        if 'type' not in node:
            return scope
        name = node['type']
        built = _look_up(name, kind, scope) if isinstance(name, str) else None
        if built is None:
            raise self._refusal(f'{place}.type is {name!r}, which is not registered in the scopes {", ".join(_SCOPES)}')
        if getattr(built, '__module__', '').startswith(_FETCHES):
            raise self._refusal(f'{place}.type is {name!r}, which loads a model from elsewhere')
        # These build their parts in the plugin's scope, whatever the config's own is.
        return 'cmdg_plugin' if isinstance(built, type) and issubclass(built, CMDGReID) else scope

    def _refusal(self, what: str) -> ValueError:
        return ValueError(
            f'{self.origin} comes with a config that could run code of its author: {what}. Nothing was built. {_TRUST}'
        )


def _look_up(name: str, kind: str, scope: str) -> Any:
    """Find what MMEngine would build, without importing what is not registered; None if there is nothing."""
    prefix, dot, rest = name.partition('.')
    if dot:
        # Only in that scope itself; a name with more dots is none that is registered.
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
