"""How the toy CLIP learns from pictures and captions: towers, objective, and the state of a training."""

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import open_clip
import torch
from torch import Tensor, nn
from torch.nn import functional

from cmdg_plugin.engine.mixed_precision import cpu_bfloat16
from cmdg_plugin.models.backbones.region_pooling import pool_stripes
from cmdg_plugin.models.backbones.text_tower import TextTower
from cmdg_plugin.models.data_preprocessor import ReIDDataPreprocessor

_NUM_LENGTHS = 4
"""Texts are encoded in this many groups of similar length."""

_LOWEST_SHARE = 1e-4
"""Tokens of fewer texts are not asked for."""


@dataclass(frozen=True)
class Recipe:
    """Settings of a pretraining.

    Attributes:
        steps: Number of batches.
        batch_size: Pictures in a batch.
        lr: Highest learning rate.
        weight_decay: Of matrices; vectors have none.
        parts: Weight of the contrast between a third and its caption.
        words: Weight of the prediction of captions' tokens.
        shift: Largest shift of a picture in pixels.
        seed: Seed of batches and shifts.
    """

    steps: int
    batch_size: int = 128
    lr: float = 1e-3
    weight_decay: float = 0.1
    parts: float = 0.5
    words: float = 0.5
    shift: int = 4
    seed: int = 0


def encode_text(model: open_clip.CLIP, tokens: Tensor) -> Tensor:
    """Encode tokens (B, L), each group of similar length at the length of its longest text; returns (B, D)."""
    tower = TextTower(model)
    ends = tower.ends(tokens)
    order = ends.argsort()
    groups = []
    for rows in order.chunk(_NUM_LENGTHS):
        longest = int(ends[rows[-1]]) + 1
        embeddings = tower.pieces.token_embedding(tokens[rows, :longest])
        groups.append(tower.encode(embeddings, ends[rows]))
    return torch.cat(groups)[order.argsort()]


def encode_image(model: open_clip.CLIP, images: Tensor) -> tuple[Tensor, Tensor]:
    """Encode normalized images: the whole (B, D), and the three stripes (3, B, D)."""
    visual: Any = model.visual
    outputs = visual.forward_intermediates(images, indices=1, normalize_intermediates=True, output_fmt='NLC')
    stripes = pool_stripes(outputs['image_intermediates'][-1], visual.grid_size)
    return outputs['image_features'], stripes @ visual.proj


def contrast(model: open_clip.CLIP, image: Tensor, text: Tensor) -> Tensor:
    """Symmetric InfoNCE with CLIP's learned temperature, of features (B, D)."""
    logits = model.logit_scale.exp() * functional.normalize(image, dim=-1) @ functional.normalize(text, dim=-1).T
    own = torch.arange(len(logits))
    return (functional.cross_entropy(logits, own) + functional.cross_entropy(logits.T, own)) / 2


def word_targets(tokens: Tensor, rarity: Tensor) -> Tensor:
    """Distribution over the vocabulary that a picture's caption stands for.

    Args:
        tokens: Token ids, (B, L).
        rarity: Weight of each token, (V,); 0 for those that say nothing.

    Returns:
        Weights of the tokens that occur, each once, summing to one, (B, V).
    """
    present = torch.zeros(len(tokens), len(rarity)).scatter_(1, tokens, 1.0)
    weighted = present * rarity
    return weighted / weighted.sum(dim=1, keepdim=True).clamp_min(1e-6)


def token_rarity(tokens: Tensor, vocab_size: int) -> Tensor:
    """Weight tokens by the logarithm of their rarity among texts.

    Args:
        tokens: Token ids of many texts, (N, L).
        vocab_size: V.

    Returns:
        -log of the share of texts with the token, (V,); 0 for tokens that hardly any text has, or every one.
    """
    counts = torch.zeros(vocab_size)
    for chunk in tokens.split(4096):
        counts += torch.zeros(len(chunk), vocab_size).scatter_(1, chunk, 1.0).sum(dim=0)
    shares = counts / len(tokens)
    return torch.where(shares > _LOWEST_SHARE, -shares.log(), torch.zeros(()))


def shift_images(images: Tensor, furthest: int, rng: np.random.Generator) -> Tensor:
    """Shift each image (B, C, H, W) by up to so many pixels, over repeated borders."""
    height, width = images.shape[2:]
    padded = functional.pad(images.float(), (furthest,) * 4, mode='replicate')
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    offsets = torch.from_numpy(rng.integers(0, 2 * furthest + 1, size=(2, len(images))))
    return windows[torch.arange(len(images)), :, offsets[0], offsets[1]]


