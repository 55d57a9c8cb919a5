"""The text-aware CLIP backbone: region features of images, features of captions and of learned prompts."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from cmdg_plugin.models.backbones.activation import choose_activation
from cmdg_plugin.models.backbones.architecture import build_clip, find_model_config, to_size, token_grid
from cmdg_plugin.models.backbones.image_towers import ImageTower, TimmViT, find_family
from cmdg_plugin.models.backbones.part_attention import add_part_tokens
from cmdg_plugin.models.backbones.prompt_template import DEFAULT_TEMPLATE
from cmdg_plugin.models.backbones.text_tokenizer import TextTokenizer
from cmdg_plugin.models.backbones.text_tower import TextTower
from cmdg_plugin.models.backbones.weights import load_weights, read_pretrained
from cmdg_plugin.models.utils import on_device
from cmdg_plugin.nested import has_prefix
from cmdg_plugin.registry import MODELS


class ImageFeatures(NamedTuple):
    """What the image tower says about a batch of images; region order as in `cmdg_plugin.regions.REGIONS`.

    Attributes:
        last_block_token: Class token as it enters the last block, (B, W); the mean of all tokens where there is none.
        width_regions: Region features in the width of the tower, after LayerNorm, (4, B, W).
        shared_regions: Region features in the space shared with texts, after LayerNorm, (4, B, D).
    """

    last_block_token: Tensor
    width_regions: Tensor
    shared_regions: Tensor


@MODELS.register_module()
class TextAwareCLIP(BaseModule):
    """CLIP with region features (CMDG, text-aware backbone of the public release), on open_clip.

    An image becomes one feature per region: the means of its patch tokens in three horizontal stripes (or, with part
    attention, three tokens that attend to a stripe each), and its class token. Each exists in the tower's width W and,
    projected, in the width D shared with texts. One LayerNorm over W and one over D serve all regions. A text becomes
    its end-of-text feature. What stands in for class token and patches in other towers is told in `image_towers`.

    The text tower is frozen unless `text_finetune_layers` says otherwise; the contrastive scale is never used.

    Args:
        model_name: An open_clip model of one of the families in `image_towers` (CLIP's ViTs and ResNets, EVA-CLIP,
            SigLIP), or one that ships here ('cmdg-toy-vit').
        pretrained: An open_clip tag ('openai', 'laion2b_s34b_b88k', ...), the tag of a shipped model ('islands'), a
            local file in OpenAI's, open_clip's or transformers' format or a folder that holds one, or None for random
            weights.
        image_size: Side of the images, or (height, width), in pixels; the model's own if None. Position embeddings are
            resized when weights are loaded.
        text_finetune_layers: Number of last text blocks to train, with the final norm and the projection.
        quick_gelu: Whether to use OpenAI's approximation of GELU; if None, where the model's name, the tag, the file or
            the config beside it says that the weights were trained with it.
        grad_checkpointing: Recompute activations in the backward pass to save memory.
        compile: Whether to run the blocks of the image tower through `torch.compile`; a dict holds its options, such as
            `dict(mode='max-autotune-no-cudagraphs')`. Checkpoints stay the same.
        compile_text: The same for the text tower, which the prompt stage runs at a size so small that launching its
            operations takes most of the time: on a GPU, `dict(mode='reduce-overhead')` replays them as CUDA graphs.
        channels_last: Whether a ResNet's convolutions keep the channels of a pixel side by side, which is faster.
        part_attention: Whether the parts are tokens of their own beside the class token, which attend to their stripe
            (see `part_attention.py`), in place of stripe means. The global feature is the same either way.
        tokenizer: Folder with the files of a tokenizer from Hugging Face, for models that have such a one (SigLIP), in
            place of fetching them.
        init_cfg: MMEngine's initialization config.

    Raises:
        ValueError: If the model or an option cannot be used here, if the size does not suit it, or if the weights do
            not fit.
        FileNotFoundError: If the weights cannot be found.
    """

    def __init__(
        self,
        model_name: str,
        pretrained: str | None = None,
        image_size: int | Sequence[int] | None = None,
        text_finetune_layers: int = 0,
        quick_gelu: bool | None = None,
        grad_checkpointing: bool = False,
        compile: bool | dict[str, Any] = False,
        compile_text: bool | dict[str, Any] = False,
        part_attention: bool = False,
        tokenizer: str | None = None,
        init_cfg: dict | list[dict] | None = None,
        channels_last: bool = False,
    ) -> None:
        super().__init__(init_cfg)
        config = find_model_config(model_name)
        family = find_family(config['vision_cfg'])
        _check_options(model_name, family, grad_checkpointing, part_attention, bool(quick_gelu))
        size = None if image_size is None else to_size(image_size)
        self.model_name, self.pretrained = model_name, pretrained
        self.grid_size = token_grid(config, size)
        weights = None if pretrained is None else read_pretrained(model_name, pretrained)
        self.quick_gelu = choose_activation(model_name, config, weights, quick_gelu)
        self.clip = build_clip(config, size, self.quick_gelu)
        self.image_tower = family(self.clip.visual, self.grid_size, config['embed_dim'])
        if weights is not None:
            load_weights(self.clip, weights, self.image_tower, token_grid(config))
        if part_attention:
            add_part_tokens(self.clip.visual)
        self.text_tower = TextTower(self.clip)
        self.text_tokenizer = TextTokenizer(self.text_tower, model_name, config['text_cfg'], tokenizer)

        self.image_size = to_size(self.clip.visual.image_size)
        self.width, self.embed_dim = self.image_tower.width, self.image_tower.embed_dim
        self.context_length, self.text_width = self.text_tower.context_length, self.text_tower.width
        self.out_channels = self.width + self.embed_dim
        self.norm_width = nn.LayerNorm(self.width)
        self.norm_shared = nn.LayerNorm(self.embed_dim)
        self.text_finetune_layers = text_finetune_layers
        self.set_trainable(True)
        if channels_last:
            if not self.image_tower.convolutional:
                raise ValueError(
                    f'channels_last speeds up convolutions, and {model_name!r} is a transformer: leave it off.'
                )
            self.clip.visual.to(memory_format=torch.channels_last)
        if grad_checkpointing:
            self.clip.set_grad_checkpointing(True)
        _compile_blocks(self.image_tower.blocks, compile)
        _compile_blocks(self.text_tower.pieces.transformer.resblocks, compile_text)

    def set_trainable(self, trainable: bool) -> None:
        """Let gradients into all that this backbone trains, or into nothing.

        Trained are the image tower, the two norms and the text blocks that `text_finetune_layers` asks for. Use this
        rather than `requires_grad_(True)`, which would unfreeze the whole text tower.
        """
        self.requires_grad_(False)
        self.text_tower.set_trainable(self.text_finetune_layers if trainable else 0)
        for parameter in self.image_parameters():
            parameter.requires_grad_(trainable)

    def image_parameters(self) -> Iterator[nn.Parameter]:
        """Go through the parameters of the image tower and of the norms of its features."""
        for module in (self.clip.visual, self.norm_width, self.norm_shared):
            yield from module.parameters()

    def pretrained_names(self) -> list[str]:
        """Names of the image tower's weights and statistics that pretraining has set, which part tokens are not.

        Raises:
            ValueError: If the backbone was built without pretrained weights.
        """
        if self.pretrained is None:
            raise ValueError('There are no pretrained weights: model.backbone.pretrained is None, not a tag or a file.')
        return [f'clip.visual.{name}' for name in self.clip.visual.state_dict() if not has_prefix(name, 'part_tokens')]

    def text_parameters(self) -> Iterator[nn.Parameter]:
        """Go through the parameters of the text tower, its projection included."""
        others = {id(parameter) for parameter in self.clip.visual.parameters()}
        for name, parameter in self.clip.named_parameters():
            if id(parameter) not in others and name not in ('logit_scale', 'logit_bias'):
                yield parameter

    def train(self, mode: bool = True) -> 'TextAwareCLIP':
        """Switch between training and evaluation mode; a frozen text tower stays in evaluation mode."""
        super().train(mode)
        if self.text_finetune_layers == 0:
            for module in self.text_tower.modules:
                module.eval()
        return self

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Encode images into their retrieval feature, in the form that mmpretrain's classifiers expect.

        Args:
            images: Normalized images, (B, 3, height, width).

        Returns:
            One entry: global features in both widths one after the other, not normalized, (B, W + D).
        """
        features = self.encode_image(images)
        return (torch.cat([features.width_regions[-1], features.shared_regions[-1]], dim=-1),)

    def encode_image(self, images: Tensor) -> ImageFeatures:
        """Encode images into region features (CMDG, region features in both widths).

        Args:
            images: Normalized images, (B, 3, height, width).

        Returns:
            Region features and the class token that enters the last block.

        Raises:
            TypeError: If the images are not floating-point.
            ValueError: If they have another shape than this backbone was built for.
        """
        self._check_images(images)
        tokens = self.image_tower.encode(images)
        # Under autocast the tower answers in half precision, in which distances overflow.
        dtype = self.norm_width.weight.dtype
        return ImageFeatures(
            tokens.entering_last_block.to(dtype),
            self.norm_width(tokens.regions.to(dtype)),
            self.norm_shared(tokens.projected.to(dtype)),
        )

    def _check_images(self, images: Tensor) -> None:
        if not images.is_floating_point():
            raise TypeError(f'Images must be normalized floats, got {images.dtype}; use a data preprocessor.')
        if images.ndim != 4 or images.shape[1:] != (3, *self.image_size):
            height, width = self.image_size
            raise ValueError(
                f'Expected images of shape (B, 3, {height}, {width}), got {tuple(images.shape)}. '
                'Make the resize of the pipeline and the `image_size` of the backbone agree.'
            )

    @property
    def tokenizer(self) -> Callable[..., Tensor]:
        """Tokenizer of the model, made on first use: images alone need none."""
        return self.text_tokenizer.words

    def tokenize(self, sentences: Sequence[str]) -> tuple[Tensor, int]:
        """Turn sentences into tokens, cut after the longest of them.

        Texts longer than the context are truncated, never an error, and counted.

        Returns:
            Token ids on the CPU, (B, L), with L up to the context length (always that, for a text tower that is not
            causal); and the number of truncated sentences.

        Raises:
            TypeError: If `sentences` is not a sequence of strings.
            ValueError: If it is empty.
        """
        return self.text_tokenizer.tokenize(sentences)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """Encode tokens into text features.

        No gradient is kept unless text blocks are trained.

        Args:
            tokens: Token ids, (B, L); L at least up to the longest end-of-text token, at most the context length.

        Returns:
            End-of-text features in the shared space, not normalized, (B, D).

        Raises:
            TypeError: If the tokens are not integers.
            ValueError: If they have another shape.
        """
        if tokens.dtype not in (torch.int32, torch.int64):
            raise TypeError(f'Tokens must be int32 or int64 as `tokenize` returns them, got {tokens.dtype}.')
        if tokens.ndim != 2 or not 0 < tokens.shape[1] <= self.context_length:
            raise ValueError(
                f'Expected tokens of shape (B, L) with L from 1 to {self.context_length}, got {tuple(tokens.shape)}.'
            )
        if tokens.shape[1] < self.context_length and not self.text_tower.is_causal:
            raise ValueError(
                f'Tokens of {self.model_name!r} see those after them: expected all {self.context_length} of each text '
                f'as `tokenize` returns them, got {tokens.shape[1]}.'
            )
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.text_finetune_layers > 0):
            embeddings = self.text_tower.pieces.token_embedding(tokens)
            return self.text_tower.encode(embeddings, self.text_tower.ends(tokens))

    def encode_prompts(
        self, context: Tensor | Sequence[Tensor], template: str = DEFAULT_TEMPLATE, chunk_size: int = 512
    ) -> Tensor:
        """Encode sentences with learned vectors in their gaps (CMDG, identity prompts, after CLIP-ReID).

        Gradients reach the context, also through a frozen tower.

        Args:
            context: Learned vectors of each prompt, (C, n, text width); one such tensor for each gap.
            template: Sentence with as many gaps.
            chunk_size: Number of prompts in one pass of the tower, which bounds the memory taken without gradients.

        Returns:
            End-of-text features in the shared space, not normalized, (C, D).

        Raises:
            ValueError: If the context has another shape, or if the template has no clear gap.
        """
        contexts = (context,) if isinstance(context, Tensor) else tuple(context)
        for one in contexts:
            if one.ndim != 3 or not 0 < len(one) == len(contexts[0]) or one.shape[2] != self.text_width:
                raise ValueError(
                    f'Expected context vectors of shape (C, n, {self.text_width}) with C >= 1, the same in every gap; '
                    f'got {", ".join(str(tuple(each.shape)) for each in contexts)}.'
                )
        if chunk_size < 1:
            raise ValueError(f'`chunk_size` must be at least 1, got {chunk_size}.')
        prompt = self.text_tokenizer.template(template, tuple(one.shape[1] for one in contexts))
        device = contexts[0].device
        embeddings = self.text_tower.pieces.token_embedding(on_device(prompt.tokens, device))
        end = torch.full((1,), len(prompt.tokens) - 1, device=device)
        features = [
            self.text_tower.encode(prompt.fill(embeddings, *chunks), end.expand(len(chunks[0])))
            for chunks in zip(*(one.split(chunk_size) for one in contexts), strict=True)
        ]
        return torch.cat(features)


def _compile_blocks(blocks: Iterable[nn.Module], options: bool | dict[str, Any]) -> None:
    if options is not False:
        for block in blocks:
            # Block by block: they share one compilation, and neither names of weights nor copies change.
            block.compile(**(options if isinstance(options, dict) else {}))


def _check_options(
    model_name: str, family: type[ImageTower], grad_checkpointing: bool, part_attention: bool, quick_gelu: bool
) -> None:
    """Refuse what a family of image towers would ignore or cannot do."""
    if part_attention and not family.takes_part_tokens:
        raise ValueError(
            f"part_attention needs one of open_clip's own ViTs with a class token, for instance 'ViT-B-16'; "
            f'{model_name!r} is a {family.__name__}. Its parts are read from stripes: leave part_attention off.'
        )
    if grad_checkpointing and not family.saves_memory:
        raise ValueError(f'open_clip has no gradient checkpointing for {model_name!r}: leave grad_checkpointing off.')
    if quick_gelu and family is TimmViT:
        raise ValueError(
            f"quick_gelu=True is for CLIP's own towers; the image tower of {model_name!r} has an activation of its "
            'own, which it would not change: leave quick_gelu off.'
        )
