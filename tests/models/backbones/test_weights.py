import os
import re
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from helpers.weight_roads import write_archive
from safetensors.torch import save_file

from cmdg_plugin.models.backbones import TextAwareCLIP, weights
from cmdg_plugin.models.backbones.architecture import build_clip, find_model_config
from cmdg_plugin.models.backbones.image_towers import OpenClipViT


@pytest.fixture
def state() -> OrderedDict:
    torch.manual_seed(0)
    return build_clip(find_model_config('cmdg-test-tiny'), None).state_dict()


def _write(kind: str, state: OrderedDict, path: Path) -> str:
    if kind == 'safetensors':
        path = path / 'clip.safetensors'
        save_file(state, path)
    elif kind == 'bare pickle':
        path = path / 'clip.pt'
        torch.save(state, path)
    elif kind == 'open_clip training':
        path = path / 'epoch_32.pt'
        wrapped = {f'module.{key}': value for key, value in state.items()}
        torch.save({'epoch': 32, 'name': 'run', 'state_dict': wrapped, 'optimizer': {'state': {}}}, path)
    else:
        path = write_archive(state, path / 'ViT.pt')
    return str(path)


@pytest.mark.parametrize('kind', ['safetensors', 'bare pickle', 'open_clip training', 'OpenAI archive'])
def test_every_file_format_gives_the_same_weights(kind: str, state: OrderedDict, tmp_path: Path) -> None:
    backbone = TextAwareCLIP('cmdg-test-tiny', pretrained=_write(kind, state, tmp_path))
    tolerance = 2e-3 if kind == 'OpenAI archive' else 0
    for name, value in backbone.clip.state_dict().items():
        torch.testing.assert_close(value, state[name], atol=tolerance, rtol=0)
        assert value.dtype == torch.float32


@pytest.mark.parametrize(('kind', 'activation'), [('OpenAI archive', 'QuickGELU'), ('safetensors', 'GELU')])
def test_openai_files_bring_their_activation(kind: str, activation: str, state: OrderedDict, tmp_path: Path) -> None:
    path = _write(kind, state, tmp_path)
    block = TextAwareCLIP('cmdg-test-tiny', pretrained=path).clip.visual.transformer.resblocks[0]
    assert type(block.mlp.gelu).__name__ == activation
    forced = TextAwareCLIP('cmdg-test-tiny', pretrained=path, quick_gelu=False)
    assert type(forced.clip.visual.transformer.resblocks[0].mlp.gelu).__name__ == 'GELU'


def test_openai_state_dict_loads_without_an_archive(state: OrderedDict, tmp_path: Path) -> None:
    torch.save({**state, 'input_resolution': torch.tensor(48), 'vocab_size': torch.tensor(49408)}, tmp_path / 'a.pt')
    read = weights.read_weight_file(tmp_path / 'a.pt')
    assert read.quick_gelu
    assert read.state.keys() == state.keys()


def test_both_text_wrappers_read_each_others_files(state: OrderedDict, tmp_path: Path) -> None:
    path = _write('safetensors', state, tmp_path)
    config = find_model_config('cmdg-test-tiny')
    custom = build_clip({**config, 'custom_text': True}, None)
    tower = OpenClipViT(custom.visual, (6, 3), 24)
    weights.load_weights(custom, weights.read_pretrained('cmdg-test-tiny', path), tower, (6, 3))
    assert torch.equal(custom.text.token_embedding.weight, state['token_embedding.weight'])
    save_file(custom.state_dict(), tmp_path / 'custom.safetensors')
    plain = TextAwareCLIP('cmdg-test-tiny', pretrained=str(tmp_path / 'custom.safetensors'))
    assert torch.equal(plain.clip.text_projection, state['text_projection'])


class _Evil:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return os.mkdir, (self.marker,)


def test_a_pickle_with_code_is_refused_and_not_run(state: OrderedDict, tmp_path: Path) -> None:
    marker = str(tmp_path / 'was_run')
    torch.save({'state_dict': state, 'extra': _Evil(marker)}, tmp_path / 'evil.pt')
    with pytest.raises(ValueError, match=r'evil\.pt.*refused'):
        TextAwareCLIP('cmdg-test-tiny', pretrained=str(tmp_path / 'evil.pt'))
    assert not os.path.exists(marker)


def test_damaged_and_foreign_files_are_named(state: OrderedDict, tmp_path: Path) -> None:
    for name in ('cut.pt', 'cut.safetensors'):
        (tmp_path / name).write_bytes(b'no weights at all')
        with pytest.raises(ValueError, match=f'{re.escape(name)} is damaged'):
            TextAwareCLIP('cmdg-test-tiny', pretrained=str(tmp_path / name))
    torch.save({'backbone.clip.visual.proj': torch.ones(2)}, tmp_path / 'run.pth')
    with pytest.raises(ValueError, match=r'no CLIP.*backbone\.clip\.visual\.proj.*load_from'):
        TextAwareCLIP('cmdg-test-tiny', pretrained=str(tmp_path / 'run.pth'))
    torch.save([1, 2], tmp_path / 'list.pth')
    with pytest.raises(ValueError, match='dictionary of tensors, but holds a list'):
        TextAwareCLIP('cmdg-test-tiny', pretrained=str(tmp_path / 'list.pth'))


