"""Everything that is wrong with the data of a config, found at once and before a run."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.pool import ThreadPool
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmengine.utils import import_modules_from_strings

from cmdg_plugin.datasets.faulty_rows import FaultyRows
from cmdg_plugin.datasets.samplers import tell_batch_size
from cmdg_plugin.datasets.source_building import load_sources
from cmdg_plugin.datasets.sources.image_files import MissingImages
from cmdg_plugin.datasets.sources.index import SourceIndex
from cmdg_plugin.files.images import UnreadableImage, read_image
from cmdg_plugin.progress import track
from cmdg_plugin.registry import DATA_SAMPLERS, DATASETS

_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_FAULTS = (OSError, ValueError, TypeError, KeyError, ImportError)
"""What building a source or a dataset raises where its settings or its files are wrong."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        what: In words.
        where: Every image concerned, one line each.
    """

    what: str
    where: tuple[str, ...] = ()


@dataclass
class ConfigCheck:
    """What was found.

    Attributes:
        seen: A line for each source in each dataset.
        problems: All that is wrong.
        images: Source of every image that the config uses, by path.
        captions: Number of images to train on that have captions.
    """

    seen: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    images: dict[str, str] = field(default_factory=dict)
    captions: int = 0

    def add(self, what: str, where: tuple[str, ...] = ()) -> None:
        """Add a problem, unless it is known already from another dataset."""
        problem = Problem(what, where)
        if problem not in self.problems:
            self.problems.append(problem)


def check_config(config: Config, num_workers: int = 4) -> ConfigCheck:
    """Index all sources of a config's datasets, read their captions and open every image.

    Args:
        config: The config; of its dataloaders, datasets with `sources` or `targets` are looked at, also inside others.
        num_workers: Threads that open images.

    Returns:
        What was found; nothing that is wrong with the data is raised.

    Raises:
        OSError: If the machine is to blame for images that cannot be read.
    """
    import_modules_from_strings(**config.get('custom_imports') or {'imports': None})
    check = ConfigCheck()
    settings: list[tuple[list[str], dict[str, Any]]] = []
    for loader in _LOADERS:
        for dataset in _find_datasets((config.get(loader) or {}).get('dataset') or {}):
            known = next((names for names, other in settings if _same_data(other, dataset)), None)
            if known is None:
                settings.append(([loader], dataset))
            else:
                known.append(loader)
    with DefaultScope.overwrite_default_scope(config.get('default_scope') or 'cmdg_plugin'):
        for loaders, dataset in settings:
            _check_dataset(config, list(dict.fromkeys(loaders)), dataset, check)
    if not settings:
        check.add('the config has no dataset with `sources` or `targets`, so there is nothing to check')
    if check.images:
        _open_images(check, num_workers)
    return check


def _find_datasets(dataset: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if 'sources' in dataset or 'targets' in dataset:
        yield dict(dataset)
        return
    for inner in (dataset.get('dataset'), *(dataset.get('datasets') or ())):
        if isinstance(inner, Mapping):
            yield from _find_datasets(inner)


def _same_data(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return {**one, 'pipeline': None} == {**other, 'pipeline': None}


def _check_dataset(config: Config, loaders: list[str], dataset: dict[str, Any], check: ConfigCheck) -> None:
    role = 'sources' if 'sources' in dataset else 'targets'
    indices = [_load(entry, check) for entry in dataset[role] or ()]
    before = len(check.problems)
    for index in indices:
        if index is None:
            continue
        try:
            look = _look_at_source if role == 'sources' else _look_at_target
            check.seen.append(f'{", ".join(loaders)}: {look(index, dataset, check)}')
        except _FAULTS as error:
            check.add(_named(index.name, error))
    if None in indices or len(check.problems) > before:
        return
    # What shows only where all sources meet: one name twice, one image in two sources, settings that do not exist.
    missing = {'on_missing': 'empty'} if dataset.get('on_missing', 'error') == 'error' and role == 'sources' else {}
    # A check looks for itself.
    kept = {name: value for name, value in dataset.items() if name != 'index_cache'}
    try:
        loaded = [_LoadedSource(index) for index in indices if index is not None]
        built = DATASETS.build({**kept, **missing, role: loaded, 'pipeline': [], 'lazy_init': False})
        for name in loaders:
            _compose_batches(config[name], dataset, built)
    except _FAULTS as error:
        check.add(f'{", ".join(loaders)}: {_text(error)}')


def _compose_batches(loader: Mapping[str, Any], dataset: Mapping[str, Any], built: Any) -> None:
    """Let the loader's sampler look for enough identities, as it does on one GPU before the first epoch."""
    sampler = loader.get('sampler')
    # Within another dataset, it is that one's rows which are sampled.
    if isinstance(sampler, Mapping) and _same_data(loader['dataset'], dataset):
        DATA_SAMPLERS.build({**tell_batch_size(dict(sampler), loader['batch_size']), 'dataset': built})