class Learner:
    """A training that can be stopped and gone on with after any step.

    The image is pulled to its caption (CLIP), a third to the caption of that third, and a linear layer,
    thrown away afterwards, asks both for the tokens of their captions (SuperClass, "Classification Done Right for
    Vision-Language Pre-Training", section 3): a signal for the image tower that needs no text tower.

    Args:
        model: The model.
        images: RGB, uint8, (N, 3, H, W).
        tokens: Token ids of the four captions of each picture, (N, 4, L).
        recipe: Settings.
        bfloat16: Whether to compute in it; the weights themselves stay in full precision.
    """

    def __init__(
        self, model: open_clip.CLIP, images: Tensor, tokens: Tensor, recipe: Recipe, bfloat16: bool = False
    ) -> None:
        self.model, self.images, self.tokens, self.recipe = model, images, tokens, recipe
        self.precision = cpu_bfloat16 if bfloat16 else nullcontext
        self.rarity = token_rarity(tokens.flatten(0, 1), TextTower(model).pieces.token_embedding.num_embeddings)
        # No others: Adam moves the weights of tokens that are never asked for as fast as all, always the same way.
        self.asked = self.rarity.nonzero()[:, 0]
        self.words = nn.Linear(model.visual.output_dim, len(self.asked))
        self.normalize = ReIDDataPreprocessor(to_rgb=False).normalize_rgb
        self.parameters = [*model.parameters(), *self.words.parameters()]
        decayed = [weight for weight in self.parameters if weight.ndim > 1]
        others = [weight for weight in self.parameters if weight.ndim <= 1]
        groups = [{'params': decayed, 'weight_decay': recipe.weight_decay}, {'params': others, 'weight_decay': 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.lr, betas=(0.9, 0.98))
        self.schedule = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, recipe.lr, total_steps=recipe.steps, pct_start=0.02
        )
        self.step = 0

    def state(self) -> dict[str, Any]:
        """What another process needs to go on as if nothing had happened."""
        parts = {name: getattr(self, name).state_dict() for name in ('model', 'words', 'optimizer', 'schedule')}
        return {'step': self.step, **parts}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on from a state."""
        self.step = state['step']
        for name in ('model', 'words', 'optimizer', 'schedule'):
            getattr(self, name).load_state_dict(state[name])

    def batch(self) -> Tensor:
        """Rows of the pictures of the current step: every epoch has its own order."""
        recipe, per_epoch = self.recipe, len(self.images) // self.recipe.batch_size
        order = np.random.default_rng([recipe.seed, self.step // per_epoch]).permutation(len(self.images))
        start = self.step % per_epoch * recipe.batch_size
        return torch.from_numpy(order[start : start + recipe.batch_size])

    def advance(self) -> dict[str, float]:
        """Learn from one batch; returns its losses by name."""
        # Left after every step: until then, a context keeps the weights that it once converted.
        with self.precision():
            losses = self.losses()
        self.optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        nn.utils.clip_grad_norm_(self.parameters, 1.0)
        self.optimizer.step()
        self.schedule.step()
        with torch.no_grad():
            self.model.logit_scale.clamp_(0, np.log(100))
        self.step += 1
        return {name: loss.item() for name, loss in losses.items()}

    def losses(self) -> dict[str, Tensor]:
        """Weighted losses of the current batch by name."""
        recipe, rows = self.recipe, self.batch()
        rng = np.random.default_rng([recipe.seed, 1, self.step])
        third = int(rng.integers(3))
        whole, stripes = encode_image(
            self.model, self.normalize(shift_images(self.images[rows], recipe.shift, rng).float())
        )
        # Of length one: the longer a feature could grow, the further off a single wrong token.
        seen = functional.normalize(torch.stack([whole, *stripes], dim=1), dim=-1)
        wanted = word_targets(self.tokens[rows].flatten(0, 1), self.rarity)[:, self.asked]
        return {
            'global': contrast(self.model, whole, encode_text(self.model, self.tokens[rows, 0])),
            'part': recipe.parts
            * contrast(self.model, stripes[third], encode_text(self.model, self.tokens[rows, third + 1])),
            'words': recipe.words * functional.cross_entropy(self.words(seen.flatten(0, 1)), wanted),
        }
