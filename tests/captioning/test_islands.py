"""Islands, captioned by the tool instead of by its own descriptions, trains through all stages."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from helpers.chat_server import ChatServer

pytest.importorskip('openai')

import numpy as np
from helpers.tiny_runs import train
from mmengine.config import Config

from cmdg_plugin.datasets import load_captions
from cmdg_plugin.islands import build_islands
from cmdg_plugin.islands.planning import SIZES, Census


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, dict]:
    """Sixteen people to train on and four to find, of one domain; returns their folder and Islands' own captions."""
    census = Census(train=16, test=4, images=(6, 6), distractors=0, junk=0)
    monkeypatch.setitem(SIZES, 'small', replace(SIZES['small'], sources=census))
    islands = build_islands(tmp_path / 'islands', domains=('harbor',))
    records = json.loads((islands / 'harbor.json').read_text())
    folder, own = tmp_path / 'cameras', {}
    for split, people in (('bounding_box_train', 16), ('query', 4), ('bounding_box_test', 4)):
        chosen = [record for record in records if record['file_path'].startswith(split) and record['id'] > 0]
        kept = sorted({record['id'] for record in chosen})[:people]
        for person in kept:
            for record in [record for record in chosen if record['id'] == person][:4]:
                path = folder / record['file_path']
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(islands / 'harbor' / record['file_path'], path)
                own[path.read_bytes()] = record
    return folder, own


def talk_like_a_model(chat_server: ChatServer, own: dict) -> None:
    """Let the server know what Islands knows, and say it as models do."""
    from base64 import b64decode

    regions = ('upper third', 'middle third', 'lower third')

    def say(number: int, body: dict) -> str:
        image, question = body['messages'][1]['content']
        record = own[b64decode(image['image_url']['url'].partition(',')[2])]
        at = next((at for at, words in enumerate(regions, start=1) if words in question['text']), 0)
        caption = record['captions'][at]
        if 'Use at least' in question['text']:
            return f'say:A person can be seen with the following: {caption}'
        if number % 10 == 0 and 'Nobody is to be identified' not in question['text']:
            return "say:I'm sorry, but I can't help with that."
        return f'say:{("{}", "**{}**", "Sure! {}", "{}" + chr(10))[number % 4].format(caption)}'

    chat_server.fault = say


def test_islands_captioned_by_the_tool_train(
    images: tuple[Path, dict],
    chat_server: ChatServer,
    caption_tool: Callable[..., int],
    tmp_path: Path,
    tiny_config: Config,
) -> None:
    folder, own = images
    talk_like_a_model(chat_server, own)
    out = tmp_path / 'captions.json'
    assert caption_tool(folder, '--out', out, '--endpoint', chat_server.url, '--model', 'islands') == 0
    summary = json.loads((tmp_path / 'captions.summary.json').read_text())
    assert summary['asked_again']['refused'] > 5
    records = load_captions(out)
    assert len(records) == len(own)
    known = {record['file_path']: record for record in own.values()}
    assert all(record.identity == known[record.file_path]['id'] for record in records)
    assert all(record.camera == known[record.file_path]['cmid'] for record in records)

    source = {'type': 'CaptionFileSource', 'name': 'cameras', 'root': str(folder), 'caption_file': str(out)}
    tiny_config.train_dataloader.dataset.sources = [source]
    tiny_config.val_dataloader.dataset.targets = [source]
    scalars = train(tiny_config).message_hub.log_scalars
    for term in ('prompt', 'part', 'caption'):
        assert np.isfinite(scalars[f'train/loss_{term}'].current()), term
    assert 0 < scalars['val/cameras/mAP'].current() <= 100
