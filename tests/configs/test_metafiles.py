"""The index of configs, as mim reads it: complete, true to the configs, and with no result that the README lacks."""

import os
from pathlib import Path

import pytest
from mmengine.config import Config
from modelindex.load_model_index import load
from modelindex.models.Model import Model

REPOSITORY = Path(__file__).parents[2]
PACKAGE = REPOSITORY / 'cmdg_plugin'
# Grids of tools/ablate.py vary configs; they are none.
NO_CONFIGS = ('_base_', 'ablations')
CONFIGS = sorted(path for path in (REPOSITORY / 'configs').glob('*/*.py') if path.parent.name not in NO_CONFIGS)
INDEX = load(str(PACKAGE / '.mim/model-index.yml'))
ENTRIES: dict[str, Model] = {model.name: model for model in INDEX.models}
COLLECTIONS: dict[str, Model] = {collection.name: collection for collection in INDEX.collections}


def test_mims_reader_finds_nothing_to_complain_about() -> None:
    assert INDEX.check(silent=True) == []


def test_every_config_has_its_entry_and_every_entry_its_config() -> None:
    relative = {path.stem: path.relative_to(REPOSITORY).as_posix() for path in CONFIGS}
    assert {name: entry.config for name, entry in ENTRIES.items()} == relative


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_mim_finds_a_config_by_its_name_and_only_one(path: Path) -> None:
    # mim looks for the name in the whole package, follows links and lowers the names that it searches for.
    found = [folder for folder, _, files in os.walk(PACKAGE, followlinks=True) if path.name in files]
    assert len(found) == 1
    assert path.name == path.name.lower()


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_numbers_of_an_entry_are_those_of_its_config(path: Path) -> None:
    entry, config = ENTRIES[path.stem], Config.fromfile(path)
    if config.get('train_cfg') is None:
        targets = [target.get('name', 'Islands') for target in config.test_dataloader.dataset.targets]
        assert entry.metadata.data == {'Evaluation Data': targets[0]}
        return
    described = {**COLLECTIONS[entry.in_collection].metadata.data, **entry.metadata.data}
    assert described['Epochs'] == sum(stage.epochs for stage in config.train_cfg.stages)
    assert described['Batch Size'] == config.train_dataloader.batch_size
    sources = dict.fromkeys(source.get('name', 'Islands') for source in config.train_dataloader.dataset.sources)
    data = described['Training Data']
    assert list(sources) == (data if isinstance(data, list) else [data])


@pytest.mark.parametrize('name', [name for name, entry in ENTRIES.items() if entry.results is not None])
def test_results_stand_in_the_readme(name: str) -> None:
    entry = ENTRIES[name]
    (row,) = [line for line in (REPOSITORY / 'README.md').read_text().splitlines() if f'(`{entry.config}`)' in line]
    means = [cell.split('±')[0].strip() for cell in row.split('|')[2:-1]]
    (result,) = entry.results.data
    assert [str(value) for value in result.metrics.values()] == means
