"""The same features by a tag and by every file that holds the same weights, or an error that says how to choose."""

import copy
import functools
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from helpers.weight_roads import (
    MODEL,
    REPOSITORY,
    make_transformers_clip,
    write_archive,
    write_hub_cache,
    write_open_clip_config,
)
from open_clip.model import CLIP
from open_clip.pretrained import _PRETRAINED
from safetensors.torch import save_file

from cmdg_plugin.models.backbones import TextAwareCLIP
from cmdg_plugin.models.backbones.architecture import find_model_config

ACTIVATIONS = pytest.mark.parametrize('quick_gelu', [True, False])


@pytest.fixture(scope='module', autouse=True)
def images(tiny_models: None) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 3, 48, 48)


@pytest.fixture(scope='module')
def clips() -> dict[bool, CLIP]:
    """The same weights under both activations, large enough for them to matter; numbers that half precision holds."""
    torch.manual_seed(1)
    clip = open_clip.create_model(MODEL, force_quick_gelu=True).eval()
    with torch.no_grad():
        for name, value in clip.named_parameters():
            value.mul_(4 if value.ndim > 1 and 'mlp' in name else 1).copy_(value.half())
    other = open_clip.create_model(MODEL).eval()
    other.load_state_dict(clip.state_dict())
    return {True: clip, False: other}


@pytest.fixture
def tags(monkeypatch: pytest.MonkeyPatch, clips: dict[bool, CLIP], tmp_path: Path) -> None:
    """A model of which open_clip knows weights of both kinds, as it does of ViT-B-16."""
    file = tmp_path / 'of_the_tag' / 'open_clip_model.safetensors'
    file.parent.mkdir()
    save_file(clips[True].state_dict(), file)
    both = {
        'openai': {'file': str(file), 'hf_hub': f'{REPOSITORY}/', 'quick_gelu': True},
        'laion': {'file': str(file), 'hf_hub': 'someone/cmdg-test-square.laion/'},
    }
    monkeypatch.setitem(_PRETRAINED, MODEL, both)


def _features(images: torch.Tensor, pretrained: Path | str, **options: Any) -> tuple[torch.Tensor, torch.Tensor]:
    backbone = TextAwareCLIP(MODEL, pretrained=str(pretrained), **options).eval()
    return _expected(images, backbone.clip)


@functools.cache
def _tokens() -> torch.Tensor:
    return open_clip.get_tokenizer(MODEL)(['a man in red'])


def _expected(images: torch.Tensor, clip: CLIP) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.no_grad():
        return clip.encode_image(images), clip.encode_text(_tokens())


def _assert_same(
    found: tuple[torch.Tensor, torch.Tensor], expected: list[torch.Tensor] | tuple[torch.Tensor, torch.Tensor]
) -> None:
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_the_two_activations_give_other_features(images: torch.Tensor, clips: dict[bool, CLIP]) -> None:
    first, second = (_expected(images, clip)[0] for clip in clips.values())
    assert (first - second).abs().max() > 1e-2


@ACTIVATIONS
def test_by_tag(quick_gelu: bool, images: torch.Tensor, clips: dict[bool, CLIP], tags: None) -> None:
    _assert_same(_features(images, 'openai' if quick_gelu else 'laion'), _expected(images, clips[quick_gelu]))


def test_by_openais_archive(images: torch.Tensor, clips: dict[bool, CLIP], tags: None, tmp_path: Path) -> None:
    path = write_archive(clips[True].state_dict(), tmp_path / 'ViT-B-16.pt')
    _assert_same(_features(images, path), _expected(images, clips[True]))


def test_another_torchscript_archive_is_not_taken_for_openais(
    images: torch.Tensor, clips: dict[bool, CLIP], tags: None, tmp_path: Path
) -> None:
    path = write_archive(clips[False].state_dict(), tmp_path / 'traced.pt', extras=False)
    with pytest.raises(ValueError, match='quick_gelu=True'):
        _features(images, path)
    _assert_same(_features(images, path, quick_gelu=False), _expected(images, clips[False]))


@ACTIVATIONS
@pytest.mark.parametrize('name', ['open_clip_model.safetensors', 'open_clip_pytorch_model.bin', 'mine.pt', 'blob'])
def test_by_open_clips_file_with_its_config_or_its_folder(
    name: str, quick_gelu: bool, images: torch.Tensor, clips: dict[bool, CLIP], tags: None, tmp_path: Path
) -> None:
    clip, folder = clips[quick_gelu], tmp_path / 'clip'
    folder.mkdir()
    (save_file if name.endswith('safetensors') else torch.save)(clip.state_dict(), folder / name)
    write_open_clip_config(clip, find_model_config(MODEL), quick_gelu, folder)
    (folder / 'config.json').write_text('{"architecture": "vit_base_patch16_clip_224"}')  # timm's
    for road in (folder, folder / name) if name != 'blob' else (folder / name,):
        _assert_same(_features(images, road), _expected(images, clip))
    (tmp_path / 'linked').symlink_to(folder / name)
    _assert_same(_features(images, tmp_path / 'linked'), _expected(images, clip))


