"""Child registries in scope `cmdg_plugin`; importing this module imports nothing else of the package.

MMEngine imports it whenever a config says `type='cmdg_plugin.X'`. The `locations` are imported on the first look-up, so
neither `custom_imports` nor an import by hand is needed.
"""

from mmengine import registry as root
from mmengine.registry import Registry

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
LOG_PROCESSORS = _child('log processor', root.LOG_PROCESSORS, 'engine')

SOURCES = Registry('ReID source', scope=_SCOPE, locations=[f'{_SCOPE}.datasets.sources'])
"""Where images, identities, cameras and captions come from; no counterpart in MMEngine, hence no parent."""
