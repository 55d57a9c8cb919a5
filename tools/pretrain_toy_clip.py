"""Pretrain the toy CLIP that ships with the project, and write its three files.

    python tools/pretrain_toy_clip.py

It is trained contrastively on drawn people who are in none of the benchmark's domains, in styles that are none of its
domains' (`pretraining.elsewhere`); a picture is paired with its own captions, identities play no part.
Takes about 6 minutes on 2 CPU cores. The same seed and thread count give the same files on the same machine.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from mmengine.logging import print_log
from pretraining.byte_pairs import learn_merges, write_merges
from pretraining.elsewhere import Pairs, sample_pairs
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from cmdg_plugin.models.backbones.region_pooling import pool_stripes
from cmdg_plugin.models.backbones.shipped_models import SHIPPED_MODELS
from cmdg_plugin.models.backbones.text_tower import encode_embeddings, end_positions, text_module
from cmdg_plugin.models.data_preprocessor import ReIDDataPreprocessor
from cmdg_plugin.progress import track

NAME = 'cmdg-toy-vit'
PROMPT = 'A photo of a person.'
MAX_MERGES = 1000
CONFIG = {
    'embed_dim': 96,
    'vision_cfg': {'image_size': [96, 48], 'layers': 5, 'width': 128, 'head_width': 32, 'patch_size': 8},
    'text_cfg': {'context_length': 77, 'width': 128, 'heads': 4, 'layers': 3},
}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description='Pretrain the toy CLIP that ships with the project')
    parser.add_argument('--out', type=Path, default=SHIPPED_MODELS[NAME].config.parent, help='folder for its files')
    parser.add_argument('--images', type=int, default=12_000, help='number of pictures to draw')
    parser.add_argument('--epochs', type=int, default=4, help='passes over the pictures')
    parser.add_argument('--batch-size', type=int, default=128)
    parser.add_argument('--lr', type=float, default=1e-3, help='highest learning rate')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--threads', type=int, default=2, help='CPU threads')
    return parser.parse_args()


def build_model(out: Path, pairs: Pairs) -> tuple[open_clip.CLIP, open_clip.SimpleTokenizer]:
    """Write vocabulary and configuration, and build the untrained model from them as any user of open_clip would."""
    merges = learn_merges([PROMPT, *(text for captions in pairs.captions for text in captions)], MAX_MERGES)
    vocabulary = out / 'cmdg-toy-bpe.txt.gz'
    write_merges(merges, vocabulary)
    tokenizer = open_clip.SimpleTokenizer(bpe_path=str(vocabulary))
    config = {**CONFIG, 'text_cfg': {**CONFIG['text_cfg'], 'vocab_size': tokenizer.vocab_size}}  # type: ignore[dict-item]
    path = out / f'{NAME}.json'
    path.write_text(json.dumps(config, indent=4) + '\n', encoding='utf-8')
    open_clip.add_model_config(path)
    return open_clip.create_model(NAME), tokenizer


def encode_text(model: open_clip.CLIP, tokens: Tensor) -> Tensor:
    """Encode tokens at the length of the longest text."""
    ends = end_positions(model, tokens)
    tokens = tokens[:, : int(ends.max()) + 1]
    return encode_embeddings(model, text_module(model).token_embedding(tokens), ends)


def encode_image(model: open_clip.CLIP, images: Tensor) -> tuple[Tensor, Tensor]:
    """Encode images: the whole (B, D), and the three stripes (3, B, D)."""
    visual: Any = model.visual
    outputs = visual.forward_intermediates(images, indices=1, normalize_intermediates=True, output_fmt='NLC')
    stripes = pool_stripes(outputs['image_intermediates'][-1], visual.grid_size)
    return outputs['image_features'], stripes @ visual.proj


def contrast(model: open_clip.CLIP, image: Tensor, text: Tensor) -> Tensor:
    """Symmetric InfoNCE with CLIP's learnt temperature."""
    logits = model.logit_scale.exp() * functional.normalize(image, dim=-1) @ functional.normalize(text, dim=-1).T
    own = torch.arange(len(logits))
    return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2


def augment(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Shift a batch by up to four pixels, over repeated borders."""
    top, left = rng.integers(0, 9, size=2)
    padded = functional.pad(images.float(), (4, 4, 4, 4), mode='replicate')
    return padded[:, :, top : top + images.shape[2], left : left + images.shape[3]].round().byte()


def train(model: open_clip.CLIP, images: Tensor, tokens: Tensor, args: argparse.Namespace) -> None:
    """Pull each picture to its global caption, and in each step one of its thirds to the caption of that third.

    Args:
        model: The model.
        images: RGB, uint8, (N, 3, H, W).
        tokens: Tokens of the four captions of each picture, (N, 4, L).
        args: The command line.
    """
    rng = np.random.default_rng(args.seed)
    normalize = ReIDDataPreprocessor(to_rgb=False).normalize
    decayed = [weight for weight in model.parameters() if weight.ndim > 1]
    others = [weight for weight in model.parameters() if weight.ndim <= 1]
    groups = [{'params': decayed, 'weight_decay': 0.1}, {'params': others, 'weight_decay': 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=args.lr, betas=(0.9, 0.98))
    steps_per_epoch = len(images) // args.batch_size
    steps = args.epochs * steps_per_epoch
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=steps, pct_start=0.08)
    losses: list[float] = []
    for step in track(range(steps), 'pretraining', total=steps):
        if step % steps_per_epoch == 0:
            order = torch.from_numpy(rng.permutation(len(images)))
        start = step % steps_per_epoch * args.batch_size
        batch = order[start : start + args.batch_size]
        third = int(rng.integers(3))
        whole, stripes = encode_image(model, normalize(augment(images[batch], rng)))
        loss = contrast(model, whole, encode_text(model, tokens[batch, 0]))
        loss = loss + 0.5 * contrast(model, stripes[third], encode_text(model, tokens[batch, third + 1]))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        with torch.no_grad():
            model.logit_scale.clamp_(0, np.log(100))
        losses.append(loss.item())
        if (step + 1) % steps_per_epoch == 0:
            mean = np.mean(losses[-steps_per_epoch:])
            print_log(f'epoch {(step + 1) // steps_per_epoch} of {args.epochs}: loss {mean:.3f}', logger='current')


def main() -> None:
    """Draw, learn the vocabulary, train, and write the weights in half precision."""
    args = parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    args.out.mkdir(parents=True, exist_ok=True)
    height, width = CONFIG['vision_cfg']['image_size']  # type: ignore[index]
    pairs = sample_pairs(args.images, (height, width), args.seed)
    model, tokenizer = build_model(args.out, pairs)
    tokens = tokenizer([text for captions in pairs.captions for text in captions]).view(args.images, 4, -1)
    images = torch.from_numpy(pairs.images).permute(0, 3, 1, 2).contiguous()
    train(model, images, tokens, args)
    weights = args.out / f'{NAME}.safetensors'
    save_file({name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}, weights)
    print_log(f'Wrote {weights}: {weights.stat().st_size / 2**20:.1f} MiB.', logger='current')


if __name__ == '__main__':
    main()