def test_weights_of_another_model_say_what_differs(state: OrderedDict, tmp_path: Path) -> None:
    path = _write('safetensors', state, tmp_path)
    with pytest.raises(ValueError, match=r'positional_embedding is \(20, 16\) in the file and \(77, 16\)'):
        TextAwareCLIP('cmdg-test-77', pretrained=path)
    del state['visual.proj']
    save_file({**state, 'stranger': torch.ones(1)}, tmp_path / 'other.safetensors')
    with pytest.raises(ValueError, match=r'visual\.proj is missing.*stranger is not in the model'):
        TextAwareCLIP('cmdg-test-tiny', pretrained=str(tmp_path / 'other.safetensors'))


def test_weights_that_are_not_finite_are_named(state: OrderedDict, tmp_path: Path) -> None:
    for name, number in {'nan': float('nan'), 'inf': float('inf')}.items():
        poisoned = state['visual.proj'].clone()
        poisoned[3, 2] = number
        save_file({**state, 'visual.proj': poisoned}, tmp_path / f'{name}.safetensors')
        with pytest.raises(ValueError, match=rf'{name}\.safetensors is damaged: NaN or infinite .* in visual\.proj'):
            TextAwareCLIP('cmdg-test-tiny', pretrained=str(tmp_path / f'{name}.safetensors'))


def test_contrastive_scale_may_be_missing_or_shaped_otherwise(state: OrderedDict, tmp_path: Path) -> None:
    del state['logit_scale']
    save_file({**state, 'logit_bias': torch.zeros(1)}, tmp_path / 'a.safetensors')
    save_file({**state, 'logit_scale': torch.full((1,), 2.0)}, tmp_path / 'b.safetensors')
    TextAwareCLIP('cmdg-test-tiny', pretrained=str(tmp_path / 'a.safetensors'))
    assert TextAwareCLIP('cmdg-test-tiny', pretrained=str(tmp_path / 'b.safetensors')).clip.logit_scale == 2


def test_unknown_tag_lists_the_tags() -> None:
    with pytest.raises(FileNotFoundError, match=r"'openai7' is neither a file nor a tag of 'ViT-B-16'.*openai, laion"):
        weights.read_pretrained('ViT-B-16', 'openai7')


@pytest.mark.parametrize('name', ['', ' ', 'x' * 5000, 'a\0b'])
def test_names_that_no_file_can_have_are_unknown(name: str) -> None:
    with pytest.raises(FileNotFoundError, match='is neither a file nor a tag'):
        weights.read_pretrained('ViT-B-16', name)


def test_open_clip_tag_goes_through_open_clips_download_cache(
    state: OrderedDict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tag's file is taken from where open_clip keeps it; the tag tells the activation."""
    path = _write('safetensors', state, tmp_path)
    from open_clip.pretrained import _PRETRAINED

    monkeypatch.setitem(_PRETRAINED, 'cmdg-test-tiny', {'openai': {'file': path, 'quick_gelu': True}})
    backbone = TextAwareCLIP('cmdg-test-tiny', pretrained='openai')
    assert type(backbone.clip.transformer.resblocks[0].mlp.gelu).__name__ == 'QuickGELU'
    assert torch.equal(backbone.clip.visual.proj, state['visual.proj'])


@pytest.mark.parametrize('size', [(96, 48), (24, 16), (24, 48), 48])
def test_a_non_square_native_model_loads_at_any_size(
    size: int | tuple[int, int], state: OrderedDict, tmp_path: Path
) -> None:
    """(24, 48) has as many tokens as the native (48, 24), in another shape."""
    path = _write('safetensors', state, tmp_path)
    visual = TextAwareCLIP('cmdg-test-tiny', pretrained=path, image_size=size).clip.visual
    rows, columns = visual.grid_size
    native = state['visual.positional_embedding']
    image = native[1:].reshape(1, 6, 3, -1).permute(0, 3, 1, 2)
    expected = torch.nn.functional.interpolate(image, size=(rows, columns), mode='bicubic', antialias=True)
    expected = torch.cat([native[:1], expected.permute(0, 2, 3, 1).reshape(rows * columns, -1)])
    torch.testing.assert_close(visual.positional_embedding.data, expected)


def test_a_square_checkpoint_loads_at_a_non_square_size(tmp_path: Path) -> None:
    clip = build_clip(find_model_config('cmdg-test-square'), None)
    save_file(clip.state_dict(), tmp_path / 'square.safetensors')
    backbone = TextAwareCLIP('cmdg-test-square', pretrained=str(tmp_path / 'square.safetensors'), image_size=(96, 48))
    assert backbone.grid_size == (12, 6)
    assert backbone.forward(torch.randn(2, 3, 96, 48))[0].shape == (2, 32 + 24)


def test_a_file_written_at_the_size_asked_for_is_taken_as_it_is(tmp_path: Path) -> None:
    clip = build_clip(find_model_config('cmdg-test-tiny'), (80, 32))
    save_file(clip.state_dict(), tmp_path / 'tall.safetensors')
    backbone = TextAwareCLIP('cmdg-test-tiny', pretrained=str(tmp_path / 'tall.safetensors'), image_size=(80, 32))
    assert torch.equal(backbone.clip.visual.positional_embedding, clip.visual.positional_embedding)
    with pytest.raises(ValueError, match='40 patches'):
        TextAwareCLIP('cmdg-test-tiny', pretrained=str(tmp_path / 'tall.safetensors'))
