"""Text that is given once, on the command line or in the environment, and must arrive everywhere as it is."""

import argparse
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from mmengine.config import Config

from cmdg_plugin.checkpoints.stored_config import parse_literal_config
from cmdg_plugin.cli.command_line import add_config_options, read_config
from cmdg_plugin.cli.config_reading import read_file

CONFIGS = Path(__file__).parents[2] / 'configs'
TOY = str(CONFIGS / 'cmdg/cmdg_toy-vit_islands.py')
OWN = str(CONFIGS / 'cmdg/cmdg_toy-vit_own-data.py')
P2 = str(CONFIGS / 'cmdg/cmdg_vit-base-p16_p2_msmt17.py')
# A name in the environment or on a command line holds no NUL; lone surrogates are not text.
TEXTS = st.text(st.characters(exclude_categories=['Cs'], exclude_characters='\0'), min_size=1, max_size=40)
WICKED = ['my people', '0012', 'a,b', "it's", '"q"', 'C:\\new\\table', '[a](b)', '$HOME', '{{ fileDirname }}', '人/ü']
FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def read(path: str, *options: str) -> Config:
    parser = argparse.ArgumentParser()
    add_config_options(parser)
    return read_config(path, parser.parse_args(['--cfg-options', *options]).cfg_options if options else {})


def replaced(node: Any, mark: str, text: str) -> Any:
    """A config with a text in the place of a mark, wherever it stands."""
    if isinstance(node, str):
        return node.replace(mark, text)
    if isinstance(node, dict):
        return {name: replaced(inner, mark, text) for name, inner in node.items()}
    return type(node)(replaced(inner, mark, text) for inner in node) if isinstance(node, (list, tuple)) else node


def with_wicked(test: Any) -> Any:
    for text in WICKED:
        test = example(text)(test)
    return test


@with_wicked
@given(TEXTS)
@FEW
def test_the_data_root_arrives_everywhere_and_is_written_as_it_was_given(tmp_path: Path, text: str) -> None:
    for path in (TOY, OWN, P2):
        config = read(path, f'data_root={text}')
        assert config.to_dict() == replaced(read(path, 'data_root=@ROOT@').to_dict(), '@ROOT@', text)
        assert config.data_root.startswith(text)
        file = tmp_path / 'dumped.py'
        config.dump(file)
        assert Config.fromfile(file).to_dict() == config.to_dict()
        assert read_config(str(file)).to_dict() == config.to_dict()
        assert parse_literal_config(config.pretty_text) == config.to_dict()


@with_wicked
@given(TEXTS)
@FEW
def test_the_environment_obeys_the_same_rules_without_our_reader(text: str) -> None:
    before = os.environ.get('CMDG_DATA_ROOT')
    os.environ['CMDG_DATA_ROOT'] = text
    try:
        plain, ours = Config.fromfile(TOY), read_config(TOY)
    finally:
        del os.environ['CMDG_DATA_ROOT']
        if before is not None:
            os.environ['CMDG_DATA_ROOT'] = before
    assert plain.to_dict() == ours.to_dict()
    assert {source.root for source in plain.train_dataloader.dataset.sources} == {f'{text}/islands'}


@with_wicked
@given(TEXTS)
@FEW
def test_other_strings_arrive_as_they_were_given(text: str) -> None:
    options = ('msmt17_version', 'split', 'cuhk03_version')
    config = read(P2, *(f'{option}={text}' for option in options), f'model.backbone.pretrained={text}')
    assert [config[option] for option in options] == [text] * 3
    assert config.model.backbone.pretrained == text
    assert config.train_dataloader.dataset.sources[2].version == text
    assert config.val_dataloader.dataset.targets[0].version == text
    # Nothing stands in these places: what is built there says that they take a string.
    config = read(OWN, f'train_dataloader.dataset.sources.office.caption_file={text}', f'load_from={text}')
    expected = None if text == 'None' else text
    assert (config.train_dataloader.dataset.sources[1].caption_file, config.load_from) == (expected, expected)


@pytest.mark.parametrize('path', [TOY, OWN, P2])
def test_what_is_empty_is_not_given(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    default = read(path).to_dict()
    assert read(path, 'data_root=').to_dict() == default
    versions = ('MSMT17_VERSION', 'CUHK03_VERSION')
    for name in ('DATA_ROOT', 'SPLIT', 'IMAGE_SIZE', 'NUM_WORKERS', 'HELD_OUT', 'ISLANDS', *versions):
        monkeypatch.setenv(f'CMDG_{name}', '')
    assert Config.fromfile(path).to_dict() == read(path).to_dict() == default
    assert os.environ['CMDG_SPLIT'] == ''


def test_every_config_reads_with_and_without_our_reader() -> None:
    for path in [*CONFIGS.glob('cmdg/*.py'), *CONFIGS.glob('baselines/*.py')]:
        assert '{{$' not in path.read_text()
        assert read_config(str(path)).to_dict() == Config.fromfile(path).to_dict()


def test_a_file_that_pastes_text_says_so_before_the_text_breaks_it(tmp_path: Path) -> None:
    path = tmp_path / 'old.py'
    path.write_text("data_root = '{{$CMDG_DATA_ROOT:data}}'\nwork_dir = data_root + '/out'\n")
    assert read(str(path), 'data_root=/my people').work_dir == '/my people/out'
    assert read(str(path), 'data_root=').work_dir == 'data/out'
    with pytest.raises(ValueError, match=r'takes CMDG_DATA_ROOT in as text .* would break\. In the file, write'):
        read(str(path), 'data_root=C:\\x')
    with pytest.raises(ValueError, match=r'would break'):
        read(str(path), "data_root=it's")


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('a = 1\nb = (2', r'broken\.py, line 2: SyntaxError'),
        ('a = 1\nb = c', r"broken\.py, line 2: NameError: name 'c' is not defined"),
        ('a = 1\n_base_ = ["nowhere.py"]', r'nowhere\.py'),
        ('custom_imports = dict(imports=["no_such_module"])', 'imports what cannot be imported: .*no_such_module'),
    ],
)
def test_a_file_that_cannot_be_read_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / 'broken.py').write_text(text)
    with pytest.raises(ValueError, match=message):
        read_file(str(tmp_path / 'broken.py'), {})


def test_a_value_that_a_file_computes_with_is_named() -> None:
    with pytest.raises(ValueError, match=r"benchmarks\.py, line \d+: ValueError: .*'abc' \(given: num_workers=abc\)"):
        read(P2, 'num_workers=abc')
    with pytest.raises(ValueError, match='not text in UTF-8'):
        read(TOY, 'data_root=\udcff')
