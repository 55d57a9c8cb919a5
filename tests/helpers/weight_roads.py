"""The roads by which one and the same CLIP reaches a user: files written by the programs that write them in earnest."""

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from open_clip.push_to_hf_hub import save_config_for_hf
from safetensors.torch import save

MODEL = 'cmdg-test-square'
"""Small model with CLIP's own ViT and square images, which transformers asks for."""

REPOSITORY = 'someone/cmdg-test-square.openai'
"""Repository of the hub that a tag of the model fetches from."""


class OpenAIArchive(torch.nn.Module):
    """Scripts to an archive with the state dict of OpenAI's releases, their three extra entries included."""

    def __init__(self, state: dict[str, torch.Tensor], extras: bool = True) -> None:
        super().__init__()
        for name, tensor in state.items():
            module = self
            *path, leaf = name.split('.')
            for part in path:
                if not hasattr(module, part):
                    module.add_module(part, torch.nn.Module())
                module = getattr(module, part)
            module.register_buffer(leaf, tensor)
        if extras:
            for name, number in [('input_resolution', 48), ('context_length', 20), ('vocab_size', 49408)]:
                self.register_buffer(name, torch.tensor(number))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return what comes."""
        return images


def write_archive(state: dict[str, torch.Tensor], path: Path, extras: bool = True) -> Path:
    """Write weights as OpenAI did, in half precision where they are matrices."""
    halved = {key: value.half() if value.ndim > 1 else value for key, value in state.items()}
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        torch.jit.script(OpenAIArchive(halved, extras)).save(str(path))
    return path


def write_open_clip_config(clip: torch.nn.Module, config: dict, quick_gelu: bool, folder: Path) -> Path:
    """Write `open_clip_config.json` by open_clip's own function."""
    model_config = {**config, 'quick_gelu': True} if quick_gelu else config
    save_config_for_hf(clip, folder / 'open_clip_config.json', model_config)
    return folder / 'open_clip_config.json'


def write_hub_cache(clip: torch.nn.Module, folder: Path) -> tuple[Path, Path]:
    """Lay weights out as the hub's cache does: a blob without a suffix, and a link to it in a snapshot.

    Returns:
        The link and the blob.
    """
    repository = folder / f'models--{REPOSITORY.replace("/", "--")}'
    content = save(clip.state_dict())
    blob, snapshot = repository / 'blobs' / hashlib.sha256(content).hexdigest(), repository / 'snapshots' / ('a' * 40)
    for place in (blob.parent, snapshot, repository / 'refs'):
        place.mkdir(parents=True)
    blob.write_bytes(content)
    (repository / 'refs' / 'main').write_text('a' * 40)
    link = snapshot / 'open_clip_model.safetensors'
    link.symlink_to(Path('..', '..', 'blobs', blob.name))
    return link, blob


def make_transformers_clip(config: dict, quick_gelu: bool) -> torch.nn.Module:
    """Build transformers' `CLIPModel` of the same shape, with random weights."""
    from transformers import CLIPConfig, CLIPModel

    vision, text = config['vision_cfg'], config['text_cfg']
    shared = {'hidden_act': 'quick_gelu' if quick_gelu else 'gelu', 'projection_dim': config['embed_dim']}
    return CLIPModel(
        CLIPConfig(
            projection_dim=config['embed_dim'],
            vision_config={
                **shared,
                'hidden_size': vision['width'],
                'intermediate_size': 4 * vision['width'],
                'num_hidden_layers': vision['layers'],
                'num_attention_heads': vision['width'] // vision['head_width'],
                'image_size': vision['image_size'],
                'patch_size': vision['patch_size'],
            },
            text_config={
                **shared,
                'hidden_size': text['width'],
                'intermediate_size': 4 * text['width'],
                'num_hidden_layers': text['layers'],
                'num_attention_heads': text['heads'],
                'max_position_embeddings': text['context_length'],
                'vocab_size': text['vocab_size'],
            },
        )
    ).eval()


def edit_json(path: Path, **changes: Any) -> None:
    """Change keys of a JSON file."""
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
