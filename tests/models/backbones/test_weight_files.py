import json
import random
import re
from pathlib import Path

import pytest
import torch
from helpers.weight_roads import write_archive
from safetensors.torch import save_file

from cmdg_plugin.models.backbones.weight_files import find_weight_file, read_tensors

STATE = {'visual.proj': torch.arange(1600.0).reshape(40, 40), 'visual.bias': torch.ones(40)}


def _write(form: str, path: Path) -> Path:
    if form == 'safetensors':
        save_file(STATE, path)
    elif form == 'archive':
        write_archive(STATE, path, extras=False)
    else:
        torch.save(STATE, path, _use_new_zipfile_serialization=form == 'pickle')
    return path


def _same(found: dict[str, torch.Tensor]) -> bool:
    return found.keys() == STATE.keys() and all(torch.equal(found[key].float(), STATE[key]) for key in STATE)


@pytest.mark.parametrize('suffix', ['', '.bin', '.pt', '.whatever'])
@pytest.mark.parametrize('form', ['safetensors', 'pickle', 'old pickle', 'archive'])
def test_a_file_is_known_by_its_content(form: str, suffix: str, tmp_path: Path) -> None:
    assert _same(read_tensors(_write(form, tmp_path / f'weights{suffix}'))[0])


@pytest.mark.parametrize('prefix', ['', 'module.', 'model.', '_orig_mod.', 'clip.', 'module.model.clip_model.'])
@pytest.mark.parametrize('wrapper', [None, 'state_dict', 'model', 'model_state_dict'])
def test_wrappers_are_taken_off(prefix: str, wrapper: str | None, tmp_path: Path) -> None:
    state = {prefix + key: value for key, value in STATE.items()}
    torch.save(state if wrapper is None else {'epoch': 3, wrapper: state}, tmp_path / 'a.pt')
    assert _same(read_tensors(tmp_path / 'a.pt')[0])


@pytest.mark.filterwarnings('ignore:Detected pickle protocol')
@pytest.mark.parametrize('form', ['pickle', 'archive', 'old pickle', 'safetensors'])
def test_damage_is_refused_with_the_name_of_the_file(form: str, tmp_path: Path) -> None:
    """What has checksums never comes out changed; what has none comes out, or is refused in our words."""
    path = _write(form, tmp_path / 'damaged.pt')
    sound, chance = path.read_bytes(), random.Random(0)
    messages = []
    for number in range(150):
        damaged = bytearray(sound)
        place = chance.randrange(min(len(sound), 700) if number % 3 else len(sound))
        if number % 4 == 0:
            damaged[place] ^= 1 << chance.randrange(8)
        elif number % 4 == 1:
            damaged[place : place + 64] = bytes(len(damaged[place : place + 64]))
        elif number % 4 == 2:
            del damaged[place:]
        else:
            damaged[place:place] = chance.randbytes(5)
        path.write_bytes(damaged)
        try:
            found = read_tensors(path)[0]
        except ValueError as error:
            messages.append(str(error))
        else:
            assert _same(found) or form in ('old pickle', 'safetensors')
    assert len(messages) > 50
    assert all(str(path) in message and 'weights_only' not in message for message in messages)


def test_every_flipped_bit_of_a_tensor_is_found(tmp_path: Path) -> None:
    path = _write('pickle', tmp_path / 'flipped.pt')
    sound = path.read_bytes()
    start = sound.index(STATE['visual.proj'].numpy().tobytes())
    for place in range(start, start + 6400, 321):
        path.write_bytes(sound[:place] + bytes([sound[place] ^ 1]) + sound[place + 1 :])
        with pytest.raises(ValueError, match=r'flipped\.pt is damaged: the checksum of .*data/\d in it is wrong'):
            read_tensors(path)


def test_the_hubs_cache_says_what_a_blob_should_hold(tmp_path: Path) -> None:
    blob = tmp_path / 'blobs' / ('0' * 64)
    blob.parent.mkdir()
    _write('safetensors', blob)
    (tmp_path / 'model.safetensors').symlink_to(blob)
    with pytest.raises(ValueError, match=r'model\.safetensors is damaged: its content is not what the cache'):
        read_tensors(tmp_path / 'model.safetensors')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (
            b'version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n',
            'is a pointer of Git LFS.*git lfs pull',
        ),
        (b'<!DOCTYPE html><html>Sign in</html>', 'is damaged, or not a file of weights'),
        (b'', 'is damaged, or not a file of weights'),
    ],
)
def test_what_people_save_in_place_of_weights(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / 'clip.pt').write_bytes(content)
    with pytest.raises(ValueError, match=rf'clip\.pt {message}'):
        read_tensors(tmp_path / 'clip.pt')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{"weight_map": {"a": "missing.safetensors"}}', r'names missing\.safetensors, which is missing'),
        ('{"weight_map": {"a": "../secret.safetensors"}}', 'should name weight files beside it, but names .../secret'),
        ('{"weight_map": {"a": "model.safetensors.index.json"}}', 'should name weight files beside it'),
        ('{"weight_map": {"a": 3}}', 'is damaged or not an index'),
        ('[]', 'is damaged or not an index'),
        ('{', 'is damaged or not an index'),
        ('[' * 100_000, 'is damaged or not an index'),
    ],
)
def test_a_bad_index_of_shards_is_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / 'model.safetensors.index.json').write_text(content)
    with pytest.raises(ValueError, match=rf'model\.safetensors\.index\.json {message}'):
        read_tensors(tmp_path / 'model.safetensors.index.json')


def test_the_file_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'should hold one weight file .* but holds none'):
        find_weight_file(tmp_path)
    later_goes_before = ['some.ckpt', 'pytorch_model.bin', 'model.safetensors', 'open_clip_model.safetensors']
    for name in later_goes_before:
        (tmp_path / name).touch()
        assert find_weight_file(tmp_path).name == name
    (tmp_path / 'weights').mkdir()
    (tmp_path / 'weights' / 'open_clip_config.json').write_text(json.dumps({}))
    (tmp_path / 'weights' / 'mine.pth').touch()
    assert find_weight_file(tmp_path / 'weights').name == 'mine.pth'
    (tmp_path / 'weights' / 'yours.pth').touch()
    with pytest.raises(FileNotFoundError, match=re.escape('holds mine.pth, yours.pth. Give the path of the file')):
        find_weight_file(tmp_path / 'weights')
