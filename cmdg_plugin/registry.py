"""Child registries in scope `cmdg_plugin`; importing this module imports nothing heavy of the package.

MMEngine imports it whenever a config says `type='cmdg_plugin.X'`. The `locations` are imported on the first look-up, so
neither `custom_imports` nor an import by hand is needed.
"""

from collections.abc import Mapping
from typing import Any

from mmengine import registry as root
from mmengine.registry import Registry

from cmdg_plugin.checkpoints.reading import register_reader
from cmdg_plugin.checkpoints.safe_classes import trust_checkpoint_classes

# Every use of the plugin passes here, also another project's test script that reads one of our checkpoints.
trust_checkpoint_classes()
register_reader()

_SCOPE = 'cmdg_plugin'


def _child(name: str, parent: Registry, *locations: str) -> Registry:
    return Registry(name, parent=parent, scope=_SCOPE, locations=[f'{_SCOPE}.{place}' for place in locations])


MODELS = _child('model', root.MODELS, 'models')
DATASETS = _child('dataset', root.DATASETS, 'datasets')
DATA_SAMPLERS = _child('data sampler', root.DATA_SAMPLERS, 'datasets.samplers')
TRANSFORMS = _child('transform', root.TRANSFORMS, 'datasets.transforms')
FUNCTIONS = _child('function', root.FUNCTIONS, 'datasets', 'engine')
METRICS = _child('metric', root.METRICS, 'evaluation')
HOOKS = _child('hook', root.HOOKS, 'engine')
LOOPS = _child('loop', root.LOOPS, 'engine')
PARAM_SCHEDULERS = _child('parameter scheduler', root.PARAM_SCHEDULERS, 'engine')
LOG_PROCESSORS = _child('log processor', root.LOG_PROCESSORS, 'engine')
OPTIM_WRAPPERS = _child('optimizer wrapper', root.OPTIM_WRAPPERS, 'engine')
OPTIM_WRAPPER_CONSTRUCTORS = _child('optimizer wrapper constructor', root.OPTIM_WRAPPER_CONSTRUCTORS, 'engine')

# Kinds that the plugin adds nothing to: without them here, MMEngine warns at each look-up from our scope.
RUNNERS = _child('runner', root.RUNNERS)
MODEL_WRAPPERS = _child('model wrapper', root.MODEL_WRAPPERS)
OPTIMIZERS = _child('optimizer', root.OPTIMIZERS)
WEIGHT_INITIALIZERS = _child('weight initializer', root.WEIGHT_INITIALIZERS)
EVALUATORS = _child('evaluator', root.EVALUATOR)
VISUALIZERS = _child('visualizer', root.VISUALIZERS)
VISBACKENDS = _child('vis_backend', root.VISBACKENDS)

SOURCES = Registry('ReID source', scope=_SCOPE, locations=[f'{_SCOPE}.datasets.sources'])
"""Where images, identities, cameras and captions come from; no counterpart in MMEngine, hence no parent."""


def build_part(config: Mapping[str, Any]) -> Any:
    """Build a part of a model of ours: names without prefix are ours, also inside another project's config."""
    with MODELS.switch_scope_and_registry(_SCOPE) as registry:
        return registry.build(dict(config))
