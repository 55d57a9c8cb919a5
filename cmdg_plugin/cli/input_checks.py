"""What tools look at before anything is built, and how they say what is wrong."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmengine.config import Config
from mmengine.utils import import_modules_from_strings

from cmdg_plugin.files.locking import hold


@contextmanager
def hold_work_dir(config: Config) -> Iterator[None]:
    """Context in which no other training writes into a run's folder; the first process of a job holds it for all.

    Raises:
        InUse: If another process trains there.
    """
    from cmdg_plugin.engine.launching import is_first_process

    if not is_first_process(config.launcher):
        yield
        return
    Path(config.work_dir).mkdir(parents=True, exist_ok=True)
    message = f'Another training runs in {config.work_dir}; wait for it, or give another --work-dir.'
    with hold(Path(config.work_dir) / '.lock', message):
        yield


def check_checkpoint(path: str | Path) -> None:
    """Refuse a checkpoint that is not there, or that torch has not written, before anything is built.

    Args:
        path: The file; an address that MMEngine fetches from, such as `https://...`, is not looked at.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a checkpoint.
    """
    if re.match(r'[\w-]{2,}:', str(path)):
        return
    if not Path(path).is_file():
        raise FileNotFoundError(f'No checkpoint at {path}.')
    from cmdg_plugin.checkpoints.reading import check_beginning  # here, so that a tool's -h answers at once

    check_beginning(Path(path))


def check_data(config: Config, *dataloaders: str) -> None:
    """Look whether the data that a run reads are there, before a model is built or its weights are fetched.

    Args:
        config: The run's config.
        *dataloaders: Names of the dataloaders that it uses.

    Raises:
        FileNotFoundError: If data are missing; says what is expected where.
    """
    from cmdg_plugin.datasets.source_building import check_sources  # here, so that a tool's -h answers at once

    import_modules_from_strings(**config.get('custom_imports') or {'imports': None})
    for name in dataloaders:
        dataset = (config.get(name) or {}).get('dataset') or {}
        try:
            check_sources(dataset.get('sources') or dataset.get('targets') or [])
        except FileNotFoundError as error:
            tool = f'python tools/check_data.py --config {config.filename or "CONFIG"}'
            raise FileNotFoundError(
                f'{error}\n`{tool}` (and the same --cfg-options) lists everything that is missing or damaged.'
            ) from error
