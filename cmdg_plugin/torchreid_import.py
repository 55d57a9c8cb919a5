"""Imports torchreid, which is optional and comes in two layouts."""

import importlib
import warnings
from types import ModuleType

_PACKAGES = ('torchreid.reid', 'torchreid')
_DISTRIBUTIONS = {'cv2': 'opencv-python', 'PIL': 'pillow'}


def import_torchreid(part: str) -> ModuleType:
    """Import a part of torchreid, from the PyPI package (`torchreid.reid`) or a checkout of its repository.

    Args:
        part: Dotted name below either, such as `data.datasets`.

    Raises:
        ImportError: If neither is there, or something that torchreid imports; one line says what to install.
    """
    for package in _PACKAGES:
        name = f'{package}.{part}'
        try:
            with warnings.catch_warnings():
                # Its wheel holds no compiled ranking, of which it warns at every import.
                warnings.filterwarnings('ignore', 'Cython evaluation', UserWarning)
                return importlib.import_module(name)
        except ModuleNotFoundError as error:
            # Only go on if it is torchreid's layout that differs, not if one of its own imports is missing.
            if error.name is None or not name.startswith(error.name):
                missing = str(error.name).partition('.')[0]
                raise ImportError(
                    f'torchreid cannot be imported: it wants {error.name}; `pip install '
                    f'{_DISTRIBUTIONS.get(missing, missing)}` (its package on PyPI declares no dependencies).'
                ) from error
    raise ImportError('torchreid is not installed; `pip install torchreid scipy gdown tensorboard opencv-python`.')