@ACTIVATIONS
def test_a_lone_file_asks_for_the_activation(
    quick_gelu: bool, images: torch.Tensor, clips: dict[bool, CLIP], tags: None, tmp_path: Path
) -> None:
    save_file(clips[quick_gelu].state_dict(), tmp_path / 'clip.safetensors')
    with pytest.raises(ValueError, match=r'Nothing tells.*clip\.safetensors.*openai.*laion.*quick_gelu=True'):
        _features(images, tmp_path / 'clip.safetensors')
    found = _features(images, tmp_path / 'clip.safetensors', quick_gelu=quick_gelu)
    _assert_same(found, _expected(images, clips[quick_gelu]))


@ACTIVATIONS
def test_by_the_header_of_a_file(
    quick_gelu: bool, images: torch.Tensor, clips: dict[bool, CLIP], tags: None, tmp_path: Path
) -> None:
    save_file(clips[quick_gelu].state_dict(), tmp_path / 'a.safetensors', {'quick_gelu': str(quick_gelu).lower()})
    _assert_same(_features(images, tmp_path / 'a.safetensors'), _expected(images, clips[quick_gelu]))


def test_by_the_cache_of_the_hub_wherever_it_was_copied(
    images: torch.Tensor, clips: dict[bool, CLIP], tags: None, tmp_path: Path
) -> None:
    link, blob = write_hub_cache(clips[True], tmp_path / 'hub')
    (tmp_path / 'weights').symlink_to(blob)
    for road in (link, blob, link.parent, blob.parents[1], tmp_path / 'weights'):
        _assert_same(_features(images, road), _expected(images, clips[True]))


def test_by_the_cache_of_the_hub_of_a_repository_without_a_tag(
    images: torch.Tensor, clips: dict[bool, CLIP], tags: None, tmp_path: Path
) -> None:
    _, blob = write_hub_cache(clips[True], tmp_path)
    repository = blob.parents[1].rename(tmp_path / 'models--nobody--clip')
    link = repository / 'snapshots' / ('a' * 40) / 'open_clip_model.safetensors'
    with pytest.raises(ValueError, match='quick_gelu=True'):
        _features(images, link)
    write_open_clip_config(clips[True], find_model_config(MODEL), True, link.parent)
    for road in (repository, link, repository / 'blobs' / blob.name):
        _assert_same(_features(images, road), _expected(images, clips[True]))
    (repository / 'snapshots' / ('b' * 40)).mkdir()
    (repository / 'refs' / 'main').unlink()
    with pytest.raises(FileNotFoundError, match='holds 2: give the folder of one'):
        _features(images, repository)


@ACTIVATIONS
@pytest.mark.parametrize('form', ['safetensors', 'shards', 'pickle', 'half'])
def test_by_transformers_folder(form: str, quick_gelu: bool, images: torch.Tensor, tags: None, tmp_path: Path) -> None:
    torch.manual_seed(2)
    theirs = make_transformers_clip(find_model_config(MODEL), quick_gelu)
    with torch.no_grad():
        for name, value in theirs.named_parameters():
            value.mul_(20 if 'mlp' in name else 1).copy_(value.half())
    with torch.no_grad():
        outputs = theirs.get_image_features(images), theirs.get_text_features(_tokens())
    expected = [getattr(output, 'pooler_output', output) for output in outputs]
    (copy.deepcopy(theirs).half() if form == 'half' else theirs).save_pretrained(
        tmp_path, max_shard_size='1MB' if form == 'shards' else '5GB'
    )
    name = 'model.safetensors.index.json' if form == 'shards' else 'model.safetensors'
    if form == 'pickle':
        (tmp_path / name).unlink()
        name = 'pytorch_model.bin'
        position_ids = {'text_model.embeddings.position_ids': torch.arange(20)[None]}  # of old versions
        torch.save({**theirs.state_dict(), **position_ids}, tmp_path / name)
    for road in (tmp_path, tmp_path / name):
        _assert_same(_features(images, road), expected)
    (tmp_path / 'config.json').unlink()
    with pytest.raises(ValueError, match='quick_gelu=True'):
        _features(images, tmp_path / name)
    _assert_same(_features(images, tmp_path / name, quick_gelu=quick_gelu), expected)


def test_a_lone_file_of_transformers_asks_whatever_the_model(images: torch.Tensor, tmp_path: Path) -> None:
    """Its default is QuickGELU, that of open_clip is GELU: the config of one says nothing of weights of the other."""
    make_transformers_clip(find_model_config(MODEL), True).save_pretrained(tmp_path)
    (tmp_path / 'config.json').unlink()
    with pytest.raises(ValueError, match='quick_gelu=True'):
        _features(images, tmp_path)


def test_a_config_beside_several_files_speaks_for_none_of_them(
    images: torch.Tensor, clips: dict[bool, CLIP], tags: None, tmp_path: Path
) -> None:
    write_open_clip_config(clips[True], find_model_config(MODEL), True, tmp_path)
    for name in ('one.safetensors', 'two.safetensors'):
        save_file(clips[False].state_dict(), tmp_path / name)
    with pytest.raises(ValueError, match='quick_gelu=True'):
        _features(images, tmp_path / 'one.safetensors')
    with pytest.raises(FileNotFoundError, match=r'one\.safetensors, two\.safetensors'):
        _features(images, tmp_path)
