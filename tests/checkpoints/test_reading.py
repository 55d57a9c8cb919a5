import http.server
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging.history_buffer import HistoryBuffer
from mmengine.runner import CheckpointLoader, load_checkpoint
from torch import nn

import cmdg_plugin.registry  # noqa: F401  (puts the reader in place)
from cmdg_plugin.checkpoints.reading import read_checkpoint
from cmdg_plugin.saying import keep_lines

WEIGHTS = {'layer.weight': torch.arange(600.0).reshape(20, 30), 'count': torch.tensor(3)}


def written(path: Path, content: object = None, **options: Any) -> Path:
    torch.save({'meta': {'epoch': 1}, 'state_dict': WEIGHTS} if content is None else content, path, **options)
    return path


class Attack:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return os.system, (f'touch {self.path}',)


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    history = HistoryBuffer()
    history.update(1.0)
    content = {'state_dict': WEIGHTS, 'message_hub': {'loss': history}, 'numbers': np.arange(3)}
    for options in ({}, {'_use_new_zipfile_serialization': False}):
        found = read_checkpoint(written(tmp_path / 'a.pth', content, **options))
        assert torch.equal(found['state_dict']['layer.weight'], WEIGHTS['layer.weight'])
        assert found['message_hub']['loss'].current() == 1.0


def test_flipped_bits_and_zeroed_blocks_are_noticed(tmp_path: Path) -> None:
    """Weights with one wrong bit would load without a word: torch compares no checksums."""
    path = written(tmp_path / 'a.pth')
    sound = path.read_bytes()
    expected = read_checkpoint(path)
    rng = np.random.default_rng(0)
    for number in range(300):
        damaged = bytearray(sound)
        place = int(rng.integers(len(sound)))
        if number % 2:
            damaged[place] ^= 1 << int(rng.integers(8))
        else:
            damaged[place : place + 64] = bytes(len(damaged[place : place + 64]))
        path.write_bytes(damaged)
        message = refusal(path)
        if message:
            assert str(path) in message
            assert 'weights_only' not in message
        else:
            # The damage hit what nobody reads, such as the bytes that align a part.
            torch.testing.assert_close(read_checkpoint(path), expected, rtol=0, atol=0)


def test_damage_in_a_file_without_checksums_is_refused_in_our_words(tmp_path: Path) -> None:
    path = written(tmp_path / 'a.pth', _use_new_zipfile_serialization=False)
    sound = path.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(len(sound) - len(WEIGHTS['layer.weight']) * 120, size=200):
        for damaged in (sound[:place], sound[:place] + b'q' + sound[place + 1 :]):
            path.write_bytes(damaged)
            # Nothing but a ValueError; what was hit may also be a number, which nobody can tell.
            assert str(path) in (refusal(path) or str(path))


def refusal(path: Path) -> str:
    try:
        read_checkpoint(path)
    except ValueError as error:
        return str(error)
    return ''


@pytest.mark.parametrize('length', [0, 1, 2, 100, -1])
def test_truncated_files_are_told_by_name(tmp_path: Path, length: int) -> None:
    path = written(tmp_path / 'a.pth')
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ValueError, match=r'a\.pth is (empty|damaged|not a checkpoint)') as error:
        read_checkpoint(path)
    assert 'weights_only' not in str(error.value)


@pytest.mark.parametrize('options', [{}, {'_use_new_zipfile_serialization': False}])
def test_code_is_refused_and_not_advised(tmp_path: Path, options: dict) -> None:
    path = written(tmp_path / 'a.pth', {'state_dict': {}, 'more': Attack(tmp_path / 'hacked')}, **options)
    with pytest.raises(ValueError, match='could run code') as error:
        read_checkpoint(path)
    assert 'weights_only' not in str(error.value)
    assert not (tmp_path / 'hacked').exists()


@pytest.mark.parametrize('content', [[1, 2], torch.ones(2), 'text'])
def test_what_is_not_a_checkpoint(tmp_path: Path, content: object) -> None:
    with pytest.raises(ValueError, match=rf'holds a {type(content).__name__}; a checkpoint is a dictionary'):
        read_checkpoint(written(tmp_path / 'a.pth', content))


