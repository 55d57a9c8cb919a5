"""The Islands protocol: which domains are trained on and scored, in either size, with or without a held-out source."""

from pathlib import Path

import pytest

from cmdg_plugin.cli.command_line import read_config

TOY = str(Path(__file__).parents[2] / 'configs' / 'cmdg' / 'cmdg_toy-vit_islands.py')
SOURCES = ['harbor', 'market', 'campus', 'station']


@pytest.mark.parametrize(
    ('options', 'targets', 'size', 'root'),
    [
        ({}, ['metro', 'alpine'], 'small', '/d/islands'),
        ({'islands': 'large'}, ['metro', 'alpine', 'arcade'], 'large', '/d/islands-large'),
    ],
)
def test_both_sizes_have_their_domains_and_folder(
    options: dict[str, str], targets: list[str], size: str, root: str
) -> None:
    config = read_config(TOY, {'data_root': '/d', **options})
    sources, scored = config.train_dataloader.dataset.sources, config.val_dataloader.dataset.targets
    assert [source.domain for source in sources] == SOURCES
    assert [target.domain for target in scored] == targets
    assert {(source.size, source.root) for source in (*sources, *scored)} == {(size, root)}


@pytest.mark.parametrize('size', ['small', 'large'])
def test_a_held_out_source_takes_the_place_of_all_targets(size: str) -> None:
    config = read_config(TOY, {'islands': size, 'held_out': 'campus'})
    assert [source.domain for source in config.train_dataloader.dataset.sources] == ['harbor', 'market', 'station']
    (target,) = config.val_dataloader.dataset.targets
    assert (target.type, target.source.domain, target.source.size) == ('HeldOutSource', 'campus', size)


def test_fewer_sources_are_the_first_ones() -> None:
    for options, sources in (({}, SOURCES[:2]), ({'held_out': 'market'}, ['harbor', 'campus'])):
        config = read_config(TOY, {'num_sources': '2', **options})
        assert [source.domain for source in config.train_dataloader.dataset.sources] == sources


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'islands': 'huge'}, 'small or large, got huge'),
        ({'held_out': 'metro'}, 'harbor, .*station, got metro'),
        ({'num_sources': '5'}, 'from 1 to 4, got 5'),
    ],
)
def test_unknown_names_are_errors(options: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_config(TOY, options)
