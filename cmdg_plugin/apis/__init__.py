"""What users call from Python."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cmdg_plugin.apis.inference import encode_text, extract_features, init_model
    from cmdg_plugin.apis.preparation import ImagePreparation, list_images

_PLACES = {
    'ImagePreparation': 'preparation',
    'encode_text': 'inference',
    'extract_features': 'inference',
    'init_model': 'inference',
    'list_images': 'preparation',
}
__all__ = ['ImagePreparation', 'encode_text', 'extract_features', 'init_model', 'list_images']


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


def __getattr__(name: str) -> Any:
    # On first use: the tools import this package to show their help, which must not wait for torch.
    if name in _PLACES:
        return getattr(importlib.import_module(f'{__name__}.{_PLACES[name]}'), name)
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
