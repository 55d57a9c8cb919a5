"""Datasets for text search as sources: by name below a data root, or by their file."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from cmdg_plugin.datasets.source_building import load_sources
from cmdg_plugin.datasets.sources import BenchmarkSource, SentenceFileSource

# Images by role, and sentences of the test images, counted by hand from the miniatures.
EXPECTED = {
    'cuhk-pedes': ({'train': 3, 'val': 1, 'query': 0, 'gallery': 5}, 10),
    'icfg-pedes': ({'train': 2, 'val': 0, 'query': 0, 'gallery': 3}, 3),
    'rstpreid': ({'train': 2, 'val': 1, 'query': 0, 'gallery': 3}, 6),
}


@pytest.mark.parametrize('name', EXPECTED)
def test_public_datasets(miniatures: ModuleType, tmp_path: Path, log: pytest.LogCaptureFixture, name: str) -> None:
    miniatures.write_text_miniature(tmp_path, name)
    (index,) = load_sources([{'type': 'BenchmarkSource', 'name': name, 'data_root': str(tmp_path)}])
    counts, sentences = EXPECTED[name]
    split = index.split()
    assert {role: len(getattr(split, role)) for role in counts} == counts
    assert sum(len(record.sentences) for record in split.gallery) == sentences
    assert not index.has_cameras
    assert all(Path(index.absolute(record)).is_file() for record in index.images().values())
    # Found next to what is expected, and how much there is to ask with.
    assert 'expected' in log.text
    assert f'{sum(len(record.sentences) for record in index.images().values())} sentences' in log.text


def test_the_file_of_icfg_pedes_has_two_names(miniatures: ModuleType, tmp_path: Path) -> None:
    miniatures.write_text_miniature(tmp_path, 'icfg-pedes', other_file=True)
    assert (tmp_path / 'ICFG-PEDES/ICFG_PEDES.json').is_file()
    assert len(BenchmarkSource('icfg-pedes', str(tmp_path)).load().split().gallery) == 3


def test_missing_folder_file_or_image(miniatures: ModuleType, tmp_path: Path) -> None:
    source = BenchmarkSource('cuhk-pedes', str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r'original layout:\n.*CUHK-PEDES/\n.*imgs/.*\n.*reid_raw\.json'):
        source.check()
    miniatures.write_text_miniature(tmp_path, 'cuhk-pedes')
    source.check()
    (tmp_path / 'CUHK-PEDES/imgs/CUHK03/313_3.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'1 of 9 images listed in reid_raw.json .*CUHK03/313_3.jpg'):
        source.load()
    skipping = BenchmarkSource('cuhk-pedes', str(tmp_path), on_missing_image='skip')
    assert len(skipping.load().split().gallery) == 4
    (tmp_path / 'CUHK-PEDES/reid_raw.json').unlink()
    with pytest.raises(FileNotFoundError, match=r'there is no reid_raw\.json in'):
        source.load()


def test_torchreid_reads_no_sentences(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='torchreid reads no sentences'):
        BenchmarkSource('rstpreid', str(tmp_path), index='torchreid')


def test_a_file_of_ones_own(miniatures: ModuleType, tmp_path: Path, log: pytest.LogCaptureFixture) -> None:
    miniatures.draw(tmp_path / 'pictures/a.jpg', 1, 0)
    miniatures.draw(tmp_path / 'pictures/b.jpg', 1, 1)
    file = tmp_path / 'own.json'
    records = [
        {'img_path': 'a.jpg', 'captions': ['A red coat.', 'A hat.'], 'id': 1, 'split': 'train'},
        {'img_path': 'b.jpg', 'captions': ['A red coat.'], 'id': 1, 'split': 'test'},
    ]
    file.write_text(json.dumps(records))
    (index,) = load_sources([SentenceFileSource('shop', str(tmp_path / 'pictures'), str(file))])
    assert [record.sentences for record in index.images().values()] == [('A red coat.', 'A hat.'), ('A red coat.',)]
    assert '1 identities are trained on and looked for as well, the first is 1' in log.text
    with pytest.raises(FileNotFoundError, match=r'no folder .*absent'):
        SentenceFileSource('shop', str(tmp_path / 'absent'), str(file)).load()
    with pytest.raises(FileNotFoundError, match=r'shop: no caption file .*absent\.json'):
        SentenceFileSource('shop', str(tmp_path), str(tmp_path / 'absent.json')).check()
    with pytest.raises(ValueError, match="'error' or 'skip'"):
        SentenceFileSource('shop', str(tmp_path), str(file), on_missing_image='guess')


def test_an_image_listed_twice_says_one_thing(miniatures: ModuleType, tmp_path: Path) -> None:
    miniatures.draw(tmp_path / 'a.jpg', 1, 0)
    file = tmp_path / 'own.json'
    records = [{'img_path': 'a.jpg', 'captions': [text], 'id': 1, 'split': 'test'} for text in ('One.', 'Two.')]
    file.write_text(json.dumps(records))
    with pytest.raises(
        ValueError, match=r"record 1 .* key 'captions': a\.jpg has 'Two\.' here and 'One\.' in .*record 0"
    ):
        load_sources([SentenceFileSource('shop', str(tmp_path), str(file))])