@pytest.mark.parametrize('value', [float('nan'), float('inf')])
@pytest.mark.parametrize('bare', [False, True])
def test_weights_that_are_not_numbers_are_named(tmp_path: Path, value: float, bare: bool) -> None:
    weights = {**WEIGHTS, 'head.bias': torch.tensor([0.0, value])}
    with pytest.raises(ValueError, match=r'a\.pth holds weights that are not numbers: head\.bias'):
        read_checkpoint(written(tmp_path / 'a.pth', weights if bare else {'state_dict': weights}))
    # Masks of attention are made of these.
    read_checkpoint(written(tmp_path / 'a.pth', {'mask': torch.tensor([0.0, float('-inf')])}))


@pytest.mark.parametrize('values', [[float('-inf')] * 2, [1.0, float('-inf')]])
def test_only_a_mask_of_zeros_may_hold_negative_infinity(tmp_path: Path, values: list[float]) -> None:
    with pytest.raises(ValueError, match='not numbers: weight'):
        read_checkpoint(written(tmp_path / 'a.pth', {'state_dict': {'weight': torch.tensor(values)}}))


def test_averages_of_an_optimizer_and_of_a_hook_are_numbers_too(tmp_path: Path) -> None:
    layer = nn.Linear(2, 2)
    optimizer = torch.optim.Adam(layer.parameters())
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    states = {'state_dict': layer.state_dict(), 'optimizer': optimizer.state_dict()}
    read_checkpoint(written(tmp_path / 'a.pth', states))
    states['optimizer']['state'][1]['exp_avg'][0] = float('nan')
    with pytest.raises(ValueError, match=r'not numbers: optimizer\.state\.1\.exp_avg\.'):
        read_checkpoint(written(tmp_path / 'a.pth', states))
    states['optimizer']['state'][1]['exp_avg'][0] = 0
    states['ema_state_dict'] = {'module.weight': torch.full((2, 2), float('nan'))}
    with pytest.raises(ValueError, match=r'not numbers: ema_state_dict\.module\.weight'):
        read_checkpoint(written(tmp_path / 'a.pth', states))


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'No checkpoint at .*b\.pth'):
        read_checkpoint(tmp_path / 'b.pth')


def test_text_that_mmengine_would_run_is_dropped(tmp_path: Path) -> None:
    path = written(tmp_path / 'a.pth', {'meta': {'config': 'import os', 'epoch': 1}, 'state_dict': WEIGHTS})
    assert read_checkpoint(path)['meta'] == {'epoch': 1}


def test_mmengine_reads_through_the_same_door(tmp_path: Path) -> None:
    model = nn.Linear(2, 2)
    path = written(tmp_path / 'a.pth', model.state_dict())
    load_checkpoint(model, str(path))
    content = bytearray(path.read_bytes())
    content[content.index(model.weight.detach().numpy().tobytes())] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match='checksum'):
        load_checkpoint(model, str(path))


def test_downloads_run_no_code_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """MMEngine hands them to a reader of torch that runs what a pickle says."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    (tmp_path / 'served').mkdir()
    written(tmp_path / 'served' / 'good.pth')
    written(tmp_path / 'served' / 'bad.pth', {'more': Attack(tmp_path / 'hacked')})

    class Files(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args: object) -> None:
            super().__init__(*args, directory=str(tmp_path / 'served'))

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), Files) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f'http://127.0.0.1:{server.server_port}'
        found = CheckpointLoader.load_checkpoint(f'{address}/good.pth', 'cpu')
        assert torch.equal(found['state_dict']['layer.weight'], WEIGHTS['layer.weight'])
        with pytest.raises(ValueError, match='could run code'):
            CheckpointLoader.load_checkpoint(f'{address}/bad.pth', 'cpu')
        with pytest.raises(FileNotFoundError, match=r'none\.pth could not be fetched'):
            CheckpointLoader.load_checkpoint(f'{address}/none.pth', 'cpu')
        server.shutdown()
    assert not (tmp_path / 'hacked').exists()
    with keep_lines() as said:
        CheckpointLoader.load_checkpoint('http://elsewhere.invalid/good.pth', 'cpu')
    assert ['as fetched before' in line for line, _ in said] == [True]
