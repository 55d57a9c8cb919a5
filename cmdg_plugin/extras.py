"""Packages that only some of the plugin needs."""

import importlib
from types import ModuleType


def import_extra(module: str, extra: str) -> ModuleType:
    """Import an optional dependency.

    Raises:
        ImportError: In one line that says what to install.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition('.')[0]
        raise ImportError(
            f'{name} is needed here and missing ({error}): pip install "cmdg_plugin[{extra}]".'
        ) from error