@dataclass(frozen=True)
class _LoadedSource:
    """A source whose index is known."""

    index: SourceIndex

    @property
    def name(self) -> str:
        return self.index.name

    def load(self) -> SourceIndex:
        return self.index


def _load(entry: Any, check: ConfigCheck) -> SourceIndex | None:
    """Index one source; where listed images are missing, once more without them."""
    name = str(entry.get('name') or entry.get('domain') or entry.get('type')) if isinstance(entry, Mapping) else ''
    try:
        return load_sources([entry])[0]
    except MissingImages as error:
        check.add(_named(name, error), error.paths)
    except FaultyRows as error:
        if len(error.faults) == 1:
            check.add(_named(name, error))
        else:
            check.add(f'{name}: {len(error.faults):,} faulty rows', error.faults)
        # The images of the other rows are looked at all the same.
        check.images.update(dict.fromkeys(error.paths, name))
        return None
    except _FAULTS as error:
        check.add(_named(name, error))
        return None
    try:
        return load_sources([_forgiving(entry)])[0]
    except _FAULTS:
        return None


def _forgiving(entry: Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(entry.get('source'), Mapping):  # a source around another one
        return {**entry, 'source': _forgiving(entry['source'])}
    return {**entry, 'on_missing_image': 'skip'}


def _look_at_source(index: SourceIndex, dataset: Mapping[str, Any], check: ConfigCheck) -> str:
    records = index.select(dataset.get('subsets', ('train',)), dataset.get('split', 'released'))
    check.images.update({index.absolute(record): index.name for record in records})
    bare = tuple(index.absolute(record) for record in records if record.captions is None)
    if bare and dataset.get('on_missing', 'error') == 'error':
        check.add(f'{index.name}: {len(bare):,} of {len(records):,} images to train on have no captions', bare)
    check.captions += len(records) - len(bare)
    identities = len({(record.scope, record.identity) for record in records})
    captioned = f'{len(records) - len(bare):,} with captions'
    return f'{index.name}: {len(records):,} images of {identities:,} identities to train on, {captioned}'


def _look_at_target(index: SourceIndex, dataset: Mapping[str, Any], check: ConfigCheck) -> str:
    # The set itself knows what asks for what; nothing is indexed again.
    target = DATASETS.build({**dataset, 'targets': [], 'pipeline': [], 'lazy_init': True}).make_target(index)
    check.images.update(dict.fromkeys(target.paths, index.name))
    splits = f' in {len(target.splits)} splits' if len(target.splits) > 1 else ''
    first = target.splits[0]
    queries = 'sentences' if target.sentences else 'queries'
    roles = f'{len(first.query):,} {queries} and {len(first.gallery):,} gallery images'
    return f'{index.name}: {roles}{splits}, {len(target.paths):,} images'


def _open_images(check: ConfigCheck, num_workers: int) -> None:
    """Decode every image completely."""
    paths = list(check.images)
    faulty: dict[str, list[str]] = {}
    with ThreadPool(max(1, num_workers)) as pool:
        reasons = pool.imap(_find_fault, paths, chunksize=16)
        for path, reason in zip(paths, track(reasons, 'Opening images', len(paths), unit='image'), strict=True):
            if reason:
                faulty.setdefault(check.images[path], []).append(reason)
    for name, lines in faulty.items():
        total = sum(source == name for source in check.images.values())
        check.add(f'{name}: {len(lines):,} of {total:,} images cannot be read', tuple(lines))


def _find_fault(path: str | os.PathLike[str]) -> str:
    try:
        read_image(path)
    except UnreadableImage as error:
        return str(error)
    return ''


def _named(name: str, error: Exception) -> str:
    text = _text(error)
    return text if text.startswith(name) else f'{name}: {text}'


def _text(error: Exception) -> str:
    # The text of a KeyError is that of its argument, quoted.
    return str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
