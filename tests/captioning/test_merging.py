import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.chat_server import ChatServer

pytest.importorskip('openai')

from cmdg_plugin.captioning import merge_shards
from cmdg_plugin.datasets import load_captions


@pytest.fixture
def shards(
    make_images: Callable[..., Path], chat_server: ChatServer, tmp_path: Path, caption_tool: Callable[..., int]
) -> tuple[Path, Path, list[Path]]:
    """Twelve images, captioned in three shards."""
    root, out = make_images(12), tmp_path / 'captions.json'
    for shard in ('1/3', '2/3', '3/3'):
        arguments = ('--endpoint', chat_server.url, '--model', 'm', '--shard', shard)
        assert caption_tool(root, '--out', out, *arguments) == 0
    return root, out, sorted(tmp_path.glob('captions.*-of-3.journal.jsonl'))


def test_merged_is_what_one_run_writes(
    shards: tuple[Path, Path, list[Path]], chat_server: ChatServer, caption_tool: Callable[..., int], tmp_path: Path
) -> None:
    root, out, journals = shards
    assert len(journals) == 3
    assert chat_server.requests == 48
    assert caption_tool(root, '--out', out, '--merge') == 0
    single = tmp_path / 'single.json'
    assert caption_tool(root, '--out', single, '--endpoint', chat_server.url, '--model', 'm') == 0
    assert out.read_bytes() == single.read_bytes()
    assert len(load_captions(out)) == 12


def test_names_that_look_like_patterns(
    make_images: Callable[..., Path], chat_server: ChatServer, caption_tool: Callable[..., int], tmp_path: Path
) -> None:
    root, out = make_images(4), tmp_path / 'captions[1].json'
    for shard in ('1/2', '2/2'):
        assert caption_tool(root, '--out', out, '--endpoint', chat_server.url, '--model', 'm', '--shard', shard) == 0
    assert caption_tool(root, '--out', out, '--merge') == 0
    assert len(load_captions(out)) == 4


def test_gaps_are_found(shards: tuple[Path, Path, list[Path]]) -> None:
    root, out, journals = shards
    with pytest.raises(ValueError, match='sentences are in none of the 2 journals, such as'):
        merge_shards(root, out, journals[:2])
    lines = journals[2].read_text().splitlines(keepends=True)
    journals[2].write_text(''.join(lines[:-1]))
    with pytest.raises(ValueError, match='1 sentences are in none of the 3 journals'):
        merge_shards(root, out, journals)
    assert not out.exists()


def test_conflicts_are_found_and_agreement_is_not_one(shards: tuple[Path, Path, list[Path]], tmp_path: Path) -> None:
    root, out, journals = shards
    lines = journals[0].read_text().splitlines()
    other = tmp_path / 'again.journal.jsonl'
    other.write_text('\n'.join(lines) + '\n')
    assert merge_shards(root, out, [*journals, other]).captioned == 12
    entry = json.loads(lines[1])
    other.write_text(lines[0] + '\n' + json.dumps({**entry, 'caption': 'Something else was said.'}) + '\n')
    with pytest.raises(ValueError, match=r'1 sentences have two different captions, such as .*bounding_box_train'):
        merge_shards(root, out, [*journals, other])
    # Of one journal the last line counts, as where an image was replaced.
    journals[0].write_text('\n'.join([*lines, json.dumps({**entry, 'caption': 'Another coat.'})]) + '\n')
    assert merge_shards(root, out, journals).captioned == 12
    assert 'Another coat.' in out.read_text()
    # A failure elsewhere is not a second caption, whichever comes first.
    other.write_text(
        lines[0] + '\n' + json.dumps({**entry, 'caption': None, 'failure': 'x'}).replace('"caption": null, ', '') + '\n'
    )
    for order in ([*journals, other], [other, *journals]):
        assert merge_shards(root, out, order).captioned == 12


def test_other_settings_or_images_are_refused(
    shards: tuple[Path, Path, list[Path]], make_images: Callable[..., Path]
) -> None:
    root, out, journals = shards
    with pytest.raises(ValueError, match=r'are of images that .* does not have'):
        merge_shards(make_images(6, 'fewer'), out, journals)
    journals[1].write_text(journals[1].read_text().replace('"seed":0', '"seed":5', 1))
    with pytest.raises(ValueError, match='the shards cannot be merged: seed is 0 in'):
        merge_shards(root, out, journals)
    with pytest.raises(ValueError, match='no journals to merge'):
        merge_shards(root, out.with_name('none.json'), [])
